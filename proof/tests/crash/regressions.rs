//! Regression tests, each with its story.

use crate::cell::{MODES, Mode, cells, mount};
use crate::disk::Disk;
use crate::fault::{Upper, every_fault};
use wasi_overlay_core::Errno;
use wasi_overlay_core::plain::Guarantees;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::view::tree;

/// Fails every call of an operation with every code, in one starting state.
fn try_all(state: &str, op: &str) {
    for cell in cells().iter().filter(|cell| cell.name == state) {
        for mode in MODES {
            let report = every_fault(cell, Upper::Directory(mode), op);
            assert!(report.is_empty(), "{}", report.join("\n"));
        }
    }
}

/// A copy was moved to its name, and then looked at. Where just that look failed, the node that a
/// guest held was cut off from the name: what was made through the handle afterwards copied up a
/// second directory, which brought back, under the old name, one that had been renamed.
#[test]
fn copy_whose_stat_fails_is_still_the_open_file() {
    let rename = "hold.r ^; rename ^ e/moved; rename #1/x new; stat.n #1/x; stat.n new";
    try_all("EmptyDir lower", rename);
    try_all("File lower", "hold.r @; write @; look #1; same.n #1 @");
}

/// A lower file that is opened with truncation is copied up without its data. It was truncated
/// once more then, for the set-id bits and the times, and where that failed, so did the call,
/// though the file was empty already.
#[test]
fn truncating_open_happens_or_does_not() {
    try_all("File lower", "open.t @");
    try_all("File both lowers", "open.rwct @");
}

/// What was just made was looked at, to know it by its number. Where that look failed, so did the
/// call, and yet the name was there.
#[test]
fn creation_whose_stat_fails_happens_or_does_not() {
    for op in [
        "mkdir @",
        "symlink to @",
        "open.rwcx @",
        "mkdir @; open.rwc @/c; open.r @",
    ] {
        try_all("File absent", op);
        try_all("File whited out", op);
    }
}

/// A volatile upper syncs nothing. On a network filesystem a write may fail only when the file is closed,
/// where the error was lost: a copy without its last bytes took the place of the lower file.
#[test]
fn volatile_copy_is_synced_where_closing_it_may_fail() {
    let cells = cells();
    let cell = cells.iter().find(|cell| cell.name == "File lower").unwrap();
    let syncs = |errors_at_write| {
        let claims = Guarantees {
            ordered_names: true,
            errors_at_write,
            syncs_whole: errors_at_write,
        };
        let (mut syncs, mut call) = (0, 0);
        loop {
            let faults = Faults::default();
            let disk = |moment| Faulty::new(Disk::of(moment), &faults).claiming(claims);
            let lowers = cell.lowers.iter().map(disk);
            let upper = Mode::Mounted.upper(disk(&cell.upper));
            let overlay = mount(lowers, upper, true).unwrap();
            let before = tree(&overlay.root());
            faults.fail_call(call, Errno::InsufficientSpace);
            let answer = Script::run(&overlay.root(), cell.start.place, "append @");
            let failed = faults.failed();
            faults.never();
            match failed {
                Some("fsync") => {
                    syncs += 1;
                    assert_eq!(answer, ["append @: InsufficientSpace"]);
                    assert_eq!(tree(&overlay.root()), before);
                }
                Some(_) => {}
                None => return syncs,
            }
            call += 1;
        }
    };
    assert_eq!(syncs(true), 0);
    assert_eq!(syncs(false), 1);
}
