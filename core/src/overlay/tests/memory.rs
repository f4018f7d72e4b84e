//! Tests of the memory of removed and closed files.

use super::{CREATE, READ, in_memory, node, open};
use crate::layer::MemoryLayer;
use crate::overlay::children::Child;
use crate::overlay::freeing::files_handed_over;
use crate::{Limits, Lower, Overlay};
use std::sync::Arc;

/// A new directory gets the inode number of a removed one. If that was still open, both had one identity,
/// so they compared as the same directory.
#[test]
fn reused_inode_number_gets_new_identity() {
    let overlay = in_memory();
    let (root, shared) = (overlay.root(), &overlay.shared);
    let remove = |hold: bool| {
        root.create_directory_at("new").unwrap();
        let node = node(&overlay, "new");
        let part = node.upper_part().unwrap();
        let (number, identity) = (part.number(), part.identity);
        root.remove_directory_at("new").unwrap();
        (number, identity, hold.then_some(node))
    };
    let ((device, inode), before, held) = remove(true);
    let now = shared.identity_of_upper(device, inode);
    assert_ne!(now, before);
    assert_eq!(shared.identity_of_upper(device, inode), now);
    assert_eq!(held.unwrap().identity(shared), before);

    let ((device, inode), before, _) = remove(false);
    assert_eq!(shared.identity_of_upper(device, inode), before);

    // Removed directories that nothing holds are forgotten.
    for _ in 0..1000 {
        remove(false);
    }
    assert!(shared.removed_dirs.lock().len() <= 64);
}

/// Each lower file that was opened left an entry in a directory of the upper until that was swept: in an
/// upper in memory, for ever.
#[test]
fn opened_lower_files_leave_a_bounded_number_of_names() {
    const DIRS: usize = 40;
    const FILES: usize = 60;
    let mut layer = MemoryLayer::build();
    for dir in 0..DIRS {
        for file in 0..FILES {
            layer = layer.file(format!("{dir}/{file}"), b"data");
        }
    }
    let limits = Limits {
        kept_nodes: 100,
        ..Limits::default()
    };
    let overlay = Overlay::builder()
        .lower(Lower::new("lower", layer.finish().unwrap()))
        .upper_memory(1 << 20)
        .limits(limits)
        .build()
        .unwrap();
    let root = overlay.root();
    for dir in 0..DIRS {
        open(&root, &format!("{dir}/new"), CREATE);
        for file in 0..FILES {
            open(&root, &format!("{dir}/{file}"), READ);
        }
    }
    // Again, now by the fast path.
    for dir in 0..DIRS {
        for file in 0..FILES {
            open(&root, &format!("{dir}/{file}"), READ);
        }
    }
    let mut kept = 0;
    let mut dirs = vec![Arc::clone(&overlay.shared.root)];
    while let Some(dir) = dirs.pop() {
        let children = dir.dir().unwrap().children.read();
        kept += children.map.len();
        dirs.extend(children.map.values().filter_map(|child| match child {
            Child::Node(node) if node.dir.is_some() => Some(Arc::clone(node)),
            _ => None,
        }));
    }
    // The directories and the new files stay, and the lower files that were opened since the last sweep.
    assert!(kept <= 2 * DIRS + 100 + FILES, "{kept}");
    assert!(kept <= overlay.kept_names(), "{}", overlay.kept_names());
    assert!(overlay.kept_names() <= 4 * DIRS + 200 + FILES);
}

/// The thread that dropped an overlay freed its whole tree, which takes a microsecond or two for each file.
#[test]
fn large_tree_in_memory_is_freed_by_another_thread() {
    for (files, is_large) in [(20, false), (2000, true)] {
        let overlay = Overlay::builder().upper_memory(64 << 20).build().unwrap();
        let root = overlay.root();
        for file in 0..files {
            open(&root, &format!("{file}"), CREATE);
        }
        let kept = Arc::downgrade(&node(&overlay, "0"));
        let before = files_handed_over();
        drop((root, overlay));
        assert_eq!(files_handed_over() - before >= files, is_large);
        // It is freed in any case.
        while kept.strong_count() > 0 {
            assert!(is_large, "a small tree is freed by the drop");
            std::thread::yield_now();
        }
    }
}
