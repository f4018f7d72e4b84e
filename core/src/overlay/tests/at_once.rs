//! What is asked at once while others hold locks.

use super::{WRITE, in_memory, node, open};
use crate::{OpenHow, Opened, at_once};

/// Who changes a directory holds its lock while it calls layers, so who must not wait does not wait for
/// that lock.
#[test]
fn what_is_asked_at_once_waits_for_no_change() {
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
    // One that everybody knows needs no lock.
    let answers = |locked: [bool; 3]| {
        for (ask, is_locked) in ask.iter().zip(locked) {
            assert_eq!(at_once(ask).is_none(), is_locked);
        }
    };
    answers([false; 3]);
    let names = dir.dir().unwrap().names.write();
    answers([false, false, true]);
    // The names that the upper has there are not known any more.
    dir.dir().unwrap().children.write().forget_names();
    answers([false, true, true]);
    drop(names);
    answers([false; 3]);

    let changes = overlay.shared.changes.write();
    assert!(at_once(|| file.write_at(b"x", 0)).is_none());
    drop(changes);
    assert_eq!(at_once(|| file.write_at(b"x", 0)).unwrap().unwrap(), 1);
}
