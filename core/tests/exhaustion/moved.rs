//! The cost of moving a directory by copy, in trees that are slow on purpose.

use crate::trees::{Deep, chain, down, make, open};
use crate::{alone, capability, dir, peak_of};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fstat, openat};
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Limits, Overlay};

/// Renames `top`, in a tree in which the directories with these inode numbers cannot be renamed.
/// Returns the number of calls of the upper, and the peak of bytes.
fn rename(tree: &Deep, fixed: Vec<u64>) -> (u64, usize) {
    let faults = Faults::default();
    let plain = HostDir::new(capability(&tree.path()), "upper");
    let plain = Faulty::new(plain, &faults).with_fixed_dirs(fixed);
    let mut limits = Limits::default();
    limits.depth = 1 << 20;
    let overlay = Overlay::builder()
        .upper("upper", Marked::upper(plain))
        .limits(limits)
        .build()
        .unwrap();
    let root = overlay.root();
    // An open handle, as deep as the longest path.
    let deep = dir(&root, &format!("top{}", "/d".repeat(2000)));
    let before = deep.identity().unwrap();
    faults.never();
    let start = std::time::Instant::now();
    let (renamed, bytes) = peak_of(|| root.rename_at("top", &root, "moved"));
    renamed.unwrap();
    let (calls, time) = (faults.calls(), start.elapsed());
    deep.create_directory_at("new").unwrap();
    let there = dir(&root, &format!("moved{}", "/d".repeat(2000)));
    assert_eq!(there.identity().unwrap(), before);
    there.stat_at("new", true).unwrap();
    root.stat_at("top", true).unwrap_err();
    drop((there, deep, root));
    overlay.close().unwrap();
    println!("{calls} calls, {} KiB, {time:?}", bytes / 1024);
    (calls, bytes)
}

fn inode(dir: &OwnedFd) -> u64 {
    fstat(dir).unwrap().st_ino
}

#[test]
fn deep_directory_is_moved_by_a_copy_in_linear_time_and_bounded_stack() {
    let _alone = alone();
    for levels in [3000, 100_000] {
        let tree = Deep::new();
        make(open(&tree.path()), "top");
        let top = down(open(&tree.path()), "top");
        let mut fixed = vec![inode(&top)];
        chain(top, "d", levels, |dir, _| fixed.push(inode(dir)));
        let (calls, bytes) = std::thread::scope(|scope| {
            let small = std::thread::Builder::new().stack_size(256 * 1024);
            let moved = small.spawn_scoped(scope, || rename(&tree, fixed));
            moved.unwrap().join().unwrap()
        });
        assert!(calls < 60 * levels as u64, "{levels} levels: {calls} calls");
        assert!(
            bytes < 512 * levels + (1 << 20),
            "{levels} levels: {bytes} bytes"
        );
    }
}

#[test]
fn wide_directory_is_moved_by_a_copy_without_its_names_in_memory() {
    let _alone = alone();
    let count = 100_000;
    let tree = Deep::new();
    make(open(&tree.path()), "top");
    let top = down(open(&tree.path()), "top");
    let mut fixed = vec![inode(&top)];
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    for number in 0..count {
        openat(&top, format!("{number:0>200}"), flags, Mode::RWXU).unwrap();
    }
    chain(top, "d", 2000, |dir, _| fixed.push(inode(dir)));
    let (calls, bytes) = rename(&tree, fixed);
    assert!(calls < 5 * count + 60 * 2000, "{calls} calls");
    assert!(bytes < 2 << 20, "{bytes} bytes");
}
