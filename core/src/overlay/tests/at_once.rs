//! Tests of calls inside `at_once` while other threads hold locks.

use super::{CREATE, READ, WRITE, in_memory, lower, node, open};
use crate::{Limits, OpenHow, Opened, Overlay, at_once};

/// A change of a directory holds its lock while it calls layers, so a thread that must not wait does not
/// wait for that lock.
#[test]
fn queries_at_once_do_not_wait_for_changes() {
    let overlay = in_memory();
    let root = overlay.root();
    let file = open(&root, "d/f", WRITE);
    let ask: [&dyn Fn() -> crate::Result<()>; 3] = [
        &|| root.stat_at("d/f", true).map(drop),
        &|| root.stat_at("d/none", true).map(drop),
        &|| match root.open_at("d", OpenHow::default())? {
            Opened::Dir(dir) => dir.list().map(drop),
            Opened::File(_) => panic!("it is a directory"),
        },
    ];
    let dir = node(&overlay, "d");
    // A name in the table needs no lock.
    let answers = |locked: [bool; 3]| {
        for (ask, is_locked) in ask.iter().zip(locked) {
            assert_eq!(at_once(ask).is_none(), is_locked);
        }
    };
    answers([false; 3]);
    let names = dir.dir().unwrap().names.write();
    answers([false, false, true]);
    // The table no longer has all names of the upper.
    dir.dir().unwrap().children.write().forget_names();
    answers([false, true, true]);
    drop(names);
    answers([false; 3]);

    let changes = overlay.shared.changes.write();
    assert!(at_once(|| file.write_at(b"x", 0)).is_none());
    drop(changes);
    assert_eq!(at_once(|| file.write_at(b"x", 0)).unwrap().unwrap(), 1);
}

/// Names are swept also where all calls are answered at once: the call that finds too many is repeated
/// where it may wait.
#[test]
fn names_counted_by_calls_at_once_are_swept() {
    let limits = Limits {
        kept_nodes: 2,
        ..Limits::default()
    };
    let overlay = Overlay::builder().lower(lower()).limits(limits);
    let overlay = overlay.build().unwrap();
    let (shared, root) = (&overlay.shared, overlay.root());
    let paths = [("d/f", "the fast path"), ("d/../d/f", "a full walk")];
    for (path, what) in paths {
        // As if many files had been opened.
        shared.count_names(3);
        let ask = || root.open_at(path, READ).map(drop);
        assert!(at_once(ask).is_none(), "{what}");
        ask().unwrap();
        assert!(shared.kept_names() <= 2, "{what}");
        assert!(at_once(ask).is_some(), "{what}");
    }
}

/// All names of an upper in memory stay, so a sweep comes each time their number has doubled, and not each
/// time a few were added.
#[test]
fn sweeps_become_rarer_where_names_stay() {
    let limits = Limits {
        kept_nodes: 2,
        ..Limits::default()
    };
    let overlay = Overlay::builder().limits(limits).upper_memory(1 << 20);
    let overlay = overlay.build().unwrap();
    let (shared, root) = (&overlay.shared, overlay.root());
    let swept = || {
        shared
            .names_swept
            .load(crate::sync::atomic::Ordering::Relaxed)
    };
    let (mut sweeps, mut before) = (0, 0);
    for file in 0..1000 {
        open(&root, &format!("{file}"), CREATE);
        sweeps += usize::from(swept() != before);
        before = swept();
    }
    assert!((5..=10).contains(&sweeps), "{sweeps} sweeps");
    assert!(shared.kept_names() >= 1000);
}
