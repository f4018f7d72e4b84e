//! Components of WASI 0.3: found out by their content, and run without an option.

use crate::support::Place;
use crate::wat;
use std::fs;
use wasi_overlay_guest_artifacts::{Guest, P3_FULL, P3_WITH_P2};

/// A layer with some files, an empty upper, and the guest.
fn place(guest: Guest) -> Place {
    let place = Place::with_dirs(&["base", "upper"]);
    place
        .file("base/hello.txt", "hello, layers\n")
        .file("base/dir/one", "one\n")
        .file("base/dir/sub/inner", "inner\n")
        .file("app.wasm", fs::read(guest.path()).unwrap());
    place
}

#[test]
fn what_it_returns_is_the_exit_code() {
    for result in [0, 1] {
        let place = Place::new();
        place.file("app.wat", wat::async_component("", result));
        let ended = place.run(["app.wat"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (result as i32, ""));
    }
}

#[test]
fn a_trap_is_told_as_wasmtime_run_tells_it() {
    let place = Place::new();
    let text = wat::async_component("", 0).replace("(i32.const 0)", "unreachable");
    place.file("trap.wat", text);
    let ended = place.run(["trap.wat"]);
    assert_eq!(ended.code, 134, "{ended:?}");
    let begin = "Error: failed to run main module `trap.wat`\n\nCaused by:\n    \
                 0: failed to invoke `run` function\n";
    assert!(ended.stderr.starts_with(begin), "{ended:?}");
}

#[test]
fn it_works_on_layers() {
    let place = place(P3_FULL);
    let ended = place.run(["--layer", "base", "--upper", "upper", "app.wasm"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.ends_with("\ndone\n"), "{ended:?}");
    assert_eq!(place.read("upper/new"), "a little");
    assert_eq!(place.read("upper/hello.txt"), "a little");
    assert_eq!(place.read("base/hello.txt"), "hello, layers\n");
}

#[test]
fn calls_that_leave_the_thread_do_the_same() {
    // With a timeout no call may block the guest's thread.
    let place = place(P3_FULL);
    let ended = place.run(["-W", "timeout=300s", "--layer", "base", "app.wasm"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.ends_with("\ndone\n"), "{ended:?}");
}

#[test]
fn both_versions_in_one_component_see_one_tree() {
    let place = place(P3_WITH_P2);
    let ended = place.run(["--layer", "base", "--upper", "upper", "app.wasm"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.contains("one object: true\n"), "{ended:?}");
    assert_eq!(place.read("upper/hello.txt"), "by 0.2 layers\n");
    assert_eq!(place.read("base/hello.txt"), "hello, layers\n");
}

#[test]
fn it_is_refused_where_0_3_is_switched_off() {
    let place = place(P3_FULL);
    let ended = place.run(["-S", "p3=n", "app.wasm"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .contains("@0.3.0`, which is not available; remove `-S p3=n`"),
        "{ended:?}"
    );
}
