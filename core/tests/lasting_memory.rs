//! A layer in memory that outlives its mount, and contains what its overlay showed.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use wasi_overlay_core::layer::{Layer as _, Listed, MemoryLayer};
use wasi_overlay_core::{Dir, Errno, Kind, Lower, Overlay, SetTime, SetTimes, Timestamp};
use wasi_overlay_proof::kit::{dir, fails, how, text};

fn lower() -> MemoryLayer {
    let then = SetTime::To(Timestamp {
        seconds: 1_000_000_000,
        nanoseconds: 5,
    });
    let then = SetTimes {
        accessed: then,
        modified: then,
    };
    MemoryLayer::build()
        .file("d/f", b"below")
        .file("d/sub/deep/g", b"far below")
        .symlink("d/link", b"sub")
        .file("d/gone", b"")
        .dir("taken/empty")
        .mode("d/sub", 0o700)
        .times("d/sub", then)
        .times("d/f", then)
        .finish()
        .unwrap()
}

fn mount(upper: &MemoryLayer) -> Overlay {
    let overlay = Overlay::builder().lower(Lower::new("lower", lower()));
    overlay.upper("upper", upper.clone()).build().unwrap()
}

/// Every path with its kind, time and contents.
fn tree(root: &Dir) -> Vec<String> {
    let mut lines = Vec::new();
    let mut dirs = vec![(String::new(), root.clone())];
    while let Some((at, here)) = dirs.pop() {
        for entry in here.list().unwrap().iter() {
            let name = entry.name.to_str().unwrap();
            let path = format!("{at}/{name}");
            let stat = here.stat_at(name, false).unwrap();
            let inside = match stat.kind {
                Kind::Dir => {
                    dirs.push((path.clone(), dir(&here, name)));
                    String::new()
                }
                Kind::Symlink => here.readlink_at(name).unwrap(),
                _ => text(&here, name),
            };
            let modified = stat.modified.seconds;
            lines.push(format!("{path} {:?} {modified} {inside}", stat.kind));
        }
    }
    lines.sort();
    lines
}

/// Every path in a layer.
fn paths(layer: &MemoryLayer) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut dirs = vec![(String::new(), layer.root().unwrap())];
    while let Some((at, dir)) = dirs.pop() {
        let listed = layer.list(&dir, &mut |name, listed| {
            let path = format!("{at}/{name}");
            if let Listed::Here { kind, .. } = listed {
                if kind == Kind::Dir {
                    dirs.push((path.clone(), layer.open_dir(&dir, name).unwrap()));
                }
                paths.insert(path);
            }
            ControlFlow::Continue(())
        });
        listed.unwrap();
    }
    paths
}

fn path(line: &str) -> &str {
    line.split(' ').next().unwrap()
}

/// An agent kept the layer of each step and mounted it again for the next. In one of them it had renamed
/// `d` to `e`; in the next, `e` was empty, since the layer held no more than the name, and the
/// overlay that knew what was in it was gone.
#[test]
fn renamed_lower_directory_is_complete_in_the_next_mount_and_as_a_layer() {
    type Rename = fn(&Dir);
    let renames: [Rename; 5] = [
        |root| root.rename_at("d", root, "e").unwrap(),
        |root| {
            root.unlink_file_at("d/gone").unwrap();
            root.rename_at("d", root, "e").unwrap();
            root.rename_at("e/sub", root, "moved").unwrap();
        },
        |root| {
            root.remove_directory_at("taken/empty").unwrap();
            root.rename_at("d", root, "taken").unwrap();
        },
        |root| {
            root.rename_at("d", root, "e").unwrap();
            root.create_directory_at("d").unwrap();
            root.rename_at("e", root, "d/e").unwrap();
        },
        |root| root.rename_at("d/sub/deep", root, "deep").unwrap(),
    ];
    for (number, rename) in renames.into_iter().enumerate() {
        let upper = MemoryLayer::with_capacity(1 << 20);
        let overlay = mount(&upper);
        rename(&overlay.root());
        let shown = tree(&overlay.root());
        let rotated = || {
            let layers = [("lower", lower()), ("was an upper", upper.clone())];
            let layers = layers.map(|(label, layer)| Lower::new(label, layer));
            let [bottom, top] = layers;
            let overlay = Overlay::builder().lower(bottom).lower(top).build();
            tree(&overlay.unwrap().root())
        };
        // While it is mounted, too, the layer contains every path that no lower has.
        let (above, below) = (paths(&upper), paths(&lower()));
        for line in &shown {
            let path = path(line);
            let is_there = above.contains(path) || below.contains(path);
            assert!(is_there, "rename {number}: {path} is in no layer");
        }
        // The mount ends with its last handle, also without `close`.
        if number % 2 == 0 {
            overlay.close().unwrap();
        }
        drop(overlay);
        assert_eq!(rotated(), shown, "rename {number}, as a layer");
        assert_eq!(tree(&mount(&upper).root()), shown, "rename {number}, again");
    }
}

/// Copies made for a rename count against the capacity. A rename that exceeds it fails and moves nothing.
#[test]
fn rename_fails_if_the_directory_exceeds_the_capacity() {
    let below = MemoryLayer::build()
        .file("d/a", vec![1; 40_000])
        .file("d/b", vec![2; 40_000]);
    let lower = Lower::new("lower", below.finish().unwrap());
    let upper = MemoryLayer::with_capacity(64 << 10);
    let overlay = Overlay::builder()
        .lower(lower)
        .upper("upper", upper.clone())
        .build()
        .unwrap();
    let root = overlay.root();
    let before = tree(&root);
    fails(root.rename_at("d", &root, "e"), Errno::InsufficientSpace);
    assert_eq!(tree(&root), before);
    // A memory upper that ends with its mount copies nothing.
    let below = MemoryLayer::build().file("d/a", vec![1; 80_000]);
    let lower = Lower::new("lower", below.finish().unwrap());
    let overlay = Overlay::builder().lower(lower).upper_memory(64 << 10);
    let overlay = overlay.build().unwrap();
    let root = overlay.root();
    root.rename_at("d", &root, "e").unwrap();
    assert_eq!(overlay.usage().unwrap().bytes, 0);
    assert_eq!(root.stat_at("e/a", true).unwrap().size, 80_000);
}

/// A memory layer does not enforce modes, so the engine does.
#[test]
fn modes_are_enforced_on_every_memory_upper() {
    let lower = || {
        let layer = MemoryLayer::build().file("f", b"").mode("f", 0o000);
        Lower::new("lower", layer.finish().unwrap())
    };
    let kept = Overlay::builder().upper("upper", MemoryLayer::with_capacity(1 << 20));
    for builder in [kept, Overlay::builder().upper_memory(1 << 20)] {
        let overlay = builder.lower(lower()).obey_modes(true).build().unwrap();
        let root = overlay.root();
        root.rename_at("f", &root, "g").unwrap();
        for flags in ["r", "w"] {
            fails(root.open_at("g", how(flags)), Errno::Access);
        }
    }
}
