//! The limit on depth, and the cost of trees up to a raised limit.
//!
//! A guest created chains of directories within the limit, and moved each to the end of the previous one: a tree of
//! 43,000 levels in seconds. Every call that opens an evicted handle, renames a directory or syncs a file takes
//! time in proportion to the depth.

use crate::trees::{Deep, chain, down, make, open};
use crate::{CREATE, MIB, READ, alone, capability, dir, file, peak_of};
use std::time::{Duration, Instant};
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Errno, Limits, Lower, Overlay, OverlayBuilder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Memory,
    Directory,
    OnDemand,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Memory, Self::Directory, Self::OnDemand];

    fn upper(self, builder: OverlayBuilder, tree: &Deep) -> Overlay {
        let host = || HostDir::new(capability(&tree.path()), "upper");
        let builder = match self {
            Self::Memory => builder.upper_memory(2 << 30),
            Self::Directory => builder.upper("upper", Marked::upper(host())),
            Self::OnDemand => builder.upper("upper", Marked::upper_on_demand(host())),
        };
        builder.build().unwrap()
    }
}

fn limited(depth: usize) -> Limits {
    let mut limits = Limits::default();
    limits.depth = depth;
    limits
}

/// Runs `test` on a small stack, which recursion over a deep tree would overflow.
fn on_a_small_stack(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(256 * 1024);
        small.spawn_scoped(scope, test).unwrap().join().unwrap();
    });
}

/// Walks down `names`, one call for each.
fn walk<'a>(top: &Dir, names: impl IntoIterator<Item = &'a str>) -> Dir {
    let mut at = top.clone();
    for name in names {
        at = dir(&at, name);
    }
    at
}

/// Creates `levels` nested directories, the first one called `name`, and returns the last.
fn make_chain(top: &Dir, name: &str, levels: usize) -> Dir {
    let mut at = top.clone();
    for name in std::iter::once(name).chain(std::iter::repeat_n("d", levels - 1)) {
        at.create_directory_at(name).unwrap();
        at = dir(&at, name);
    }
    at
}

#[track_caller]
fn too_deep<T: std::fmt::Debug>(result: wasi_overlay_core::Result<T>) {
    assert_eq!(result.unwrap_err().errno(), Errno::NameTooLong);
}

#[test]
fn limit_on_depth_holds_when_directories_are_moved_into_each_other() {
    let _alone = alone();
    for kind in Kind::ALL {
        let tree = Deep::new();
        on_a_small_stack(|| {
            let overlay = kind.upper(Overlay::builder().limits(limited(600)), &tree);
            let root = overlay.root();
            let first = make_chain(&root, "first", 600);
            too_deep(first.create_directory_at("d"));
            file(&first, "file", CREATE);
            root.create_directory_at("one").unwrap();
            too_deep(root.rename_at("one", &first, "one"));
            // The deepest directory may contain files.
            file(&root, "moved", CREATE);
            root.rename_at("moved", &first, "moved").unwrap();

            let middle = walk(&root, std::iter::once("first").chain(["d"; 399]));
            let second = make_chain(&root, "second", 201);
            too_deep(root.rename_at("second", &middle, "second"));
            root.rename_at("second/d", &root, "third").unwrap();
            root.rename_at("third", &middle, "third").unwrap();
            too_deep(second.create_directory_at("x"));
            second.stat().unwrap();
            // The height does not matter for a rename that is not to a deeper directory.
            middle.rename_at("third", &middle, "fourth").unwrap();
            middle.rename_at("fourth", &root, "fifth").unwrap();
            second.create_directory_at("x").unwrap();
            root.rename_at("first", &second, "first").unwrap_err();
            drop((first, middle, second));
            overlay.close().unwrap();
        });
    }
}

/// The height of an uncached directory is unknown. It can be moved, and entries beyond the limit cannot be entered
/// until it is moved back.
#[test]
fn upper_directories_beyond_the_depth_limit_are_listed_but_not_entered() {
    let _alone = alone();
    let tree = Deep::new();
    let top = open(&tree.path());
    chain(down_new(&top, "deep"), "d", 150, |_, _| {});
    chain(down_new(&top, "tall"), "d", 70, |_, _| {});
    on_a_small_stack(|| {
        let overlay = Kind::Directory.upper(Overlay::builder().limits(limited(100)), &tree);
        let root = overlay.root();
        let last = walk(&root, std::iter::once("deep").chain(["d"; 99]));
        assert_eq!(last.list().unwrap().len(), 1);
        too_deep(last.stat_at("d", true));
        too_deep(last.open_at("d", READ));
        too_deep(last.remove_directory_at("d"));
        too_deep(last.rename_at("d", &root, "up"));
        assert_eq!(last.list().unwrap().len(), 1);
        file(&last, "file", CREATE);

        let middle = walk(&root, std::iter::once("deep").chain(["d"; 49]));
        root.rename_at("tall", &middle, "tall").unwrap();
        let tall = walk(&middle, std::iter::once("tall").chain(["d"; 49]));
        too_deep(tall.stat_at("d", true));
        middle.rename_at("tall", &root, "tall").unwrap();
        walk(&tall, ["d"; 21]).create_directory_at("new").unwrap();
        drop((last, middle, tall));
        overlay.close().unwrap();
    });
}

fn down_new(top: &rustix::fd::OwnedFd, name: &str) -> rustix::fd::OwnedFd {
    make(top, name);
    down(top, name)
}

#[test]
fn lower_directories_beyond_the_depth_limit_are_listed_but_not_entered() {
    let _alone = alone();
    let lower = || {
        let path = vec!["d"; 150].join("/");
        let mut layer = MemoryLayer::build();
        for (end, _) in path.match_indices('/') {
            layer = layer.dir(&path[..end]);
        }
        Lower::new("lower", layer.dir(&*path).finish().unwrap())
    };
    for kind in Kind::ALL {
        let tree = Deep::new();
        let builder = Overlay::builder().lower(lower()).limits(limited(100));
        let overlay = kind.upper(builder, &tree);
        let root = overlay.root();
        let last = walk(&root, ["d"; 100]);
        assert_eq!(last.list().unwrap().len(), 1);
        too_deep(last.stat_at("d", true));
        too_deep(last.open_at("d", READ));
        too_deep(last.create_directory_at("new"));
        file(&last, "file", CREATE);
        assert_eq!(last.list().unwrap().len(), 2);
        // With a memory upper, the rename moves merged directories without a copy.
        root.create_directory_at("a").unwrap();
        root.create_directory_at("a/b").unwrap();
        let moved = root.rename_at("d", &dir(&root, "a/b"), "d");
        too_deep(moved);
        drop(last);
        overlay.close().unwrap();
    }
}

/// With a raised limit. Nothing recurses, and nothing takes quadratic time.
#[test]
fn tree_of_100_000_levels_takes_little_stack_memory_and_time() {
    const LEVELS: usize = 100_000;
    let _alone = alone();
    for kind in Kind::ALL {
        let (lower, tree) = (Deep::new(), Deep::new());
        chain(open(&lower.path()), "d", LEVELS, |_, _| {});
        if kind != Kind::Memory {
            // Linux itself takes time in proportion to the depth to publish a copy, since a rename checks whether
            // one directory is above the other.
            chain(open(&tree.path()), "d", LEVELS - 50, |_, _| {});
        }
        on_a_small_stack(|| {
            let start = Instant::now();
            let ((), peak) = peak_of(|| everything(kind, &lower, &tree, LEVELS));
            let time = start.elapsed();
            println!("{kind:?}: {} bytes for each level, {time:?}", peak / LEVELS);
            // A handle at the end keeps two trees of that depth, merged with a third one.
            assert!(peak < 4000 * LEVELS, "{kind:?}: {peak} bytes");
            assert!(time < Duration::from_secs(40), "{kind:?}: {time:?}");
        });
    }
}

fn everything(kind: Kind, lower: &Deep, tree: &Deep, levels: usize) {
    let mut steps = Instant::now();
    let mut took = |what| {
        println!("  {what}: {:?}", steps.elapsed());
        steps = Instant::now();
    };
    let lower = Lower::dir("lower", capability(&lower.path())).unwrap();
    let builder = Overlay::builder().lower(lower);
    let mut limits = limited(3 * levels);
    // So that nodes are evicted meanwhile.
    limits.kept_nodes = 20_000;
    let overlay = kind.upper(builder.limits(limits), tree);
    let root = overlay.root();

    let end = walk(&root, std::iter::repeat_n("d", levels));
    took("walk down");
    assert!(end.list().unwrap().is_empty());
    let data = file(&end, "data", CREATE);
    took("copy the directories up");
    data.write_at(b"data", 0).unwrap();
    data.sync(false).unwrap();
    took("sync");
    end.rename_at("data", &end, "moved").unwrap();
    end.stat_at("moved", true).unwrap();
    end.create_directory_at("made").unwrap();
    end.remove_directory_at("made").unwrap();
    end.unlink_file_at("moved").unwrap();
    assert!(end.list().unwrap().is_empty());
    took("change names");

    let other = make_chain(&root, "other", levels);
    took("make directories");
    root.rename_at("d", &other, "d").unwrap();
    took("rename");
    let error = root.rename_at("other", &end, "other").unwrap_err();
    assert_eq!(error.errno(), Errno::Invalid);
    end.create_directory_at("made").unwrap();
    let path = end.as_overlay().unwrap().path().unwrap();
    assert_eq!(path.len(), "other".len() + "/d".len() * (2 * levels - 1));
    took("the same, deeper");
    drop((data, end, other, root));
    overlay.close().unwrap();
    drop(overlay);
    took("drop");
}

/// One call copies up all files of the directory.
#[test]
fn rename_of_a_large_directory_caches_a_bounded_number_of_nodes() {
    let _alone = alone();
    let tree = Deep::new();
    let count = 20_000;
    let mut layer = MemoryLayer::build().dir("d");
    for index in 0..count {
        layer = layer.file(format!("d/{}/{index}", index % 100), "");
    }
    let lower = Lower::new("lower", layer.finish().unwrap());
    let mut limits = Limits::default();
    limits.kept_nodes = 1000;
    let overlay = Kind::Directory.upper(Overlay::builder().lower(lower).limits(limits), &tree);
    let root = overlay.root();
    // Caches the lower entries in the stack.
    for index in 0..count {
        root.stat_at(&format!("d/{}/{index}", index % 100), true)
            .unwrap();
    }
    let (moved, peak) = peak_of(|| root.rename_at("d", &root, "moved"));
    moved.unwrap();
    println!("{} bytes for each copy", peak / count);
    // Only the name and identity of each copy stay. With their nodes it was 12 MiB.
    assert!(peak < 5 * MIB, "{peak} bytes");
}
