//! Tests of the options that are shared with `wasmtime run`: each has its effect.

use crate::support::{TestDir, ended};
use crate::wat;
use std::io::Write;
use std::process::Stdio;

/// Copies one read of stdin to stdout.
fn echo() -> String {
    wat::module(
        &[],
        "(i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 100))
        (call $check (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $print (i32.const 65536) (i32.load (i32.const 8)))",
    )
}

#[test]
fn stdin_is_inherited_unless_disabled() {
    let temp = TestDir::new();
    temp.file("echo.wat", echo());
    for (options, expected) in [(&[][..], "hello"), (&["-S", "inherit-stdin=n"], "")] {
        let mut child = temp
            .command([options, &["echo.wat"]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"hello").unwrap();
        drop(stdin);
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.stdout.as_str()), (0, expected));
    }
}

#[test]
fn stdout_is_not_inherited_when_disabled() {
    let temp = TestDir::new();
    temp.file("args.wat", wat::arguments());
    let ended = temp.run(["-S", "inherit-stdout=n", "args.wat"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
}

#[test]
fn network_options_are_accepted() {
    let temp = TestDir::new();
    temp.file("exit.wat", wat::exit(0));
    let all = "inherit-network,tcp,udp,allow-ip-name-lookup,network-error-code";
    assert_eq!(temp.run(["-S", all, "exit.wat"]).code, 0);
}

#[test]
fn max_resources_and_max_component_handles_limit_guest() {
    let temp = TestDir::with_dirs(&["up"]);
    temp.file("mkdir.wat", wat::mkdir_component("made"));
    let run = |bound: &str| temp.run(["-S", bound, "--upper", "up", "mkdir.wat"]);
    for bound in ["max-resources=0", "max-component-handles=0"] {
        let ended = run(bound);
        assert_ne!(ended.code, 0, "{ended:?}");
        assert_eq!(temp.tree("up"), [""; 0]);
    }
    assert_eq!(run("max-resources=10,max-component-handles=10").code, 0);
}

#[test]
fn hostcall_fuel_limits_guest() {
    let temp = TestDir::with_dirs(&["up"]);
    temp.file("mkdir.wat", wat::mkdir_component("made"));
    let ended = temp.run(["-S", "hostcall-fuel=1", "--upper", "up", "mkdir.wat"]);
    assert_ne!(ended.code, 0, "{ended:?}");
    assert_eq!(temp.tree("up"), [""; 0]);
}

#[test]
fn max_memory_size_limits_guest() {
    let temp = TestDir::new();
    temp.file(
        "grow.wat",
        "(module (memory 1) (func (export \"grow\") (result i32) (memory.grow (i32.const 10))))",
    );
    let run = |args: &[&str]| temp.run([args, &["--invoke", "grow", "grow.wat"]].concat());
    assert_eq!(run(&[]).stdout, "1\n");
    assert_eq!(run(&["-W", "max-memory-size=131072"]).stdout, "-1\n");
}

#[test]
fn coredump_option_writes_core_dump() {
    let temp = TestDir::new();
    temp.file(
        "trap.wat",
        "(module (func (export \"_start\") unreachable))",
    );
    let ended = temp.run(["-D", "coredump=core", "trap.wat"]);
    assert_eq!(ended.code, 134);
    let begin = "error: failed to run main module `trap.wat`\n\nCaused by:\n    \
                 0: core dumped at core\n    \
                 1: failed to invoke command default\n";
    assert!(ended.stderr.starts_with(begin), "{ended:?}");
    let dump = std::fs::read(temp.path("core")).unwrap();
    assert!(dump.starts_with(b"\0asm"));
}

#[test]
fn compiled_code_is_cached_in_configured_directory() {
    let temp = TestDir::new();
    let directory = temp.path("cache");
    let directory = directory.to_str().unwrap();
    temp.file(
        "cache.toml",
        format!("[cache]\ndirectory = \"{directory}\"\n"),
    );
    temp.file("exit.wat", wat::exit(4));
    let cached = |args: &[&str]| {
        assert_eq!(temp.run([args, &["exit.wat"]].concat()).code, 4);
        temp.path("cache").exists() && !temp.tree("cache").is_empty()
    };
    assert!(!cached(&["-C", "cache=n,cache-config=cache.toml"]));
    assert!(cached(&["-C", "cache-config=cache.toml"]));
    assert!(cached(&["-C", "cache-config=cache.toml"]));
}

#[test]
fn options_are_read_from_config_file() {
    let temp = TestDir::new();
    temp.file("options.toml", "[wasm]\nfuel = 10\n");
    temp.file(
        "spin.wat",
        "(module (func (export \"_start\") (loop $a (br $a))))",
    );
    let ended = temp.run(["--config", "options.toml", "spin.wat"]);
    assert_eq!(ended.code, 134);
    assert!(ended.stderr.contains("all fuel consumed"), "{ended:?}");
}
