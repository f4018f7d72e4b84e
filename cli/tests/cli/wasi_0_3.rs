//! Tests of components of WASI 0.3, which are detected from their content and need no option.

use crate::support::TestDir;
use crate::wat;
use std::fs;
use wasi_overlay_guest_artifacts::{Guest, P3_FULL, P3_WITH_P2};

/// A layer with some files, an empty upper, and the guest.
fn test_dir(guest: Guest) -> TestDir {
    let temp = TestDir::with_dirs(&["base", "upper"]);
    temp.file("base/hello.txt", "hello, layers\n")
        .file("base/dir/one", "one\n")
        .file("base/dir/sub/inner", "inner\n")
        .file("app.wasm", fs::read(guest.path()).unwrap());
    temp
}

#[test]
fn result_of_run_is_exit_code() {
    for result in [0, 1] {
        let temp = TestDir::new();
        temp.file("app.wat", wat::async_component("", result));
        let ended = temp.run(["app.wat"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (result as i32, ""));
    }
}

#[test]
fn trap_of_async_component_is_reported_as_by_wasmtime_run() {
    let temp = TestDir::new();
    let text = wat::async_component("", 0).replace("(i32.const 0)", "unreachable");
    temp.file("trap.wat", text);
    let ended = temp.run(["trap.wat"]);
    assert_eq!(ended.code, 134, "{ended:?}");
    let begin = "error: failed to run main module `trap.wat`\n\nCaused by:\n    \
                 0: failed to invoke `run` function\n";
    assert!(ended.stderr.starts_with(begin), "{ended:?}");
}

#[test]
fn component_of_wasi_0_3_runs_on_overlay() {
    let temp = test_dir(P3_FULL);
    let ended = temp.run(["--layer", "base", "--upper", "upper", "app.wasm"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.ends_with("\ndone\n"), "{ended:?}");
    assert_eq!(temp.read("upper/new"), "a little");
    assert_eq!(temp.read("upper/hello.txt"), "a little");
    assert_eq!(temp.read("base/hello.txt"), "hello, layers\n");
}

#[test]
fn calls_in_blocking_pool_have_same_results() {
    // With a timeout no call may block the guest's thread.
    let temp = test_dir(P3_FULL);
    let ended = temp.run(["-W", "timeout=300s", "--layer", "base", "app.wasm"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.ends_with("\ndone\n"), "{ended:?}");
}

#[test]
fn component_of_both_versions_sees_one_tree() {
    let temp = test_dir(P3_WITH_P2);
    let ended = temp.run(["--layer", "base", "--upper", "upper", "app.wasm"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.contains("one object: true\n"), "{ended:?}");
    assert_eq!(temp.read("upper/hello.txt"), "by 0.2 layers\n");
    assert_eq!(temp.read("base/hello.txt"), "hello, layers\n");
}

#[test]
fn component_of_wasi_0_3_is_refused_when_p3_is_disabled() {
    let temp = test_dir(P3_FULL);
    let ended = temp.run(["-S", "p3=n", "app.wasm"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .contains("@0.3.0`, which is not available; remove `-S p3=n`"),
        "{ended:?}"
    );
}
