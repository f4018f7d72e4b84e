//! The cost of the sweep of an upper whose last mount was interrupted, in trees that are slow on purpose.
//!
//! A guest created 2,000 nested directories with names of 250 bytes, and 3,000 directories in the last one; then its
//! process was killed. The next mount took more than a minute and 1.7 GB, because the sweep stored the full path of
//! every pending directory, and walked each path from the root.

use crate::full::Descriptors;
use crate::trees::{Deep, chain, down, make, open};
use crate::{alone, capability, peak_of};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, openat};
use wasi_overlay_core::Overlay;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;

const ROOT: &str = "an upper in a directory can be mounted";

/// The cost of a sweep.
struct Cost {
    /// Calls of the upper for each directory.
    calls: f64,
    /// The peak of bytes.
    bytes: usize,
}

/// Mounts an interrupted upper with `dirs` directories, with few descriptors.
fn sweep(tree: &Deep, dirs: usize) -> Cost {
    make(open(&tree.path()), ".wh..wh.work");
    let faults = Faults::default();
    let plain = Faulty::new(HostDir::new(capability(&tree.path()), "upper"), &faults);
    let upper = Overlay::builder().upper("upper", Marked::upper(plain));
    let _limit = Descriptors::limit(64);
    let start = std::time::Instant::now();
    let (overlay, bytes) = peak_of(|| upper.build().expect(ROOT));
    let time = start.elapsed();
    let calls = faults.calls() as f64 / dirs as f64;
    overlay.close().unwrap();
    println!(
        "{dirs} directories: {calls:.2} calls for each, {} KiB, {time:?}",
        bytes / 1024
    );
    Cost { calls, bytes }
}

/// Leaves a whiteout beside an entry, as an interruption does.
fn add_leftover(dir: &OwnedFd) {
    file(dir, "f");
    file(dir, ".wh.f");
}

fn file(dir: &OwnedFd, name: &str) {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::RWXU).unwrap();
}

/// The memory of the mount itself.
const SPARE: usize = 64 * 1024;

#[test]
fn deep_directory_with_many_children_is_swept_in_linear_time() {
    let _alone = alone();
    let (levels, width) = (2000, 3000);
    let tree = Deep::new();
    chain(
        open(&tree.path()),
        &"n".repeat(250),
        levels,
        |dir, level| {
            if level == levels {
                (0..width).for_each(|number| make(dir, &format!("{number:0>250}")));
                add_leftover(dir);
            }
        },
    );
    let cost = sweep(&tree, levels + width);
    // One open and one listing each.
    assert!(cost.calls < 2.1, "{} calls for each directory", cost.calls);
    // The names, in a vector that grows by doubling.
    assert!(
        cost.bytes < 3 * 256 * (levels + width) + SPARE,
        "{} bytes",
        cost.bytes
    );
}

/// Going back up to the next child costs most, since few directories stay open.
#[test]
fn deep_tree_with_a_branch_at_each_level_is_swept_in_linear_time() {
    let _alone = alone();
    for levels in [10, 1000, 100_000] {
        let tree = Deep::new();
        let mut dir = open(&tree.path());
        for level in 1..=levels {
            // One branch is listed before the way down and one after it, in either order of listings.
            ["b", "a", "c"].iter().for_each(|name| make(&dir, name));
            dir = down(&dir, "a");
            if level == 1 || level == levels {
                add_leftover(&dir);
            }
        }
        let cost = sweep(&tree, 3 * levels);
        assert!(cost.calls < 8.0, "{levels} levels: {} calls", cost.calls);
        // Two pending names and their position at each level.
        assert!(
            cost.bytes < 64 * levels + SPARE,
            "{levels} levels: {} bytes",
            cost.bytes
        );
        let last = down(open(&tree.path()), "a");
        assert!(openat(last, ".wh.f", OFlags::CLOEXEC, Mode::empty()).is_err());
    }
}

/// The walk returns from a thousand levels below to the same directory, many times.
#[test]
fn deep_tree_with_long_branches_is_swept_in_linear_time() {
    let _alone = alone();
    let (levels, step, branches) = (8192, 1024, 8);
    let tree = Deep::new();
    chain(open(&tree.path()), "a", levels, |dir, level| {
        if level % step == step - 1 {
            for branch in 0..branches {
                let name = format!("b{branch}");
                make(dir, &name);
                chain(down(dir, &name), "c", step, |_, _| {});
            }
        }
    });
    let dirs = levels + levels / step * branches * (step + 1);
    let cost = sweep(&tree, dirs);
    assert!(cost.calls < 8.0, "{} calls for each directory", cost.calls);
    assert!(cost.bytes < 16 * dirs + SPARE, "{} bytes", cost.bytes);
}

#[test]
fn wide_directory_is_swept_in_linear_time() {
    let _alone = alone();
    let count = 50_000;
    let tree = Deep::new();
    let top = open(&tree.path());
    for name in ["dirs", "files", "whiteouts"] {
        make(&top, name);
        let dir = down(&top, name);
        for number in 0..count {
            match name {
                "dirs" => make(&dir, &format!("{number:0>100}")),
                "files" => file(&dir, &format!("{number:0>100}")),
                _ => file(&dir, &format!(".wh.{number:0>100}")),
            }
        }
    }
    let cost = sweep(&tree, count);
    // One more query for the entry beside each whiteout.
    assert!(cost.calls < 3.1, "{} calls for each directory", cost.calls);
    assert!(cost.bytes < 3 * 101 * count + SPARE, "{} bytes", cost.bytes);
}
