//! Errors of `run` for bad input: a message that names the option or the file and the remedy, exit code 1
//! (2 for arguments that do not parse), no backtrace, and no change.

use crate::support::{Ended, TestDir};
use crate::wat;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A directory with two layers, an upper, a file, and a guest that exits with 0.
fn test_dir() -> TestDir {
    let temp = TestDir::with_dirs(&["base", "base/in", "app", "up", "up/in"]);
    temp.file("file", "text").file("ok.wat", wat::exit(0));
    temp
}

/// Expects that a run with `args` fails with this error, prints nothing else and changes nothing.
#[track_caller]
fn fails(temp: &TestDir, args: &[&str], expected: &str) {
    let before = temp.tree("");
    let ended = temp.run(args);
    let expected = Ended {
        code: 1,
        stdout: String::new(),
        stderr: format!("error: {expected}\n"),
    };
    assert_eq!(ended, expected, "{args:?}");
    assert_eq!(temp.tree(""), before, "{args:?}");
}

/// Expects that `args` do not parse, with this error.
#[track_caller]
fn does_not_parse(args: &[&str], expected: &str) {
    let ended = test_dir().run(args);
    let expected = Ended {
        code: 2,
        stdout: String::new(),
        stderr: format!("error: {expected}\n\nFor more information, try '--help'.\n"),
    };
    assert_eq!(ended, expected, "{args:?}");
}

#[test]
fn missing_layer_or_file_as_layer_is_rejected() {
    let temp = test_dir();
    fails(
        &temp,
        &["--layer", "base", "--layer", "nope", "ok.wat"],
        "--layer nope: there is no such directory; check the path",
    );
    fails(
        &temp,
        &["--mount", "dst=/d,layer=nope", "ok.wat"],
        "--mount dst=/d,layer=nope: there is no such directory; check the path",
    );
    fails(
        &temp,
        &["--layer", "file", "ok.wat"],
        "--layer file: it is not a tar archive (it is shorter than a header); a layer is a directory, a tar \
         (plain or compressed with gzip or zstd) or an image",
    );
    fails(
        &temp,
        &["--layer", "file/x", "ok.wat"],
        "--layer file/x: it cannot be read (Not a directory (os error 20)); a part of the path \
         is a file; check the path",
    );
}

#[test]
fn unreadable_layer_is_rejected() {
    let temp = test_dir();
    let open = |name: &str, mode| {
        fs::set_permissions(temp.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    open("", 0o755);
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    for mode in [0o311, 0o644, 0o000] {
        open("base", mode);
        let mut command = temp.command(["--layer", "base", "ok.wat"]);
        if root {
            // Root may read everything, so the test runs as another user.
            command.uid(65534).gid(65534);
            if mode != 0 {
                open("base", mode & 0o707 | (mode & 0o700) >> 6);
            }
        }
        let output = match command.output() {
            // The other user has no access to the binary.
            Err(error) if root && error.kind() == std::io::ErrorKind::PermissionDenied => return,
            output => crate::support::ended(output.unwrap()),
        };
        assert_eq!(
            (output.code, output.stderr.as_str()),
            (
                1,
                "error: --layer base: it cannot be read (Permission denied (os error 13)); grant \
                 yourself `r` and `x` on it with chmod, or run as its owner\n"
            ),
            "{mode:o}"
        );
    }
    open("base", 0o755);
}

#[test]
fn missing_upper_or_file_as_upper_is_rejected() {
    let temp = test_dir();
    fails(
        &temp,
        &["--layer", "base", "--upper", "new/up", "ok.wat"],
        "--upper new/up: there is no directory to create it in; create it with `mkdir -p new/up`",
    );
    fails(
        &temp,
        &["--upper", "file", "ok.wat"],
        "--upper file: it is a file, but an upper must be a directory; choose another path",
    );
}

#[test]
fn upper_that_overlaps_layer_is_rejected() {
    let temp = test_dir();
    symlink("base", temp.path("link")).unwrap();
    let remedy = "and a layer must never change; use a separate directory for the upper, outside \
                  every layer";
    for (layer, upper, relation) in [
        ("base", "base", "it is the same directory as"),
        ("base", "app/../base/.", "it is the same directory as"),
        ("link", "base", "it is the same directory as"),
        ("base", "base/in", "it is inside"),
        ("link", "base/in", "it is inside"),
        ("up/in", "up", "it contains"),
    ] {
        fails(
            &temp,
            &["--layer", layer, "--upper", upper, "ok.wat"],
            &format!("--upper {upper}: {relation} --layer {layer}, {remedy}"),
        );
    }
    fails(
        &temp,
        &[
            "--layer",
            "base",
            "--mount",
            "dst=/d,layer=app,upper=base/in",
            "ok.wat",
        ],
        &format!("--mount dst=/d,upper=base/in: it is inside --layer base, {remedy}"),
    );
}

#[test]
fn upper_shared_by_two_mounts_is_rejected() {
    fails(
        &test_dir(),
        &["--upper", "up", "--mount", "dst=/d,upper=./up", "ok.wat"],
        "--mount dst=/d,upper=./up: it is the same directory as --upper up, and two mounts \
         cannot share an upper; use a separate directory for each",
    );
}

#[test]
fn writable_dir_that_overlaps_layer_or_upper_is_rejected() {
    let temp = test_dir();
    let remedy = "which only the overlay may change while it is mounted; make the --dir read-only \
                  (HOST::GUEST::ro), or choose another directory";
    for (overlay, dir, relation) in [
        ("--layer base", "base::/d", "it is the same directory as"),
        ("--layer base", "base/in::/d", "it is inside"),
        ("--layer base", ".::/d", "it contains"),
        ("--upper up", "up::/d", "it is the same directory as"),
        ("--upper up", "up/in::/d", "it is inside"),
    ] {
        let (flag, value) = overlay.split_once(' ').unwrap();
        fails(
            &temp,
            &[flag, value, "--dir", dir, "ok.wat"],
            &format!("--dir {dir}: {relation} {overlay}, {remedy}"),
        );
    }
}

#[test]
fn error_names_dir_that_is_upper_of_running_overlay() {
    let temp = TestDir::with_dirs(&["live", "up"]);
    temp.file("ok.wat", wat::exit(0));
    // The guest waits for stdin, with the file open.
    let wait = "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";
    temp.file("guest.wat", wat::write(3, "started", "x", wait));
    let mut running = temp
        .command(["--upper", "up", "guest.wat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !temp.path("up/started").exists() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the guest does not start"
        );
        sleep(Duration::from_millis(20));
    }
    fails(
        &temp,
        &["--dir", "live::/live", "--dir", "up::/work", "ok.wat"],
        "--dir up::/work: the directory is in use as the upper of an overlay, which nothing else \
         may change: end that mount, give another directory, or mount this one read-only",
    );
    // The suggested remedy works.
    let read_only = temp.run(["--dir", "live::/live", "--dir", "up::/work::ro", "ok.wat"]);
    assert_eq!((read_only.code, read_only.stderr.as_str()), (0, ""));
    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
    let ended = temp.run(["--dir", "live::/live", "--dir", "up::/work", "ok.wat"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn missing_dir_or_file_as_dir_is_rejected() {
    let temp = test_dir();
    fails(
        &temp,
        &["--dir", "nope::/d", "ok.wat"],
        "--dir nope::/d: there is no such directory; check the path",
    );
    for (dir, meant) in [
        ("base:/data:ro", "base::/data::ro"),
        ("base:/data", "base::/data"),
    ] {
        fails(
            &temp,
            &["--dir", dir, "ok.wat"],
            &format!(
                "--dir {dir}: there is no such directory; `::` separates the guest path, so write \
                 {meant}"
            ),
        );
    }
    fails(
        &temp,
        &["-v", "nope:/data", "ok.wat"],
        "-v nope:/data: there is no such directory; check the path",
    );
    fails(
        &temp,
        &["--dir", "file", "ok.wat"],
        "--dir file: it is a file, but only directories can be mounted; use the directory that \
         contains it",
    );
}

#[test]
fn more_than_500_layers_are_rejected() {
    let temp = test_dir();
    let layers = |count| ["--layer", "base"].repeat(count);
    let args = |count, more: &[&'static str]| [&layers(count), more, &["ok.wat"]].concat();
    fails(
        &temp,
        &args(501, &["--read-only"]),
        "--layer: 501 layers, but at most 500 are supported; merge some of them into one",
    );
    fails(
        &temp,
        &args(500, &[]),
        "--layer: 501 layers with the upper, but at most 500 are supported; merge some of them into \
         one",
    );
}

#[test]
fn relative_or_duplicate_mount_point_is_rejected() {
    let temp = test_dir();
    fails(
        &temp,
        &["--layer", "base", "--at", "data", "ok.wat"],
        "--at: `data` is not absolute; a mount point begins with `/`, as in /data",
    );
    for at in [".", "./", ".."] {
        fails(
            &temp,
            &["--layer", "base", "--at", at, "ok.wat"],
            &format!("--at: `{at}` is not absolute; a mount point begins with `/`, as in /data"),
        );
    }
    fails(
        &temp,
        &["--layer", "base", "--at", "/a/../b", "ok.wat"],
        "--at: `/a/../b` contains `.` or `..`; write the mount point without them",
    );
    fails(
        &temp,
        &["--layer", "base", "--mount", "dst=//,layer=app", "ok.wat"],
        "--mount dst=/: `/` is already the mount point of --at /; choose another mount point for one \
         of them",
    );
    fails(
        &temp,
        &["--mount", "dst=/d,layer=app", "--dir", "up::/d/", "ok.wat"],
        "--dir up::/d/: `/d/` is already the mount point of --mount dst=/d; choose another mount \
         point for one of them",
    );
    does_not_parse(
        &["--mount", "dst=d,layer=base", "ok.wat"],
        "invalid value 'dst=d,layer=base' for '--mount <SPEC>': dst: `d` is not absolute; a \
         mount point begins with `/`, as in /d",
    );
}

#[test]
fn overlay_options_without_overlay_are_rejected() {
    for flags in [
        &["--read-only"][..],
        &["--at", "/d"],
        &["--volatile"],
        &["--absolute-symlinks", "root"],
    ] {
        fails(
            &test_dir(),
            &[flags, &["ok.wat"]].concat(),
            &format!(
                "{}: this option needs an overlay; add --layer DIR or --upper DIR",
                flags[0]
            ),
        );
    }
    fails(
        &test_dir(),
        &["--upper", "memory", "--read-only", "ok.wat"],
        "--upper: an upper in memory starts empty, and --read-only keeps it empty; remove one of the \
         two options",
    );
}

#[test]
fn malformed_values_are_rejected() {
    does_not_parse(
        &["--dir", "a::b::rw0", "ok.wat"],
        "invalid value 'a::b::rw0' for '--dir <HOST[::GUEST[::ro]]>': `rw0` after the second \
         `::` is unknown; only `ro` is allowed there",
    );
    for size in ["64x", "", "-1", "lots"] {
        does_not_parse(
            &["--upper", &format!("memory:{size}"), "ok.wat"],
            &format!(
                "invalid value 'memory:{size}' for '--upper <DIR|memory[:SIZE]>': `{size}` is not a \
                 size; write a number of bytes, or a number with k, m or g, as in 64m"
            ),
        );
    }
    does_not_parse(
        &["--mount", "dst=/d,layer=a,rw", "ok.wat"],
        "invalid value 'dst=/d,layer=a,rw' for '--mount <SPEC>': unknown key `rw`; the keys are \
         dst, layer, upper, memory, ro, volatile, absolute-symlinks and cross-mounts, and a comma \
         in a path is written `\\,`",
    );
    does_not_parse(
        &["-v", "a::/b", "ok.wat"],
        "invalid value 'a::/b' for '--volume <HOST:GUEST[:ro]>': `::` belongs to --dir; write -v a:/b, \
         or --dir a::/b",
    );
    does_not_parse(
        &["--tmpfs", "/tmp:64m", "ok.wat"],
        "invalid value '/tmp:64m' for '--tmpfs <GUEST_PATH[:size=SIZE]>': unknown option `64m`; the only \
         one is `size`, as in /tmp:size=64m",
    );
    does_not_parse(
        &["-w", "work", "ok.wat"],
        "invalid value 'work' for '--workdir <GUEST_DIR>': it is not absolute; a directory of the guest \
         begins with `/`, as in /work",
    );
    does_not_parse(
        &["--env", "=x", "ok.wat"],
        "invalid value '=x' for '--env <NAME[=VALUE]>': the name is missing; write NAME=VALUE",
    );
}

#[test]
fn unsupported_wasmtime_options_are_rejected() {
    let elsewhere = "omit the option, or use `wasmtime run`";
    for name in ["nn", "threads", "config", "keyvalue", "tls"] {
        fails(
            &test_dir(),
            &["-S", name, "ok.wat"],
            &format!("-S {name} is not supported: that interface is not linked; {elsewhere}"),
        );
    }
    for (name, value) in [
        ("config-var", "a=b"),
        ("keyvalue-in-memory-data", "a=b"),
        ("nn-graph", "onnx::x"),
    ] {
        fails(
            &test_dir(),
            &["-S", &format!("{name}={value}"), "ok.wat"],
            &format!("-S {name} is not supported: that interface is not linked; {elsewhere}"),
        );
    }
    for (option, value) in [
        ("listenfd", "listenfd"),
        ("tcplisten", "tcplisten=127.0.0.1:0"),
    ] {
        fails(
            &test_dir(),
            &["-S", value, "ok.wat"],
            &format!(
                "-S {option} is not supported: it is for the old implementation of WASI 0.1; {elsewhere}"
            ),
        );
    }
    for (args, expected) in [
        (
            &["-S", "preview0"][..],
            "-S preview0 is not supported: WASI 0.0 is not linked; omit the option, or use `wasmtime run`",
        ),
        (
            &["-S", "preview2=n"],
            "-S preview2=n is not supported: the old implementation of WASI 0.1 is gone; omit the option",
        ),
        (
            &["-D", "debugger=x"],
            "-D debugger is not supported: wasi-overlay attaches no debugger; omit the option, or use \
             `wasmtime run`",
        ),
        (
            &["-g", "1234"],
            "-g is not supported: wasi-overlay attaches no debugger; omit the option, or use `wasmtime run`",
        ),
        (
            &["-R", "path=trace"],
            "-R is not supported: nothing is recorded; omit the option, or use `wasmtime run`",
        ),
        (
            &["--profile", "perfmap"],
            "--profile is not supported: wasi-overlay has no profiler; omit the option, or profile the \
             program with `wasmtime run` on a directory that holds the merged tree",
        ),
        (
            &["--preload", "a=b.wasm"],
            "--preload is not supported: only one module is run; link the modules into one, or compose \
             components with `wac plug`",
        ),
        (
            &["--target", "pulley64"],
            "--target pulley64 is not supported: this build has no interpreter, and runs programs as \
             native code; omit the option, or use `wasmtime run`",
        ),
        (
            &["--target", "nope"],
            "--target nope is not supported: programs run on this machine (Unrecognized architecture: \
             nope); omit the option",
        ),
        (
            &["-C", "compiler=winch"],
            "-C compiler=winch is not supported: this build has only the compiler Cranelift; omit the \
             option, or use -O opt-level=0 to compile faster",
        ),
        (
            &["-O", "pooling-allocator,pooling-memory-protection-keys"],
            "-O pooling-memory-protection-keys is not supported: one program at a time needs none; omit \
             the option",
        ),
    ] {
        fails(&test_dir(), &[args, &["ok.wat"]].concat(), expected);
    }
    fails(
        &test_dir(),
        &["-S", "http", "ok.wat"],
        "`ok.wat` cannot be run\n\nCaused by:\n    -S http: wasi:http is for components, and this is a core module; \
         remove the option",
    );
    // Disabled options are accepted.
    let off = "nn=n,threads=n,config=n,keyvalue=n,listenfd=n,tls=n,preview0=n,p3=n,preview2=y";
    assert_eq!(test_dir().run(["-S", off, "ok.wat"]).code, 0);
}

#[test]
fn file_that_is_not_wasm_is_rejected() {
    let temp = test_dir();
    temp.file("empty.wasm", "")
        .file("elf.wasm", b"\x7fELF\x02\x01\x01".as_slice());
    temp.file("cut.wasm", b"\0asm\x01\0\0\0\x01".as_slice());
    let not_wasm = "is not WebAssembly: neither a module nor a component, in binary or text form; \
                    pass a .wasm, .wat or .cwasm file";
    fails(&temp, &["file"], &format!("`file` {not_wasm}"));
    fails(&temp, &["elf.wasm"], &format!("`elf.wasm` {not_wasm}"));
    fails(
        &temp,
        &["empty.wasm"],
        "`empty.wasm` is empty; pass a wasm file",
    );
    fails(
        &temp,
        &["base"],
        "`base` is a directory; pass a wasm file, and pass directories with --layer or --dir",
    );
    fails(
        &temp,
        &["nope.wasm"],
        "`nope.wasm`: there is no such file; the program is the first argument that is not an option",
    );
    let cut = temp.run(["cut.wasm"]);
    assert_eq!(cut.code, 1);
    assert!(
        cut.stderr
            .starts_with("error: `cut.wasm` is not valid WebAssembly\n\nCaused by:\n    "),
        "{cut:?}"
    );
}

#[test]
fn error_names_unavailable_import_and_remedy() {
    let temp = test_dir();
    let module =
        |import: &str| format!("(module (import {import} (func)) (func (export \"_start\")))");
    temp.file("env.wat", module(r#""env" "log""#))
        .file("old.wat", module(r#""wasi_unstable" "proc_exit""#))
        .file("odd.wat", module(r#""wasi_snapshot_preview1" "fd_magic""#));
    fails(
        &temp,
        &["env.wat"],
        "`env.wat` cannot be run\n\nCaused by:\n    it imports `env::log`, which is not available; build it without \
         that import, or make calls to it trap with `-W unknown-imports-trap`",
    );
    fails(
        &temp,
        &["old.wat"],
        "`old.wat` cannot be run\n\nCaused by:\n    it imports `wasi_unstable::proc_exit`, which is not available; \
         this is WASI 0.0; build it for WASI 0.1",
    );
    fails(
        &temp,
        &["odd.wat"],
        "`odd.wat` cannot be run\n\nCaused by:\n    it imports `wasi_snapshot_preview1::fd_magic`, which is not \
         available; WASI 0.1 has no such function; build it for WASI 0.1",
    );
    assert_eq!(temp.run(["-W", "unknown-imports-trap", "env.wat"]).code, 0);
    assert_eq!(
        temp.run(["-W", "unknown-imports-default", "env.wat"]).code,
        0
    );

    let import = |name: &str| {
        let import = format!("(import \"{name}\" (instance (export \"f\" (func))))");
        wat::component(&import, 0)
    };
    temp.file("log.wat", import("acme:logger/log@1.0.0"))
        .file("http.wat", import("wasi:http/types@0.2.0"))
        .file("tls.wat", import("wasi:tls/types@0.2.0-draft"))
        .file("clock.wat", import("wasi:clocks/wall-clock@0.2.0"))
        .file("three.wat", import("wasi:clocks/system-clock@0.3.0"))
        .file("io.wat", import("wasi:io/streams@0.3.0"))
        .file("http3.wat", import("wasi:http/types@0.3.0"));
    fails(
        &temp,
        &["log.wat"],
        "`log.wat` cannot be run\n\nCaused by:\n    it imports `acme:logger/log@1.0.0`, which is not available; \
         compose the program with a component that exports it, as with `wac plug`",
    );
    fails(
        &temp,
        &["http.wat"],
        "`http.wat` cannot be run\n\nCaused by:\n    it imports `wasi:http/types@0.2.0`, which is not available; add \
         `-S http`",
    );
    fails(
        &temp,
        &["tls.wat"],
        "`tls.wat` cannot be run\n\nCaused by:\n    it imports `wasi:tls/types@0.2.0-draft`, which is not available; \
         wasi-overlay does not support it; use another host",
    );
    fails(
        &temp,
        &["-S", "cli=n", "clock.wat"],
        "`clock.wat` cannot be run\n\nCaused by:\n    it imports `wasi:clocks/wall-clock@0.2.0`, which is not \
         available; remove `-S cli=n`",
    );
    fails(
        &temp,
        &["-S", "p3=n", "three.wat"],
        "`three.wat` cannot be run\n\nCaused by:\n    it imports `wasi:clocks/system-clock@0.3.0`, which is not \
         available; remove `-S p3=n`",
    );
    fails(
        &temp,
        &["io.wat"],
        "`io.wat` cannot be run\n\nCaused by:\n    it imports `wasi:io/streams@0.3.0`, which is not available; compose \
         the program with a component that exports it, as with `wac plug`",
    );
    fails(
        &temp,
        &["-S", "http", "http3.wat"],
        "`http3.wat` cannot be run\n\nCaused by:\n    it imports `wasi:http/types@0.3.0`, which is not available; \
         wasi-overlay supports only `wasi:http` of WASI 0.2; use another host",
    );
}

#[test]
fn precompiled_program_needs_its_option() {
    let temp = test_dir();
    let engine = wasmtime::Engine::default();
    let code = engine.precompile_module(wat::exit(3).as_bytes()).unwrap();
    temp.file("exit.cwasm", code);
    fails(
        &temp,
        &["exit.cwasm"],
        "`exit.cwasm` is precompiled, and native code cannot be validated; if you trust it, add \
         --allow-precompiled",
    );
}

#[test]
fn missing_program_prints_usage() {
    let ended = test_dir().run(["--layer", "base"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended
            .stderr
            .contains("Usage: wasi-overlay run [OPTIONS] APP"),
        "{ended:?}"
    );
}

#[test]
fn error_names_options_when_cache_cannot_be_created() {
    let temp = test_dir();
    let mut command = temp.command(["ok.wat"]);
    let output = command.env("XDG_CACHE_HOME", "/proc/none").output();
    let ended = crate::support::ended(output.unwrap());
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.starts_with(
            "error: the compilation cache cannot be used (failed to create cache directory"
        ),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .ends_with("or disable the cache with `-C cache=n`\n"),
        "{ended:?}"
    );
}
