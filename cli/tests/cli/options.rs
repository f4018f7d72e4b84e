//! Options of `wasmtime run` that are served: each is seen to do what it says.

use crate::support::{Place, ended};
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
fn stdin_is_inherited_unless_told_otherwise() {
    let place = Place::new();
    place.file("echo.wat", echo());
    for (options, expected) in [(&[][..], "hello"), (&["-S", "inherit-stdin=n"], "")] {
        let mut child = place
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
fn stdout_can_be_closed_to_the_guest() {
    let place = Place::new();
    place.file("args.wat", wat::arguments());
    let ended = place.run(["-S", "inherit-stdout=n", "args.wat"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
}

#[test]
fn network_options_are_taken() {
    let place = Place::new();
    place.file("exit.wat", wat::exit(0));
    let all = "inherit-network,tcp,udp,allow-ip-name-lookup,network-error-code";
    assert_eq!(place.run(["-S", all, "exit.wat"]).code, 0);
}

#[test]
fn the_number_of_resources_is_bounded() {
    let place = Place::with_dirs(&["up"]);
    place.file("mkdir.wat", wat::mkdir_component("made"));
    let run = |bound: &str| place.run(["-S", bound, "--upper", "up", "mkdir.wat"]);
    for bound in ["max-resources=0", "max-component-handles=0"] {
        let ended = run(bound);
        assert_ne!(ended.code, 0, "{ended:?}");
        assert_eq!(place.tree("up"), [""; 0]);
    }
    assert_eq!(run("max-resources=10,max-component-handles=10").code, 0);
}

#[test]
fn what_a_guest_makes_the_host_copy_is_bounded() {
    let place = Place::with_dirs(&["up"]);
    place.file("mkdir.wat", wat::mkdir_component("made"));
    let ended = place.run(["-S", "hostcall-fuel=1", "--upper", "up", "mkdir.wat"]);
    assert_ne!(ended.code, 0, "{ended:?}");
    assert_eq!(place.tree("up"), [""; 0]);
}

#[test]
fn memory_is_bounded() {
    let place = Place::new();
    place.file(
        "grow.wat",
        "(module (memory 1) (func (export \"grow\") (result i32) (memory.grow (i32.const 10))))",
    );
    let run = |args: &[&str]| place.run([args, &["--invoke", "grow", "grow.wat"]].concat());
    assert_eq!(run(&[]).stdout, "1\n");
    assert_eq!(run(&["-W", "max-memory-size=131072"]).stdout, "-1\n");
}

#[test]
fn a_core_dump_is_written_on_request() {
    let place = Place::new();
    place.file(
        "trap.wat",
        "(module (func (export \"_start\") unreachable))",
    );
    let ended = place.run(["-D", "coredump=core", "trap.wat"]);
    assert_eq!(ended.code, 134);
    let begin = "Error: failed to run main module `trap.wat`\n\nCaused by:\n    \
                 0: core dumped at core\n    \
                 1: failed to invoke command default\n";
    assert!(ended.stderr.starts_with(begin), "{ended:?}");
    let dump = std::fs::read(place.path("core")).unwrap();
    assert!(dump.starts_with(b"\0asm"));
}

#[test]
fn compiled_code_is_cached_where_the_configuration_says() {
    let place = Place::new();
    let directory = place.path("cache");
    let directory = directory.to_str().unwrap();
    place.file(
        "cache.toml",
        format!("[cache]\ndirectory = \"{directory}\"\n"),
    );
    place.file("exit.wat", wat::exit(4));
    let cached = |args: &[&str]| {
        assert_eq!(place.run([args, &["exit.wat"]].concat()).code, 4);
        place.path("cache").exists() && !place.tree("cache").is_empty()
    };
    assert!(!cached(&["-C", "cache=n,cache-config=cache.toml"]));
    assert!(cached(&["-C", "cache-config=cache.toml"]));
    assert!(cached(&["-C", "cache-config=cache.toml"]));
}

#[test]
fn options_may_come_from_a_file() {
    let place = Place::new();
    place.file("options.toml", "[wasm]\nfuel = 10\n");
    place.file(
        "spin.wat",
        "(module (func (export \"_start\") (loop $a (br $a))))",
    );
    let ended = place.run(["--config", "options.toml", "spin.wat"]);
    assert_eq!(ended.code, 134);
    assert!(ended.stderr.contains("all fuel consumed"), "{ended:?}");
}
