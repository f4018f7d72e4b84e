//! Errors of `compose` and `component` for bad input: a message that names the option or the file and the
//! remedy, exit code 1 (2 for arguments that do not parse), and no output.

use crate::compose::{report, run, test_dir};
use crate::support::{Ended, TestDir};
use crate::wat;
use std::fs;
use std::os::unix::fs::symlink;

/// Expects that a subcommand fails with this error, prints nothing else and changes nothing.
#[track_caller]
fn fails(temp: &TestDir, subcommand: &str, args: &str, expected: &str) {
    let before = temp.tree("");
    let expected = Ended {
        code: 1,
        stdout: String::new(),
        stderr: format!("error: {expected}\n"),
    };
    assert_eq!(run(temp, subcommand, args), expected, "{args}");
    assert_eq!(temp.tree(""), before, "{args}");
}

#[test]
fn existing_output_is_replaced_only_with_force() {
    let temp = test_dir();
    temp.file("out.wasm", "mine");
    let exists = "the file already exists; add --force to replace it, or choose another name";
    fails(
        &temp,
        "compose",
        "mkdir.wat -o out.wasm --lower /base",
        &format!("-o out.wasm: {exists}"),
    );
    fails(
        &temp,
        "compose",
        "mkdir.wat -o mkdir.wat --lower /base",
        &format!("-o mkdir.wat: {exists}"),
    );
    fails(
        &temp,
        "component",
        "-o out.wasm",
        &format!("-o out.wasm: {exists}"),
    );
    assert_eq!(temp.read("out.wasm"), "mine");

    symlink("out.wasm", temp.path("link.wasm")).unwrap();
    report(
        &temp,
        "compose",
        "mkdir.wat -o link.wasm --lower /base --force",
    );
    assert!(temp.path("link.wasm").is_symlink());
    let bytes = fs::read(temp.path("out.wasm")).unwrap();
    assert!(bytes.starts_with(b"\0asm"));
    report(
        &temp,
        "compose",
        "mkdir.wat -o mkdir.wat --lower /base --force",
    );
    assert_eq!(fs::read(temp.path("mkdir.wat")).unwrap(), bytes);
}

#[test]
fn output_that_cannot_be_written_is_rejected() {
    let temp = test_dir();
    fails(
        &temp,
        "compose",
        "mkdir.wat -o new/dir/out.wasm --lower /base",
        "-o new/dir/out.wasm: there is no directory `new/dir`; create it with `mkdir -p new/dir`",
    );
    for name in ["base", "/dev/null"] {
        fails(
            &temp,
            "compose",
            &format!("mkdir.wat -o {name} --lower /base --force"),
            &format!(
                "-o {name}: it is not a regular file, so it cannot be replaced; choose another name"
            ),
        );
    }
    symlink("gone", temp.path("dangling")).unwrap();
    let ended = run(
        &temp,
        "compose",
        "mkdir.wat -o dangling --lower /base --force",
    );
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .starts_with("error: -o dangling: the target of the link cannot be found; remove"),
        "{ended:?}"
    );
    let ended = run(
        &temp,
        "compose",
        "mkdir.wat -o base/etc/motd/out --lower /base",
    );
    assert!(
        ended
            .stderr
            .contains("-o base/etc/motd/out: it cannot be accessed"),
        "{ended:?}"
    );
}

#[test]
fn invalid_configuration_is_rejected() {
    let temp = test_dir();
    let fails = |args: &str, expected: &str| {
        let args = format!("mkdir.wat -o out.wasm {args}");
        fails(&temp, "compose", args.trim_end(), expected);
    };
    fails(
        "",
        "an overlay needs a layer or an upper: name a preopen with --lower or --upper",
    );
    fails(
        "--lower=",
        "--lower \"\": a preopen's name must not be empty or contain a line break or NUL",
    );
    fails(
        "--lower a\nb",
        "--lower \"a\\nb\": a preopen's name must not be empty or contain a line break or NUL",
    );
    fails(
        "--lower /a --at=",
        "--at \"\": a preopen's name must not be empty or contain a line break or NUL",
    );
    fails(
        "--lower /a --upper /a",
        "\"/a\" is named by --lower and again by --upper: name each preopen only once",
    );
    fails(
        "--lower /a --lower /a",
        "\"/a\" is named twice by --lower: name each preopen only once",
    );
    fails(
        "--lower /a --pass /",
        "--pass \"/\" is also the name of the merged tree: choose another name for the tree with --at",
    );
    let many: String = (0..400)
        .map(|index| format!(" --lower /layer{index}"))
        .collect();
    let text: usize = (0..400)
        .map(|index| format!("lower=/layer{index}\n").len())
        .sum();
    fails(
        many.trim_start(),
        &format!(
            "the configuration has {} bytes, but the component holds at most 4080: use shorter \
             names of preopens, or stack two overlays",
            text + "at=/\n".len()
        ),
    );
}

#[test]
fn values_of_run_are_rejected() {
    let temp = test_dir();
    for subcommand in ["compose", "component"] {
        let fails = |args: &str, expected: &str| {
            let app = if subcommand == "compose" {
                "mkdir.wat "
            } else {
                ""
            };
            fails(
                &temp,
                subcommand,
                &format!("{app}-o out.wasm {args}"),
                expected,
            );
        };
        for upper in ["memory", "memory:64m"] {
            fails(
                &format!("--lower /a --upper {upper}"),
                &format!(
                    "--upper {upper}: a composed program keeps its changes in a preopen of the host, not \
                     in memory; name one, as in --upper /changes"
                ),
            );
        }
        for archive in ["base.tar", "rootfs.tar.gz", "oci:dir", "docker://alpine"] {
            fails(
                &format!("--lower {archive}"),
                &format!(
                    "--lower {archive}: a composed program gets its layers as preopens of its host, which \
                     are directories; unpack the archive or the image for the host, and name the preopen, \
                     as in --lower /base"
                ),
            );
        }
        for (option, path, name) in [
            ("--lower", "./data", "data"),
            ("--lower", "../x/layer/", "layer"),
            ("--upper", "./changes", "changes"),
            ("--pass", "../..", "data"),
        ] {
            fails(
                &format!("--lower /a {option} {path}"),
                &format!(
                    "{option} {path}: this is a path of the host, but a composed program gets \
                     directories as preopens when it runs; write {option} /{name}, and run it with \
                     --dir {path}::/{name}"
                ),
            );
        }
    }
    // Names that hosts give to preopens.
    report(
        &temp,
        "compose",
        "mkdir.wat -o out.wasm --lower . --lower ro --lower a/b",
    );
}

#[test]
fn composed_program_is_composed_again_only_on_request() {
    let temp = test_dir();
    report(&temp, "compose", "cat.wat -o one.wasm --lower /base");
    fails(
        &temp,
        "compose",
        "one.wasm -o two.wasm --lower /first --upper /up",
        "`one.wasm` already contains an overlay; compose the original program, or add --nested to stack \
         one overlay on the other",
    );
}

#[test]
fn component_command_checks_its_options() {
    let temp = test_dir();
    fails(
        &temp,
        "component",
        "-o out.wasm --read-only",
        "an overlay needs a layer or an upper: name a preopen with --lower or --upper",
    );
    for args in ["--lower /a", "--volatile"] {
        let ended = run(
            &temp,
            "component",
            &format!("-o out.wasm --configured {args}"),
        );
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(
            ended
                .stderr
                .starts_with("error: the argument '--configured' cannot be used with"),
            "{ended:?}"
        );
    }
    for version in ["0.2.13", "0.3.0", "2"] {
        let ended = run(&temp, "component", &format!("-o out.wasm --wasi {version}"));
        let expected = format!(
            "error: invalid value '{version}' for '--wasi <0.2.x>': {version:?} is not a known \
             version of WASI 0.2: give one of 0.2.0 to 0.2.12\n"
        );
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.starts_with(&expected), "{ended:?}");
    }
}

/// Expects that composing `app` fails with this error.
#[track_caller]
fn refuses(temp: &TestDir, app: &str, expected: &str) {
    let args = format!("{app} -o out.wasm --lower /base");
    fails(temp, "compose", &args, expected);
}

#[test]
fn missing_program_is_rejected() {
    let temp = test_dir();
    refuses(
        &temp,
        "nope.wasm",
        "`nope.wasm`: there is no such file; check the path",
    );
    refuses(
        &temp,
        "base",
        "`base` is a directory; pass a wasm file, and name preopens with --lower and --upper",
    );
    let ended = run(&temp, "compose", "-o out.wasm --lower /base");
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("<APP.wasm>"), "{ended:?}");
    let ended = run(&temp, "compose", "mkdir.wat --lower /base");
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("--output <OUT.wasm>"), "{ended:?}");
}

#[test]
fn file_that_is_not_wasm_is_rejected() {
    let temp = test_dir();
    temp.file("text", "hello\n")
        .file("elf.wasm", b"\x7fELF\x02\x01\x01".as_slice())
        .file("cut.wasm", b"\0asm\x01\0\0\0\x01".as_slice());
    for name in ["text", "elf.wasm"] {
        refuses(
            &temp,
            name,
            &format!(
                "`{name}` cannot be composed\n\nCaused by:\n    the app is not WebAssembly: it is neither a \
                 component nor a core module, in binary or text format; give a .wasm or .wat file"
            ),
        );
    }
    let ended = run(&temp, "compose", "cut.wasm -o out.wasm --lower /base");
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.starts_with(
            "error: `cut.wasm` cannot be composed\n\nCaused by:\n    the app is not valid WebAssembly ("
        ),
        "{ended:?}"
    );
    let engine = wasmtime::Engine::default();
    let code = engine.precompile_module(wat::exit(3).as_bytes()).unwrap();
    temp.file("exit.cwasm", code);
    refuses(
        &temp,
        "exit.cwasm",
        "`exit.cwasm` is precompiled; compose the original wasm file, then compile the result",
    );
}

#[test]
fn program_whose_filesystem_cannot_be_replaced_is_rejected() {
    let temp = test_dir();
    let import = |name: &str| wat::component(&format!("(import \"{name}\" (instance))"), 0);
    temp.file("none.wat", wat::component("", 0))
        .file("three.wat", import("wasi:filesystem/types@0.3.0"))
        .file(
            "draft.wat",
            import("wasi:filesystem/types@0.2.0-rc-2023-11-10"),
        )
        .file("links.wat", import("wasi:filesystem/links@0.2.0"))
        .file("env.wat", r#"(module (import "env" "log" (func)))"#);
    refuses(
        &temp,
        "none.wat",
        "`none.wat` cannot be composed\n\nCaused by:\n    the app does not import `wasi:filesystem`: it uses no \
         files, so an overlay would have no effect",
    );
    refuses(
        &temp,
        "three.wat",
        "`three.wat` cannot be composed\n\nCaused by:\n    the app imports `wasi:filesystem/types@0.3.0`, but the \
         overlay supports only filesystems of WASI 0.2: build it for wasm32-wasip2",
    );
    refuses(
        &temp,
        "draft.wat",
        "`draft.wat` cannot be composed\n\nCaused by:\n    the app imports \
         `wasi:filesystem/types@0.2.0-rc-2023-11-10`, which is not a released version of WASI \
         0.2: build it with a newer toolchain",
    );
    refuses(
        &temp,
        "links.wat",
        "`links.wat` cannot be composed\n\nCaused by:\n    the overlay cannot replace \
         `wasi:filesystem/links@0.2.0`, which the app imports (WASI 0.2 has no such interface): \
         build the app with released interfaces of WASI 0.2",
    );
    refuses(
        &temp,
        "env.wat",
        "`env.wat` cannot be composed\n\nCaused by:\n    the app is a core module that imports `env::log`, which \
         the adapter for WASI 0.1 does not have: build it for wasm32-wasip1 or wasm32-wasip2 \
         without that import",
    );
}
