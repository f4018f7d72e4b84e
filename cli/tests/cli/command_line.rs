//! Tests of the command line as a whole: the implied `run`, misspelt and unknown words, values that are not
//! UTF-8, and the form of errors.

use crate::support::{Ended, TestDir, ended};
use crate::wat;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

fn run(temp: &TestDir, args: &[&str]) -> Ended {
    ended(temp.binary(args).output().unwrap())
}

/// Expects that the command ends with code 2 and an error that begins with `expected`.
#[track_caller]
fn does_not_parse(temp: &TestDir, args: &[&str], expected: &str) {
    let ended = run(temp, args);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    let text = format!("error: {expected}\n");
    assert!(
        ended.stderr.starts_with(&text),
        "{args:?}: {}",
        ended.stderr
    );
}

#[test]
fn run_is_implied_for_program_and_for_options() {
    let temp = TestDir::with_dirs(&["base"]);
    temp.file("exit.wat", wat::exit(7))
        .file("program", wat::exit(8));
    for (args, code) in [
        (&["exit.wat"][..], 7),
        (&["program", "--layer"], 8),
        (&["--layer", "base", "exit.wat"], 7),
        (&["-S", "http=n", "exit.wat"], 7),
    ] {
        let ended = run(&temp, args);
        assert_eq!((ended.code, ended.stderr.as_str()), (code, ""), "{args:?}");
    }
    let missing = run(&temp, &["nope.wasm"]);
    assert_eq!(missing.code, 1);
    assert!(
        missing
            .stderr
            .starts_with("error: `nope.wasm`: there is no such file"),
        "{missing:?}"
    );
}

#[test]
fn misspelt_subcommand_is_corrected() {
    does_not_parse(
        &TestDir::new(),
        &["runn", "exit.wat"],
        "unrecognized subcommand 'runn'\n\n  tip: some similar subcommands exist: 'prune', 'run'",
    );
}

#[test]
fn command_alone_prints_help() {
    let temp = TestDir::new();
    let alone = run(&temp, &[]);
    assert_eq!(alone.code, 2);
    assert!(
        alone.stderr.contains("Usage: wasi-overlay <COMMAND>"),
        "{alone:?}"
    );
    let help = run(&temp, &["help", "run"]);
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("--layer"), "{help:?}");
}

#[test]
fn version_names_that_of_wasmtime() {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    let (_, after) = lock
        .split_once("name = \"wasmtime\"\nversion = \"")
        .unwrap();
    let (wasmtime, _) = after.split_once('"').unwrap();
    let expected = format!(
        "wasi-overlay {} (wasmtime {wasmtime})\n",
        env!("CARGO_PKG_VERSION")
    );
    for flag in ["-V", "--version"] {
        assert_eq!(run(&TestDir::new(), &[flag]).stdout, expected);
    }
}

#[test]
fn options_of_other_tools_are_explained() {
    let temp = TestDir::new();
    let layer = "layers are given with '--layer DIR', repeated for each one, the bottom one first";
    for (args, tip) in [
        (&["run", "--lower", "a", "x.wasm"][..], layer),
        (&["--lower", "a", "x.wasm"], layer),
        (&["run", "--rootfs", "a", "x.wasm"], layer),
        (
            &["run", "--upperdir", "a", "x.wasm"],
            "changes go to '--upper DIR', which needs no work directory",
        ),
        (
            &["run", "--rm", "x.wasm"],
            "omit it: a run leaves nothing behind, and the program has this terminal",
        ),
        (
            &["compose", "--layer", "a", "x.wasm"],
            "layers are preopens: name them with '--lower NAME', the bottom one first",
        ),
        (
            &["compose", "--dir", "a", "x.wasm"],
            "give directories when you run the composed program, as in 'wasmtime run --dir HOST::NAME'",
        ),
    ] {
        let option = args.iter().find(|arg| arg.starts_with("--")).unwrap();
        let expected = format!("unexpected argument '{option}' found\n\n  tip: {tip}");
        does_not_parse(&temp, args, &expected);
    }
    // clap proposes similar options.
    does_not_parse(
        &temp,
        &["run", "--layers", "a", "x.wasm"],
        "unexpected argument '--layers' found\n\n  tip: a similar argument exists: '--layer'",
    );
}

#[test]
fn number_with_unit_in_wasmtime_option_is_explained() {
    let temp = TestDir::new();
    does_not_parse(
        &temp,
        &["run", "-W", "max-memory-size=64m", "x.wasm"],
        "-W max-memory-size=64m: the value is a number of bytes without a unit; write -W \
         max-memory-size=67108864",
    );
    does_not_parse(
        &temp,
        &["run", "-W", "fuel=1k", "x.wasm"],
        "-W fuel=1k: the value is not a number; write one, as in -W fuel=1000",
    );
}

/// A word that is not UTF-8: `prefix`, then the byte 0xff.
fn word(prefix: &str) -> OsString {
    OsStr::from_bytes(&[prefix.as_bytes(), b"\xff"].concat()).to_owned()
}

#[test]
fn host_paths_need_not_be_utf8() {
    let temp = TestDir::new();
    for dir in ["layer", "live", "volume"] {
        fs::create_dir(temp.path(word(dir))).unwrap();
        fs::write(temp.path(word(dir)).join("file"), dir).unwrap();
    }
    let program = word("program");
    fs::write(temp.path(&program), wat::cat(3, "file")).unwrap();
    let last = [OsString::from("--argv0"), "x".into(), program.clone()];
    for (option, value, expected) in [
        ("--layer", word("layer"), "layer"),
        (
            "--mount",
            [word("dst=/d,layer=layer"), ",upper=up".into()].concat_os(),
            "layer",
        ),
        ("--dir", [word("live"), "::/d".into()].concat_os(), "live"),
        (
            "-v",
            [word("volume"), ":/d:ro".into()].concat_os(),
            "volume",
        ),
    ] {
        let args = [&[option.into(), value][..], &last].concat();
        let ended = temp.run(&args);
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (0, expected, ""),
            "{args:?}"
        );
    }
    fs::write(temp.path(&program), wat::write(3, "new", "text", "")).unwrap();
    let upper = [OsString::from("--upper"), word("upper")];
    let ended = temp.run([&upper[..], &last].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(temp.path(word("upper")).join("new").is_file());

    temp.file("cat.wat", wat::cat(3, "file"));
    let args = ["cat.wat", "--lower", "/base", "-o"].map(OsString::from);
    let output = temp.subcommand("compose", args.into_iter().chain([word("out")]));
    let ended = ended_of(output);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(temp.path(word("out")).is_file());
}

/// Joins parts of a word.
trait ConcatOs {
    fn concat_os(self) -> OsString;
}

impl ConcatOs for [OsString; 2] {
    fn concat_os(self) -> OsString {
        let [mut first, second] = self;
        first.push(second);
        first
    }
}

fn ended_of(mut command: Command) -> Ended {
    ended(command.output().unwrap())
}

#[test]
fn value_that_has_to_be_utf8_is_named() {
    let temp = TestDir::new();
    temp.file("ok.wat", wat::exit(0));
    fs::write(temp.path(word("program")), wat::exit(0)).unwrap();
    let fails = |args: &[OsString], expected: &str| {
        let ended = temp.run(args);
        assert_eq!(ended.stdout, "");
        assert!(
            ended.stderr.starts_with(&format!("error: {expected}")),
            "{args:?}: {}",
            ended.stderr
        );
    };
    fails(
        &["--env".into(), word("A="), "ok.wat".into()],
        "invalid value 'A=\u{fffd}' for '--env <NAME[=VALUE]>': it is not UTF-8, which WASI requires\n",
    );
    fails(
        &["--at".into(), word("/"), "ok.wat".into()],
        "invalid value '/\u{fffd}' for '--at <GUEST_PATH>': it is not UTF-8, which WASI requires\n",
    );
    fails(
        &[
            "--layer".into(),
            word("a"),
            "-W".into(),
            word("fuel="),
            "ok.wat".into(),
        ],
        "argument 5 (`fuel=\u{fffd}`) is not UTF-8; write it in UTF-8\n",
    );
    fails(
        &["ok.wat".into(), "a".into(), word("b")],
        "argument 2 of the program, `b\u{fffd}`, is not UTF-8, which WASI requires\n",
    );
    fails(
        &[word("program")],
        "the name of the program, `program\u{fffd}`, is not UTF-8, which WASI requires; give it \
         another name with --argv0 NAME\n",
    );
    fails(
        &["--dir".into(), word("live"), "ok.wat".into()],
        "invalid value 'live\u{fffd}' for '--dir <HOST[::GUEST[::ro]]>': the guest path is not UTF-8, \
         which WASI requires; write HOST::GUEST with another GUEST\n",
    );
}

/// Runs the command with a terminal as its stderr, by `script` of util-linux.
fn stderr_on_terminal(temp: &TestDir, line: &str, no_color: bool) -> String {
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command"])
        .arg(format!("{} {line}", env!("CARGO_BIN_EXE_wasi-overlay")))
        .arg("/dev/null")
        .current_dir(temp.path(""))
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    if no_color {
        script.env("NO_COLOR", "1");
    }
    ended(script.output().unwrap()).stdout
}

/// Whether there is a `script`, to make a terminal.
fn has_script() -> bool {
    let found = Command::new("script").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no `script` to make a terminal");
    }
    found
}

#[test]
fn wasm_is_not_written_to_terminal() {
    let temp = TestDir::new();
    temp.file("mkdir.wat", wat::mkdir_component("made"));
    if has_script() {
        for line in ["compose mkdir.wat -o - --lower /a", "component -o -"] {
            assert_eq!(
                stderr_on_terminal(&temp, line, true),
                "error: -o -: stdout is a terminal, and WebAssembly is binary; redirect it, as in `-o - \
                 >out.wasm`\r\n"
            );
        }
    }
}

#[test]
fn all_errors_have_one_form_and_colour() {
    let temp = TestDir::new();
    temp.file("none.wat", wat::component("", 0));
    for line in [
        "run nope.wasm",
        "run --nope x.wasm",
        "run --dir :: x.wasm",
        "compose none.wat -o out.wasm --lower /a",
        "component -o nope/out.wasm",
    ] {
        let plain = run(&temp, &line.split(' ').collect::<Vec<_>>());
        assert!(plain.stderr.starts_with("error: "), "{line}: {plain:?}");
        assert!(!plain.stderr.contains('\x1b'), "{line}: {plain:?}");
        if !has_script() {
            return;
        }
        let coloured = stderr_on_terminal(&temp, line, false);
        assert!(
            coloured.starts_with("\x1b[1m\x1b[31merror:\x1b[0m "),
            "{line}: {coloured:?}"
        );
        let no_color = stderr_on_terminal(&temp, line, true);
        assert!(no_color.starts_with("error: "), "{line}: {no_color:?}");
    }
}
