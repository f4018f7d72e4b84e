//! probe
mod common;
use std::path::Path;
#[test]
fn probe() {
    let t = std::time::Instant::now();
    let module = wasmtime::Module::from_file(&common::ENGINE, "../target/cpython/python.wasm").unwrap();
    eprintln!("compile {:?}", t.elapsed());
    let dir = std::env::var("PROBE_DIR").unwrap();
    let args: Vec<String> = std::env::var("PROBE_ARGS").unwrap().split('|').map(String::from).collect();
    let args: Vec<&str> = args.iter().map(|s| &**s).collect();
    let env: Vec<(String, String)> = std::env::var("PROBE_ENV").unwrap_or_default().split('|').filter_map(|s| s.split_once('=').map(|(a, b)| (a.into(), b.into()))).collect();
    let env: Vec<(&str, &str)> = env.iter().map(|(a, b)| (&**a, &**b)).collect();
    let t = std::time::Instant::now();
    let out = common::stock_p1(&module, Path::new(&dir), &args, &env).unwrap();
    eprintln!("run {:?}\n{}\n--\n{}\n{:?}", t.elapsed(), out.stdout, out.stderr, out.exit);
}
