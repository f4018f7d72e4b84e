//! Runs a guest on a filesystem and keeps what it said.

use anyhow::{Context as _, Result};
use std::path::Path;
use std::sync::LazyLock;
use wasmtime::{Config, Engine, Linker, Module, OptLevel, Store};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// What a guest said, and how it ended.
pub struct Outcome {
    pub stdout: String,
    pub stderr: String,
    pub exit: Result<(), String>,
}

pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None);
    config.max_wasm_stack(8 << 20);
    Engine::new(&config).expect("the configuration is valid")
});

pub fn stock_p1(module: &Module, dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Outcome> {
    let stdout = MemoryOutputPipe::new(64 << 20);
    let stderr = MemoryOutputPipe::new(64 << 20);
    let mut builder = WasiCtxBuilder::new();
    builder.args(args).envs(env).stdout(stdout.clone()).stderr(stderr.clone());
    builder.preopened_dir(dir, "/", FsPerms::ReadWrite)?;
    let mut linker = Linker::<WasiP1Ctx>::new(&ENGINE);
    wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(&ENGINE, builder.build_p1());
    let instance = linker.instantiate(&mut store, module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let exit = match start.call(&mut store, ()) {
        Ok(()) => Ok(()),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(0)) => Ok(()),
            _ => Err(format!("{error:?}")),
        },
    };
    Ok(Outcome {
        stdout: String::from_utf8_lossy(&stdout.contents()).into_owned(),
        stderr: String::from_utf8_lossy(&stderr.contents()).into_owned(),
        exit,
    })
}
