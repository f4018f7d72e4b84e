//! Tests with directories that hold names which are not UTF-8, and which WASI cannot express. A guest gets
//! all other names, then an error. wasmtime-wasi fails before the first name in 0.1, and at the first odd
//! name in 0.3; in 0.2 it continues after the error, but a C library does not. Our listings used to fail at
//! the odd name in every version, so it depended on the order of names which ones a guest saw.

use crate::program::{Files, Program};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use wasi_overlay::{FsPerms, Lower, Overlay, OverlayCtx};
use wasi_overlay_guest_artifacts::{Guest, P1_ODD_NAMES, P2_ODD_NAMES, P3_ODD_NAMES};

const ODD: [&[u8]; 3] = [b"\xff", b"caf\xe9.txt", b"m\xc3"];
/// More names than a stream of 0.3 or a buffer of a C library takes at once.
const OTHERS: usize = 700;

fn names() -> Vec<String> {
    (0..OTHERS).map(|at| format!("b-name-{at:03}-é")).collect()
}

fn check(guest: &Guest, failures: &str) {
    let program = Program::load(guest.path()).expect("a guest that was built can be compiled");
    let folder = tempfile::tempdir().expect("a folder can be made");
    for name in ODD {
        fs::write(folder.path().join(OsStr::from_bytes(name)), "").expect("it can be made");
    }
    for name in names() {
        fs::write(folder.path().join(name), "").expect("it can be made");
    }
    let dir = || Dir::open_ambient_dir(folder.path(), ambient_authority()).expect("it is there");
    let lower = || Lower::dir("base", dir()).expect("it is a directory");
    let lowers = Overlay::builder().lower(lower()).build();
    let lowers = lowers.expect("it can be mounted");
    let changed = Overlay::builder().lower(lower()).upper_memory(1 << 20);
    let changed = changed.build().expect("it can be mounted");
    changed
        .root()
        .symlink_at("x", "a-new")
        .expect("it can be made");
    for allow_blocking in [true, false] {
        let begin = || {
            let mut files = OverlayCtx::builder();
            files.allow_blocking_current_thread(allow_blocking);
            files
        };
        let perms = FsPerms::ReadOnly;
        for (mount, more) in [
            (None, None),
            (Some(&lowers), None),
            (Some(&changed), Some("a-new")),
        ] {
            let mut files = begin();
            match mount {
                None => files.dir(dir(), "/", perms),
                Some(overlay) => files.overlay(overlay, "/", perms),
            }
            .expect("the path is one");
            let outcome = program.run(Files::OursAsync(&files.build()), &[guest.name], &[]);
            let outcome = outcome.expect("it can be run");
            assert_eq!(outcome.failure, None, "{outcome:?}");
            let mut expected = names();
            expected.extend(more.map(str::to_owned));
            expected.sort();
            let expected = format!("names: {expected:?}\n{failures}\n");
            assert_eq!(outcome.stdout, expected, "{} on {mount:?}", guest.name);
        }
    }
}

#[test]
fn names_that_are_not_utf8_hide_no_others_in_0_1() {
    check(&P1_ODD_NAMES, "failures: [\"ILSEQ\"]");
}

#[test]
fn names_that_are_not_utf8_hide_no_others_in_0_2() {
    let odd = "\"illegal-byte-sequence\"";
    let failures = format!("failures: [{odd}, {odd}, {odd}]\nnames after a failure: []");
    check(&P2_ODD_NAMES, &failures);
}

#[test]
fn names_that_are_not_utf8_hide_no_others_in_0_3() {
    check(&P3_ODD_NAMES, "ended: illegal-byte-sequence");
}
