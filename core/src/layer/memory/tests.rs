//! Tests of properties that only layers in memory have. The conformance suite tests the rest.

use super::*;
use crate::layer::{At, Durability, Found, Layer, Leave, Listed, Over, Upper, WriteAt};
use crate::meta::{SetTime, SetTimes, Timestamp};
use crate::name::Name;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::thread;

fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).unwrap()
}

fn at<'a>(dir: &'a MemoryDir, text: &'a str) -> At<'a, MemoryDir> {
    At::new(dir, name(text))
}

fn new_file(layer: &MemoryLayer, text: &str) -> Result<MemoryFile> {
    let file = layer.create(New::File, at(&layer.root()?, text), Over::Nothing)?;
    file.ok_or_else(|| Errno::Io.into())
}

#[test]
fn a_byte_far_out_stores_one_chunk() {
    let layer = MemoryLayer::new(64 * 1024, 10);
    let file = new_file(&layer, "f").unwrap();
    assert_eq!(file.write_at(b"x", 1 << 40).unwrap(), 1);
    assert_eq!(layer.usage().bytes, 4096);
}

#[test]
fn a_full_layer_fails_and_works_again_after_a_deletion() {
    let layer = MemoryLayer::new(8 * 4096, 3);
    let root = layer.root().unwrap();
    let file = new_file(&layer, "f").unwrap();
    assert_eq!(file.write_at(&[7; 10 * 4096], 0).unwrap(), 8 * 4096);
    let full = file.append(b"x").unwrap_err();
    assert_eq!(full.errno(), Errno::InsufficientSpace);

    new_file(&layer, "g").unwrap();
    let full = new_file(&layer, "h").unwrap_err();
    assert_eq!(full.errno(), Errno::InsufficientSpace);

    drop(file);
    layer
        .remove(at(&root, "f"), Over::File, Leave::Nothing)
        .unwrap();
    assert_eq!((layer.usage().bytes, layer.usage().inodes), (0, 2));
    let file = new_file(&layer, "h").unwrap();
    assert_eq!(file.append(b"x").unwrap(), 1);
}

#[test]
fn an_unlinked_file_is_stored_until_its_last_handle_is_dropped() {
    let layer = MemoryLayer::new(1 << 20, 10);
    let root = layer.root().unwrap();
    let file = new_file(&layer, "f").unwrap();
    file.append(b"data").unwrap();
    layer
        .remove(at(&root, "f"), Over::File, Leave::Nothing)
        .unwrap();
    assert_eq!((layer.usage().bytes, layer.usage().inodes), (4096, 2));
    drop(file);
    assert_eq!((layer.usage().bytes, layer.usage().inodes), (0, 1));
}

#[test]
fn every_name_is_charged_an_inode() {
    let layer = MemoryLayer::new(1 << 20, 4);
    let root = layer.root().unwrap();
    new_file(&layer, "f").unwrap();
    layer
        .link(at(&root, "f"), at(&root, "g"), Over::Nothing)
        .unwrap();
    layer.add_whiteout(at(&root, "m")).unwrap();
    assert_eq!(layer.usage().inodes, 4);
    let full = layer.add_whiteout(at(&root, "n")).unwrap_err();
    assert_eq!(full.errno(), Errno::InsufficientSpace);
    // Files can still be deleted from a full layer.
    layer
        .remove(at(&root, "f"), Over::File, Leave::Whiteout)
        .unwrap();
    layer
        .remove(at(&root, "g"), Over::File, Leave::Whiteout)
        .unwrap();
    assert_eq!(layer.usage().inodes, 4);
    for (gone, what) in [
        ("f", Over::Whiteout),
        ("g", Over::Whiteout),
        ("m", Over::Whiteout),
    ] {
        layer.remove(at(&root, gone), what, Leave::Nothing).unwrap();
    }
    assert_eq!(layer.usage().inodes, 1);
}

#[test]
fn a_deep_tree_is_dropped_without_recursion() {
    let layer = MemoryLayer::new(u64::MAX, u64::MAX);
    let mut dir = layer.root().unwrap();
    for _ in 0..200_000 {
        layer
            .create(New::Dir { opaque: false }, at(&dir, "d"), Over::Nothing)
            .unwrap();
        dir = layer.open_dir(&dir, name("d")).unwrap();
    }
    drop(dir);
    drop(layer);
}

#[test]
fn a_directory_cannot_be_moved_into_itself() {
    let layer = MemoryLayer::build().dir("a/b/c").finish().unwrap();
    let root = layer.root().unwrap();
    let a = layer.open_dir(&root, name("a")).unwrap();
    let b = layer.open_dir(&a, name("b")).unwrap();
    for inside in [&a, &b] {
        let error = layer
            .rename(
                at(&root, "a"),
                at(inside, "x"),
                Over::Nothing,
                Leave::Nothing,
            )
            .unwrap_err();
        assert_eq!(error.errno(), Errno::Invalid);
    }
    // The target holds the source.
    let error = layer
        .rename(at(&a, "b"), at(&root, "a"), Over::EmptyDir, Leave::Nothing)
        .unwrap_err();
    assert_eq!(error.errno(), Errno::NotEmpty);
}

#[test]
fn the_builder_creates_every_kind_of_entry() {
    let layer = MemoryLayer::build()
        .file("a/f", b"data")
        .link("a/f", "a/g")
        .symlink("a/l", "f")
        .special("a/p", Kind::Fifo, 0)
        .whiteout("a/x")
        .opaque("a")
        .mode("a/f", 0o600)
        .finish()
        .unwrap();
    let root = layer.root().unwrap();
    let a = layer.open_dir(&root, name("a")).unwrap();
    assert!(matches!(
        layer.find(&root, name("a")).unwrap(),
        Found::Here { opaque: true, .. }
    ));
    assert_eq!(layer.find(&a, name("x")).unwrap(), Found::Hidden);
    let Found::Here { meta, .. } = layer.find(&a, name("g")).unwrap() else {
        panic!("g is missing");
    };
    assert_eq!((meta.size, meta.links, meta.mode), (4, 2, Some(0o600)));
    assert_eq!(&*layer.read_link(&a, name("l")).unwrap(), b"f");
}

#[test]
fn the_builder_returns_its_first_error() {
    for path in ["/a", "a//b", "a/", "../a", "."] {
        let error = MemoryLayer::build().dir(path).file("b", b"").finish();
        let error = error.unwrap_err();
        assert_eq!(error.errno(), Errno::Invalid, "{path}");
        assert!(error.to_string().contains(path), "{error}");
    }
    let through_a_file = MemoryLayer::build().file("a", b"").dir("a/b").finish();
    assert_eq!(through_a_file.unwrap_err().errno(), Errno::NotDirectory);
}

/// Threads rename, link, remove and create in the same few directories, without the order that the
/// engine keeps. No thread deadlocks, and in the end the quota matches the tree.
#[test]
fn threads_that_change_the_same_directories_end_and_leave_the_counts_right() {
    let layer = MemoryLayer::new(1 << 30, 1 << 20);
    thread::scope(|scope| {
        for seed in 1..=4_u64 {
            let layer = &layer;
            scope.spawn(move || random_changes(layer, seed));
        }
    });
    let (mut slots, mut seen) = (0, BTreeSet::new());
    let mut rest = vec![layer.root().unwrap()];
    while let Some(dir) = rest.pop() {
        let listed = layer.list(&dir, &mut |name, listed| {
            slots += 1;
            if let Listed::Here { kind, inode } = listed {
                seen.insert(inode);
                if kind == Kind::Dir {
                    rest.push(layer.open_dir(&dir, name).unwrap());
                }
            }
            ControlFlow::Continue(())
        });
        listed.unwrap();
    }
    assert!(slots > 0 && seen.len() <= slots);
    assert_eq!(layer.usage().inodes, 1 + slots as u64);
}

fn random_changes(layer: &MemoryLayer, seed: u64) {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    const OVERS: [Over; 4] = [Over::Nothing, Over::Whiteout, Over::File, Over::EmptyDir];
    let mut state = seed;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(seed);
        (state >> 33) as usize % below
    };
    let root = layer.root().unwrap();
    let mut dirs = vec![root.clone()];
    for _ in 0..5000 {
        let mut pick = || (dirs[random(dirs.len())].clone(), NAMES[random(4)]);
        let ((one, from), (two, to)) = (pick(), pick());
        let (from, to) = (at(&one, from), at(&two, to));
        let over = OVERS[random(4)];
        let leave = [Leave::Nothing, Leave::Whiteout][random(2)];
        let result = match random(6) {
            0 => layer.create(New::File, to, over).map(|_| ()),
            1 | 2 => layer
                .create(New::Dir { opaque: false }, to, over)
                .map(|_| ()),
            3 => layer.remove(to, over, leave),
            4 => layer.link(from, to, over),
            _ => layer.rename(from, to, over, leave),
        };
        // Most calls pass a wrong `Over`: they must fail without any effect.
        drop(result);
        if let Ok(dir) = layer.open_dir(to.dir, to.name) {
            let dir = if dirs.len() < 8 { dir } else { root.clone() };
            dirs.truncate(7);
            dirs.push(dir);
        }
    }
}

/// Found by random plans: a whiteout, and a second name of a file, moved the times of their
/// directory, which the builder promises to leave alone whatever comes after them.
#[test]
fn a_builder_leaves_the_times_of_directories_alone() {
    let time = SetTime::To(Timestamp {
        seconds: 5,
        nanoseconds: 7,
    });
    let times = SetTimes {
        accessed: time,
        modified: time,
    };
    let layer = MemoryLayer::build()
        .dir("d")
        .times("d", times)
        .file("d/file", b"")
        .symlink("d/link", b"file")
        .link("d/file", "d/second")
        .whiteout("d/gone")
        .finish()
        .unwrap();
    let dir = layer.open_dir(&layer.root().unwrap(), Name::new(b"d").unwrap());
    let meta = layer.dir_meta(&dir.unwrap()).unwrap();
    assert_eq!(SetTimes::of(&meta), times);
}

/// Such a layer need not hold everything that its overlay showed.
#[test]
fn layer_for_one_mount_cannot_be_mounted_again() {
    let layer = MemoryLayer::for_one_mount(1 << 20);
    layer.mount(Durability::Durable).unwrap();
    layer.unmount().unwrap();
    assert_eq!(
        layer.mount(Durability::Durable).unwrap_err().errno(),
        Errno::Busy
    );
    let kept = MemoryLayer::with_capacity(1 << 20);
    for _ in 0..2 {
        kept.mount(Durability::Durable).unwrap();
        kept.unmount().unwrap();
    }
}
