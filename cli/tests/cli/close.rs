//! The mount ends with the guest, however that ends: the upper is left as others can read it.

use crate::support::{Place, ended};
use crate::wat;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

const ARGS: [&str; 5] = ["--layer", "base", "--upper", "up", "guest.wat"];

fn place() -> Place {
    let place = Place::with_dirs(&["up"]);
    place.file("base/a", "a of base");
    place
}

#[test]
fn the_upper_is_at_rest_after_every_end() {
    for (then, code) in [
        ("", 0),
        ("(call $proc_exit (i32.const 5))", 5),
        ("unreachable", 134),
    ] {
        let place = place();
        place.file("guest.wat", wat::write(3, "a", "changed", then));
        let ended = place.run(ARGS);
        assert_eq!(ended.code, code, "{ended:?}");
        // No staging folder is left beside it.
        assert_eq!(place.tree("up"), ["a"], "{then}");
    }
}

#[test]
fn a_program_that_cannot_run_does_not_touch_the_upper() {
    let place = place();
    place.file("guest.wat", "(module (import \"env\" \"f\" (func)))");
    assert_eq!(place.run(ARGS).code, 1);
    assert_eq!(place.tree("up"), [""; 0]);
}

#[test]
fn an_upper_that_is_mounted_elsewhere_is_refused_and_free_again_when_that_ends() {
    let place = place();
    // Waits for stdin, with the file open.
    let wait = "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";
    place.file("guest.wat", wat::write(3, "started", "x", wait));
    let mut first = place.command(ARGS).stdin(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !place.path("up/started").exists() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the first run does not start"
        );
        sleep(Duration::from_millis(20));
    }
    let second = place.run(ARGS);
    assert_eq!(second.code, 1, "{second:?}");
    assert!(
        second.stderr.starts_with("Error: --upper up: "),
        "{second:?}"
    );
    assert!(
        second
            .stderr
            .ends_with("; end the other mount, or give another upper\n"),
        "{second:?}"
    );
    drop(first.stdin.take());
    assert_eq!(ended(first.wait_with_output().unwrap()).code, 0);
    assert_eq!(place.run(ARGS).code, 0);
    assert_eq!(place.tree("up"), ["started"]);
}

#[test]
fn what_a_killed_run_left_is_mended_by_the_next_one() {
    let place = place();
    let wait = "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";
    place.file("guest.wat", wat::write(3, "a", "changed", wait));
    let mut killed = place.command(ARGS).stdin(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !place.path("up/a").exists() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the run does not start"
        );
        sleep(Duration::from_millis(20));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(
        place.tree("up").len() > 1,
        "the staging folder is still there"
    );
    place.file("guest.wat", wat::unlink(3, "a"));
    let ended = place.run(ARGS);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(place.tree("up"), [".wh.a"]);
}
