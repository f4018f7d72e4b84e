//! Which argument is whose, and how a guest's end is ours.

use crate::support::Place;
use crate::wat;
use std::io::Write;
use std::process::Stdio;

/// What `wat::arguments` prints, as lists of arguments and of variables.
fn arguments_of(place: &Place, args: &[&str]) -> Vec<String> {
    let ended = place.run(args);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
    let mut strings: Vec<_> = ended.stdout.split('\0').map(str::to_owned).collect();
    assert_eq!(
        strings.pop().as_deref(),
        Some(""),
        "each string ends with NUL"
    );
    strings
}

#[test]
fn what_follows_the_wasm_file_is_the_guests() {
    let place = Place::with_dirs(&["sub"]);
    place.file("sub/args.wat", wat::arguments());
    assert_eq!(
        arguments_of(
            &place,
            &[
                "sub/args.wat",
                "--layer",
                "nope",
                "--help",
                "-S",
                "x",
                "--",
                "y"
            ]
        ),
        [
            "args.wat", "--layer", "nope", "--help", "-S", "x", "--", "y"
        ]
    );
    assert_eq!(
        arguments_of(&place, &["--argv0", "tool", "--", "sub/args.wat", "a"]),
        ["tool", "a"]
    );
}

#[test]
fn variables_are_set_inherited_or_left_out() {
    let place = Place::new();
    place.file("args.wat", wat::arguments());
    let run = |args: &[&str]| {
        let mut command = place.command([&["-C", "cache=n"], args].concat());
        command
            .env_clear()
            .env("HERE", "from here")
            .env("OTHER", "x");
        let ended = crate::support::ended(command.output().unwrap());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
        let mut strings: Vec<_> = ended
            .stdout
            .split_terminator('\0')
            .map(str::to_owned)
            .collect();
        strings.remove(0);
        strings.sort();
        strings
    };
    assert_eq!(run(&["args.wat"]), [""; 0]);
    assert_eq!(
        run(&[
            "--env", "A=b=c", "--env", "HERE", "--env", "MISSING", "--env", "E=", "args.wat"
        ]),
        ["A=b=c", "E=", "HERE=from here"]
    );
    assert_eq!(
        run(&["-S", "inherit-env", "--env", "A=1", "args.wat"]),
        ["A=1", "HERE=from here", "OTHER=x"]
    );
}

#[test]
fn the_guests_exit_code_is_ours() {
    let place = Place::new();
    for code in [0, 1, 7, 125] {
        place.file("exit.wat", wat::exit(code));
        let ended = place.run(["exit.wat"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (code as i32, ""));
    }
}

#[test]
fn a_trap_is_told_as_wasmtime_run_tells_it() {
    let place = Place::new();
    place.file(
        "trap.wat",
        "(module (func $boom unreachable) (func $start (export \"_start\") (call $boom)))",
    );
    let ended = place.run(["trap.wat"]);
    assert_eq!(ended.code, 134);
    assert_eq!(
        ended.stderr,
        "Error: failed to run main module `trap.wat`\n\
         \n\
         Caused by:\n    \
             0: failed to invoke command default\n    \
             1: error while executing at wasm backtrace:\n    \
             0:     0x24 - <unknown>!boom\n    \
             1:     0x28 - <unknown>!start\n    \
             2: wasm trap: wasm `unreachable` instruction executed\n"
    );
}

#[test]
fn a_guest_that_never_ends_is_ended_by_a_timeout_or_by_fuel() {
    let place = Place::new();
    place.file(
        "spin.wat",
        "(module (func (export \"_start\") (loop $again (br $again))))",
    );
    for (limit, reason) in [
        ("timeout=50ms", "wasm trap: interrupt"),
        ("fuel=10000", "all fuel consumed by WebAssembly"),
    ] {
        let ended = place.run(["-W", limit, "spin.wat"]);
        assert_eq!(ended.code, 134, "{ended:?}");
        assert!(ended.stderr.contains(reason), "{ended:?}");
    }
}

#[test]
fn invoke_calls_an_export_with_the_arguments() {
    let place = Place::new();
    place.file(
        "math.wat",
        r#"(module
          (func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1)))
          (func (export "half") (param f64) (result f64)
            (f64.div (local.get 0) (f64.const 2)))
          (func (export "_start") unreachable))"#,
    );
    let ended = place.run(["--invoke", "add", "math.wat", "40", "0x2"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "42\n"));
    let ended = place.run(["--invoke", "half", "math.wat", "5"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "2.5\n"));
    for (args, reason) in [
        (
            &["--invoke", "sub", "math.wat"][..],
            "no func export named `sub` found",
        ),
        (
            &["--invoke", "add", "math.wat", "1"],
            "not enough arguments for `add`",
        ),
        (
            &["--invoke", "add", "math.wat", "1", "x"],
            "invalid digit found in string",
        ),
    ] {
        let ended = place.run(args);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains(reason), "{ended:?}");
    }
}

#[test]
fn the_program_may_come_through_stdin() {
    let place = Place::new();
    let mut child = place.command(["-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(wat::exit(9).as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn a_closed_stderr_is_no_panic() {
    let place = Place::new();
    let mut child = place
        .command(["nope.wasm"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
