//! Tests of the log on stderr, in every version of WASI: a line for each failed call with
//! `WASMTIME_LOG=wasi_overlay=debug`, and warnings once per mount by default.

use crate::support::{Ended, TestDir};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use wasi_overlay_guest_artifacts::{Guest, P1_SCRIPT, P2_SCRIPT, P3_SCRIPT};

/// Guests that run a script, one of each version of WASI.
pub(crate) const GUESTS: [Guest; 3] = [P1_SCRIPT, P2_SCRIPT, P3_SCRIPT];

/// A step of a script, and what its log line contains: call, path, layer (or ""), part of the reason, part
/// of the remedy (or "").
type Row = (&'static str, [&'static str; 5]);

const ON_LAYERS: [Row; 19] = [
    (
        "stat-at 0 - none",
        ["stat-at", "none", "", "no layer has `none`", ""],
    ),
    (
        "stat-at 0 - d/hidden",
        [
            "stat-at",
            "d/hidden",
            "top",
            "the whiteout of `d/hidden`; the layer `--layer low` has it",
            "",
        ],
    ),
    (
        "open 1 0 r d/removed",
        [
            "open-at",
            "d/removed",
            "up",
            "a whiteout in the upper; the layer `--layer low` has it",
            "",
        ],
    ),
    (
        "unlink 0 o/below",
        [
            "unlink-file-at",
            "o/below",
            "top",
            "the opaque directory `o`; the layer `--layer low` has it",
            "",
        ],
    ),
    (
        "open 1 0 r absolute",
        [
            "open-at",
            "absolute",
            "",
            "`absolute` leads to the absolute path `/d/file`",
            "--absolute-symlinks root",
        ],
    ),
    (
        "readlink 0 absolute",
        [
            "readlink-at",
            "absolute",
            "",
            "the absolute path `/d/file`",
            "--absolute-symlinks root",
        ],
    ),
    (
        "stat-at 0 - d/../../x",
        ["stat-at", "d/../../x", "", "leads above the directory", ""],
    ),
    (
        "mkdir 0 d/.wh.x",
        [
            "create-directory-at",
            "d/.wh.x",
            "",
            "names that begin with .wh.",
            "",
        ],
    ),
    (
        "mkdir 0 d",
        ["create-directory-at", "d", "", "file exists", ""],
    ),
    (
        "rmdir 0 d",
        ["remove-directory-at", "d", "", "directory not empty", ""],
    ),
    (
        "unlink 0 d",
        ["unlink-file-at", "d", "", "is a directory", ""],
    ),
    (
        "stat-at 0 - d/file/x",
        [
            "stat-at",
            "d/file/x",
            "",
            "`file` in the path is not a directory",
            "",
        ],
    ),
    (
        "symlink /x 0 new",
        [
            "symlink-at",
            "new",
            "",
            "symlinks to absolute paths cannot be created",
            "",
        ],
    ),
    (
        "link 0 n d 0 new",
        [
            "link-at",
            "d",
            "",
            "a directory cannot have a second name",
            "",
        ],
    ),
    (
        "rename 0 d/hidden 0 new",
        ["rename-at", "d/hidden", "top", "the whiteout", ""],
    ),
    (
        "open 1 0 r fifo",
        [
            "open-at",
            "fifo",
            "",
            "FIFOs, sockets and devices cannot be opened",
            "",
        ],
    ),
    (
        "stat-at 0 - loop",
        ["stat-at", "loop", "", "Limits::link_hops", ""],
    ),
    (
        "open 2 0 r broken/x",
        [
            "open-at",
            "broken/x",
            "low",
            "the whiteout `.wh...`",
            "remove the file",
        ],
    ),
    (
        "set-times-at 0 - none 5",
        ["set-times-at", "none", "", "no layer has `none`", ""],
    ),
];

fn test_dir() -> TestDir {
    let temp = TestDir::with_dirs(&["low", "top/o", "up/d"]);
    temp.file("low/d/file", "x")
        .file("low/d/hidden", "x")
        .file("top/d/.wh.hidden", "")
        .file("low/d/removed", "x")
        .file("up/d/.wh.removed", "")
        .file("low/o/below", "x")
        .file("top/o/.wh..wh..opq", "")
        .file("low/broken/.wh...", "");
    symlink("/d/file", temp.path("low/absolute")).unwrap();
    symlink("loop", temp.path("low/loop")).unwrap();
    let fifo = temp.path("low/fifo");
    assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    write_guests(&temp);
    temp
}

/// Writes the guests that [`failed_call_lines`] runs.
pub(crate) fn write_guests(temp: &TestDir) {
    for guest in GUESTS {
        temp.file(
            &format!("{}.wasm", guest.name),
            fs::read(guest.path()).unwrap(),
        );
    }
}

/// Runs a script with `log` as `WASMTIME_LOG`, and returns the lines about failed calls.
pub(crate) fn failed_call_lines(
    temp: &TestDir,
    log: Option<&str>,
    guest: Guest,
    args: &[&str],
    script: &str,
) -> (Ended, Vec<String>) {
    let app = format!("{}.wasm", guest.name);
    let mut command = temp.command([args, &[&app, script]].concat());
    match log {
        Some(log) => command.env("WASMTIME_LOG", log),
        None => command.env_remove("WASMTIME_LOG"),
    };
    let ended = crate::support::ended(command.output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines = ended
        .stderr
        .lines()
        .filter(|line| line.contains(" a call failed"));
    let lines = lines.map(str::to_owned).collect();
    (ended, lines)
}

fn check(rows: &[Row], lines: &[String], what: &str) {
    assert_eq!(lines.len(), rows.len(), "{what}: {lines:#?}");
    for ((step, [call, path, layer, reason, remedy]), line) in rows.iter().zip(lines) {
        let has = |words: &str| assert!(line.contains(words), "{what}: {step}: {words}: {line}");
        has(&format!("call=\"{call}\" path=\"{path}\" "));
        has(reason);
        if layer.is_empty() {
            assert!(!line.contains(" layer="), "{what}: {step}: {line}");
        } else {
            has(&format!(" layer=\"--{} {layer}\"", layer_option(layer)));
        }
        if remedy.is_empty() {
            assert!(!line.contains(" remedy="), "{what}: {step}: {line}");
        } else {
            has(" remedy=\"");
            has(remedy);
        }
    }
}

/// The option of a layer, by which the log names it.
fn layer_option(layer: &str) -> &'static str {
    if layer == "up" { "upper" } else { "layer" }
}

fn script(rows: &[Row]) -> String {
    rows.iter().map(|(step, _)| format!("{step}\n")).collect()
}

const LAYERS: [&str; 6] = ["--layer", "low", "--layer", "top", "--upper", "up"];

#[test]
fn debug_log_has_a_line_for_each_failed_call() {
    let temp = test_dir();
    for guest in GUESTS {
        let log = Some("wasi_overlay=debug");
        let (ended, found) = failed_call_lines(&temp, log, guest, &LAYERS, &script(&ON_LAYERS));
        check(&ON_LAYERS, &found, guest.name);
        // The answers to the guest contain none of it.
        for words in [
            "whiteout",
            "layer",
            "low",
            "top/",
            temp.path("").to_str().unwrap(),
        ] {
            let steps = ended
                .stdout
                .lines()
                .filter_map(|line| line.split_once(" = "));
            for (_, answer) in steps {
                assert!(!answer.contains(words), "{words}: {answer}");
            }
        }
    }
}

#[test]
fn log_names_read_only_mount_and_remedy() {
    let temp = test_dir();
    let rows: [Row; 4] = [
        (
            "unlink 0 d/file",
            ["unlink-file-at", "d/file", "", "the mount", "--"],
        ),
        (
            "mkdir 0 new",
            ["create-directory-at", "new", "", "the mount", "--"],
        ),
        (
            "rename 0 d/file 0 new",
            ["rename-at", "d/file", "", "the mount", "--"],
        ),
        (
            "open 1 0 w d/file",
            ["open-at", "d/file", "", "the mount", "--"],
        ),
    ];
    for guest in GUESTS {
        for args in [
            &["--layer", "low", "--read-only"][..],
            &["--layer", "low", "--upper", "up", "--read-only"],
        ] {
            let log = Some("wasi_overlay=debug");
            let (_, found) = failed_call_lines(&temp, log, guest, args, &script(&rows));
            check(&rows, &found, guest.name);
        }
    }
}

#[test]
fn log_names_live_directory() {
    let temp = test_dir();
    let live = fs::canonicalize(temp.path("low")).unwrap();
    for guest in GUESTS {
        let log = Some("wasi_overlay=debug");
        let text = "stat-at 0 - none\nrmdir 0 d\n";
        let (_, found) = failed_call_lines(&temp, log, guest, &["--dir", "low::/"], text);
        let [missing, full] = &found[..] else {
            panic!("{found:#?}")
        };
        assert!(
            missing.contains("call=\"stat-at\" path=\"none\""),
            "{missing}"
        );
        assert!(missing.contains("no such file or directory"), "{missing}");
        assert!(
            missing.contains(&format!("layer=\"{}\"", live.display())),
            "{missing}"
        );
        assert!(full.contains("Directory not empty"), "{full}");
    }
}

/// In 0.1 a program may use a descriptor that it does not have; in later versions that is a trap.
#[test]
fn log_names_kind_of_descriptor_that_call_cannot_use() {
    let temp = test_dir();
    let text = "open 1 0 r d/file\nlist 1\n";
    for guest in GUESTS {
        let (_, found) = failed_call_lines(&temp, Some("wasi_overlay=debug"), guest, &LAYERS, text);
        let [line] = &found[..] else {
            panic!("{}: {found:#?}", guest.name)
        };
        assert!(
            line.contains("call=\"read-directory\"") || line.contains("call=\"fd_readdir\""),
            "{line}"
        );
        assert!(
            line.contains("is a file") || line.contains("is not a directory"),
            "{line}"
        );
    }
}

#[test]
fn warnings_about_layers_are_logged_once_per_mount_by_default() {
    let temp = test_dir();
    let text = "stat-at 0 - none\nopen 1 0 r absolute\nreadlink 0 absolute\nstat-at 0 - absolute\n\
                open 1 0 r broken/x\nlist 0\nstat-at 0 - broken/y\n";
    for guest in GUESTS {
        let (ended, found) = failed_call_lines(&temp, None, guest, &LAYERS, text);
        let [link, whiteout] = &found[..] else {
            panic!("{found:#?}")
        };
        assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
        for (line, words) in [
            (
                link,
                ["WARN", "`absolute`", "/d/file", "--absolute-symlinks root"],
            ),
            (
                whiteout,
                [
                    "WARN",
                    "in broken: the whiteout `.wh...`",
                    "layer=\"--layer low\"",
                    "remove the file",
                ],
            ),
        ] {
            for words in words {
                assert!(line.contains(words), "{words}: {line}");
            }
        }
        // A mount that resolves such links logs no warning.
        let followed = [&LAYERS[..], &["--absolute-symlinks", "root"]].concat();
        let (ended, _) = failed_call_lines(&temp, None, guest, &followed, "open 1 0 r absolute\n");
        assert_eq!(ended.stderr, "");
        // Each mount logs its own warning.
        let two = ["--layer", "low", "--mount", "dst=/m,layer=low"];
        let text =
            "stat-at 0 - absolute\nstat-at 0 - absolute\npreopen 1 /m\nstat-at 1 - absolute\n";
        let (ended, found) = failed_call_lines(&temp, None, guest, &two, text);
        assert_eq!(found.len(), 2, "{}", ended.stderr);
    }
}

#[test]
fn warning_about_full_memory_upper_is_logged_once_by_default() {
    let temp = test_dir();
    let text = format!(
        "open 1 0 rwc full\nwrite 1 0 {}\nwrite 1 4096 x\nwrite 1 4096 x\n",
        "x".repeat(4096)
    );
    for guest in GUESTS {
        let args = ["--layer", "low", "--upper", "memory:4k"];
        let (ended, found) = failed_call_lines(&temp, None, guest, &args, &text);
        let [line] = &found[..] else {
            panic!("{}", ended.stderr)
        };
        for words in [
            "WARN",
            "path=\"full\"",
            "4096 bytes",
            "layer=\"memory\"",
            "--upper memory:SIZE",
            "--tmpfs PATH:size=SIZE",
        ] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }
}

#[test]
fn program_cannot_forge_log_lines() {
    let name = "a\u{1b}[31m\u{7}b\u{202e}\rWARN";
    for guest in GUESTS {
        let temp = test_dir();
        let (ended, found) = failed_call_lines(
            &temp,
            Some("wasi_overlay=debug"),
            guest,
            &LAYERS,
            &format!("stat-at 0 - {name}\nsymlink {name} 0 l\nstat-at 0 - l\n"),
        );
        assert_eq!(found.len(), 2, "{found:#?}");
        for line in ended.stderr.lines() {
            let is_clean = !line.chars().any(|c| c.is_control() || c == '\u{202e}');
            assert!(is_clean, "{line:?}");
        }
    }
}
