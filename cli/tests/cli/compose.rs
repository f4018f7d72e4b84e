//! Tests of `compose` and `component`: their output files, their reports, and runs of the result.
//!
//! They need the component: `scripts/build-component.sh`.

use crate::support::{Ended, TestDir, ended};
use crate::wat;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A directory with layers and a program that prints `etc/motd` of its first preopen.
pub(crate) fn test_dir() -> TestDir {
    let temp = TestDir::with_dirs(&["base", "app", "up", "none"]);
    temp.file("base/etc/motd", "base\n")
        .file("app/etc/motd", "app\n")
        .file("cat.wat", wat::cat(3, "etc/motd"))
        .file("mkdir.wat", wat::mkdir_component("made"));
    temp
}

/// Runs a subcommand with arguments that are separated by spaces.
pub(crate) fn run(temp: &TestDir, subcommand: &str, args: &str) -> Ended {
    ended(
        temp.subcommand(subcommand, args.split(' '))
            .output()
            .unwrap(),
    )
}

/// The report of a subcommand, with `N` for sizes, which differ between builds.
#[track_caller]
pub(crate) fn report(temp: &TestDir, subcommand: &str, args: &str) -> String {
    let ended = run(temp, subcommand, args);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{ended:?}");
    let words = ended.stderr.split(' ');
    let sizes = words.map(|word| {
        if word.parse::<u32>().is_ok() {
            "N"
        } else {
            word
        }
    });
    sizes.collect::<Vec<_>>().join(" ")
}

#[test]
fn component_is_composed_and_runs() {
    let temp = test_dir();
    let text = report(
        &temp,
        "compose",
        "mkdir.wat -o out.wasm --lower /base --lower /app --upper /up",
    );
    assert_eq!(
        text,
        "mkdir.wat: a component, N KiB, with the filesystem of WASI 0.2.0\n\
         overlay: retargeted to WASI 0.2.0, N KiB\n\
         layers, bottom first: /base, /app\n\
         changes: to /up\n\
         merged tree: at /\n\
         other preopens: none passed\n\
         out.wasm: N KiB\n\
         run it with (replace each DIR by a host directory):\n  \
         wasmtime run --dir DIR::/base --dir DIR::/app --dir DIR::/up out.wasm\n"
    );
    let ran = temp.run([
        "--dir",
        "base::/base",
        "--dir",
        "app::/app",
        "--dir",
        "up::/up",
        "out.wasm",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(temp.path("up/made").is_dir());
    assert!(!temp.path("app/made").exists());
}

#[test]
fn core_module_is_composed_and_runs() {
    let temp = test_dir();
    let text = report(
        &temp,
        "compose",
        "cat.wat -o out.wasm --lower /base --lower /app --at /tree --pass /none --read-only",
    );
    for line in [
        "cat.wat: a core module of WASI 0.1, wrapped as a command, N KiB, ",
        "\nchanges: refused (--read-only)\n",
        "\nmerged tree: at /tree\n",
        "\nother preopens: only /none passed, unchanged\n",
        "--dir DIR::/none out.wasm\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let dirs = ["--dir", "base::/base", "--dir", "app::/app"];
    let ran = temp.run([&dirs[..], &["--dir", "none::/none", "out.wasm"]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "app\n"), "{ran:?}");
}

#[test]
fn composed_program_can_be_composed_again() {
    let temp = test_dir();
    report(
        &temp,
        "compose",
        "cat.wat -o one.wasm --lower /base --lower /app",
    );
    // The inner overlay's lowest layer is the tree of the outer one.
    report(
        &temp,
        "compose",
        "one.wasm -o two.wasm --lower /first --upper /up --at /base --pass /app --nested",
    );
    temp.file("up/etc/motd", "up\n");
    let dirs = ["--dir", "base::/first", "--dir", "up::/up", "--dir"];
    let ran = temp.run([&dirs[..], &["app::/app", "two.wasm"]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "app\n"), "{ran:?}");
    let ran = temp.run([&dirs[..], &["none::/app", "two.wasm"]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "up\n"), "{ran:?}");
}

#[test]
fn shell_command_in_report_is_quoted() {
    let temp = test_dir();
    let mut command = temp.subcommand(
        "compose",
        [
            "mkdir.wat",
            "-o",
            "my out.wasm",
            "--lower",
            "it's",
            "--upper",
            "/up",
            "--volatile",
        ],
    );
    let ended = ended(command.output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
    let line = r"wasmtime run --dir 'DIR::it'\''s' --dir DIR::/up 'my out.wasm'";
    assert!(ended.stderr.contains(line), "{ended:?}");
    assert!(
        ended.stderr.contains("to /up, not synced to disk"),
        "{ended:?}"
    );
}

#[test]
fn component_command_reports_configuration_and_usage() {
    let temp = test_dir();
    let text = report(&temp, "component", "-o overlay.wasm");
    assert!(
        text.starts_with("overlay.wasm: the overlay for WASI 0.2.0, N KiB\n"),
        "{text}"
    );
    assert!(
        text.contains("\nconfiguration: none, so /lower, "),
        "{text}"
    );
    assert!(
        text.ends_with("wac plug APP.wasm --plug overlay.wasm -o COMPOSED.wasm\n"),
        "{text}"
    );
    let text = report(
        &temp,
        "component",
        "-o filled.wasm --wasi 0.2.6 --lower /base",
    );
    assert!(text.contains("WASI 0.2.6"), "{text}");
    assert!(text.contains("\nlayers, bottom first: /base\n"), "{text}");
    assert!(
        text.contains("refused, since there is no --upper\n"),
        "{text}"
    );
    let text = report(&temp, "component", "-o typed.wasm --configured");
    assert!(
        text.contains("`wasi-overlay:component/config@0.1.0`"),
        "{text}"
    );
    assert!(
        text.contains("\n  wac plug typed.wasm --plug CONFIG.wasm -o OVERLAY.wasm\n"),
        "{text}"
    );
}

#[test]
fn output_has_mode_of_new_file() {
    let temp = test_dir();
    report(&temp, "compose", "mkdir.wat -o out.wasm --lower /base");
    temp.file("new", "");
    let mode = |name: &str| fs::metadata(temp.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("out.wasm"), mode("new"));
}

#[test]
fn output_is_written_to_stdout_on_request() {
    let temp = test_dir();
    for (subcommand, args) in [
        ("compose", "mkdir.wat -o - --lower /base"),
        ("component", "-o - --lower /base"),
    ] {
        let output = temp
            .subcommand(subcommand, args.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success());
        assert!(output.stdout.starts_with(b"\0asm"), "{subcommand}");
        let report = String::from_utf8(output.stderr).unwrap();
        assert!(report.contains("stdout: "), "{report}");
        assert!(
            !report.contains(" -o - ") && !report.contains(" -\n"),
            "{report}"
        );
    }
    assert!(!temp.path("-").exists());
}

#[test]
fn hint_for_http_program_links_wasi() {
    let temp = test_dir();
    let program = wat::mkdir_component("made").replace(
        "(export \"wasi:cli/run@0.2.0\" (instance $cli))",
        "(instance $http (export \"handle\" (func $run)))
         (export \"wasi:http/incoming-handler@0.2.0\" (instance $http))",
    );
    temp.file("http.wat", program);
    let text = report(&temp, "compose", "http.wat -o out.wasm --lower /base");
    assert!(
        text.ends_with("\n  wasmtime serve -Scli --dir DIR::/base out.wasm\n"),
        "{text}"
    );
}
