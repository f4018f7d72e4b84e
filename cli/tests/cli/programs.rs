//! Tests of the kinds of programs (core modules and components; text and native code), which are detected
//! from their content.

use crate::support::TestDir;
use crate::wat;
use wasmtime::Engine;

/// The same program as text and as native code, in files whose names do not reveal it.
fn forms(text: &str, native: Vec<u8>) -> [(&'static str, Vec<u8>); 2] {
    [
        ("program.txt", text.as_bytes().to_vec()),
        ("program.bin", native),
    ]
}

#[test]
fn module_runs_as_text_and_as_native_code() {
    let engine = Engine::default();
    let text = wat::exit(3);
    let native = engine.precompile_module(text.as_bytes()).unwrap();
    for (name, bytes) in forms(&text, native) {
        let temp = TestDir::new();
        temp.file(name, bytes);
        assert_eq!(temp.run(["--allow-precompiled", name]).code, 3, "{name}");
    }
}

#[test]
fn component_runs_as_text_and_as_native_code() {
    let engine = Engine::default();
    for result in [0, 1] {
        let text = wat::component("", result);
        let native = engine.precompile_component(text.as_bytes()).unwrap();
        for (name, bytes) in forms(&text, native) {
            let temp = TestDir::new();
            temp.file(name, bytes);
            let ended = temp.run(["--allow-precompiled", name]);
            assert_eq!(
                (ended.code, ended.stderr.as_str()),
                (result as i32, ""),
                "{name}"
            );
        }
    }
}

#[test]
fn native_code_of_another_wasmtime_is_refused() {
    let mut config = wasmtime::Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).unwrap();
    let native = engine.precompile_module(wat::exit(3).as_bytes()).unwrap();
    let temp = TestDir::new();
    temp.file("fuel.cwasm", native);
    let ended = temp.run(["--allow-precompiled", "fuel.cwasm"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.starts_with(
            "error: `fuel.cwasm` cannot be used; compile it again\n\nCaused by:\n    "
        ),
        "{ended:?}"
    );
}

#[test]
fn trap_of_component_is_reported_as_by_wasmtime_run() {
    let temp = TestDir::new();
    let text = wat::component("", 0).replace("(i32.const 0)", "unreachable");
    temp.file("trap.wat", text);
    let ended = temp.run(["trap.wat"]);
    assert_eq!(ended.code, 134);
    let begin = "error: failed to run main module `trap.wat`\n\nCaused by:\n    \
                 0: failed to invoke `run` function\n    \
                 1: error while executing at wasm backtrace:\n";
    assert!(ended.stderr.starts_with(begin), "{ended:?}");
    let end = "    2: wasm trap: wasm `unreachable` instruction executed\n";
    assert!(ended.stderr.ends_with(end), "{ended:?}");
}

#[test]
fn invoke_calls_function_of_component() {
    let temp = TestDir::new();
    temp.file(
        "math.wat",
        r#"(component
          (core module $m (func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1))))
          (core instance $i (instantiate $m))
          (func $add (param "a" u32) (param "b" u32) (result u32)
            (canon lift (core func $i "add")))
          (export "add" (func $add)))"#,
    );
    let ended = temp.run(["--invoke", "add(40, 2)", "math.wat"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "42\n"),
        "{ended:?}"
    );
    for (call, reason) in [
        (
            "sub(1, 2)",
            "No exported func named `sub` in component; it exports `add()`\n",
        ),
        ("add(1)", "while interpreting parameters in invoke"),
        (
            "add",
            "Failed to parse invoke 'add': write a call, as `add(arguments)`; did you mean `add()`?",
        ),
    ] {
        let ended = temp.run(["--invoke", call, "math.wat"]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains(reason), "{ended:?}");
    }
}

#[test]
fn component_without_run_export_is_rejected() {
    let temp = TestDir::new();
    temp.file("empty.wat", "(component)");
    let ended = temp.run(["empty.wat"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .contains("no exported instance named `wasi:cli/run@0.2"),
        "{ended:?}"
    );
}

#[test]
fn http_is_linked_on_request() {
    let temp = TestDir::new();
    let import = r#"(import "wasi:http/types@0.2.0" (instance
        (export "fields" (type (sub resource)))))"#;
    temp.file("http.wat", wat::component(import, 0));
    let ended = temp.run(["-S", "http", "http.wat"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}
