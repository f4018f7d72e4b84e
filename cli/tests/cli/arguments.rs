//! Tests of arguments, environment variables and exit codes, and of `--invoke` on core modules.

use crate::support::TestDir;
use crate::wat;
use std::io::Write;
use std::process::Stdio;

/// Runs a guest of `wat::arguments`, and returns the strings that it prints.
fn printed_arguments(temp: &TestDir, args: &[&str]) -> Vec<String> {
    let ended = temp.run(args);
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
fn arguments_after_wasm_file_are_passed_to_guest() {
    let temp = TestDir::with_dirs(&["sub"]);
    temp.file("sub/args.wat", wat::arguments());
    assert_eq!(
        printed_arguments(
            &temp,
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
        printed_arguments(&temp, &["--argv0", "tool", "--", "sub/args.wat", "a"]),
        ["tool", "a"]
    );
}

#[test]
fn env_option_sets_or_inherits_variables() {
    let temp = TestDir::new();
    temp.file("args.wat", wat::arguments());
    let run = |args: &[&str]| {
        let mut command = temp.command([&["-C", "cache=n"], args].concat());
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
fn command_exits_with_exit_code_of_guest() {
    let temp = TestDir::new();
    for code in [0, 1, 7, 125] {
        temp.file("exit.wat", wat::exit(code));
        let ended = temp.run(["exit.wat"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (code as i32, ""));
    }
}

#[test]
fn trap_of_module_is_reported_as_by_wasmtime_run() {
    let temp = TestDir::new();
    temp.file(
        "trap.wat",
        "(module (func $boom unreachable) (func $start (export \"_start\") (call $boom)))",
    );
    let ended = temp.run(["trap.wat"]);
    assert_eq!(ended.code, 134);
    assert_eq!(
        ended.stderr,
        "error: failed to run main module `trap.wat`\n\
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
fn timeout_or_fuel_ends_infinite_loop() {
    let temp = TestDir::new();
    temp.file(
        "spin.wat",
        "(module (func (export \"_start\") (loop $again (br $again))))",
    );
    for (limit, reason) in [
        ("timeout=50ms", "wasm trap: interrupt"),
        ("fuel=10000", "all fuel consumed by WebAssembly"),
    ] {
        let ended = temp.run(["-W", limit, "spin.wat"]);
        assert_eq!(ended.code, 134, "{ended:?}");
        assert!(ended.stderr.contains(reason), "{ended:?}");
    }
}

#[test]
fn invoke_calls_export_with_arguments() {
    let temp = TestDir::new();
    temp.file(
        "math.wat",
        r#"(module
          (func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1)))
          (func (export "half") (param f64) (result f64)
            (f64.div (local.get 0) (f64.const 2)))
          (func (export "_start") unreachable))"#,
    );
    let ended = temp.run(["--invoke", "add", "math.wat", "40", "0x2"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "42\n"));
    let ended = temp.run(["--invoke", "half", "math.wat", "5"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "2.5\n"));
    for (args, reason) in [
        (
            &["--invoke", "sub", "math.wat"][..],
            "no func export named `sub` found; it exports `",
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
        let ended = temp.run(args);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains(reason), "{ended:?}");
    }
}

#[test]
fn invoke_proposes_exported_functions() {
    let temp = TestDir::new();
    temp.file(
        "math.wat",
        r#"(module (memory (export "memory") 1)
          (func (export "add")) (func (export "half")) (func (export "_start")))"#,
    );
    let ended = temp.run(["--invoke", "adds", "math.wat"]);
    let cause = "no func export named `adds` found; did you mean `add`? It exports `add`, `half`, \
                 `_start`\n";
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.ends_with(cause), "{ended:?}");
    let many: String = (0..30)
        .map(|index| format!("(func (export \"f{index}\"))"))
        .collect();
    temp.file("many.wat", format!("(module {many})"));
    let ended = temp.run(["--invoke", "zzz", "many.wat"]);
    assert!(ended.stderr.ends_with(" and 20 more\n"), "{ended:?}");
}

#[test]
fn workdir_sets_pwd() {
    let temp = TestDir::new();
    temp.file("args.wat", wat::arguments());
    let env = |args: &[&str]| {
        let mut command = temp.command([&["-C", "cache=n"], args, &["args.wat"]].concat());
        command.env_clear().env("PWD", "/host");
        let ended = crate::support::ended(command.output().unwrap());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
        ended.stdout
    };
    assert_eq!(env(&["-w", "/work"]), "args.wat\0PWD=/work\0");
    assert_eq!(
        env(&["--workdir", "/work", "-S", "inherit-env"]),
        "args.wat\0PWD=/work\0"
    );
    assert_eq!(
        env(&["-w", "/work", "-e", "PWD=/other"]),
        "args.wat\0PWD=/other\0"
    );
}

#[test]
fn program_is_read_from_stdin() {
    let temp = TestDir::new();
    let mut child = temp.command(["-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(wat::exit(9).as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn closed_stderr_causes_no_panic() {
    let temp = TestDir::new();
    let mut child = temp
        .command(["nope.wasm"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
