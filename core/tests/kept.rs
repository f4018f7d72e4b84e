//! A layer in memory that outlives its mount, and contains what its overlay showed.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use wasi_overlay_core::layer::{Layer as _, Listed, MemoryLayer};
use wasi_overlay_core::{
    Dir, Errno, File, Kind, Lower, OpenHow, Opened, Overlay, Result, SetTime, SetTimes, Timestamp,
};
use wasi_overlay_proof::kit::{READ, dir};

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
    overlay.upper("kept", upper.clone()).build().unwrap()
}

fn file(root: &Dir, path: &str, how: OpenHow) -> Result<File> {
    match root.open_at(path, how)? {
        Opened::File(file) => Ok(file),
        Opened::Dir(_) => Err(Errno::IsDirectory.into()),
    }
}

/// Every path with what is behind it.
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
                _ => {
                    let data = file(&here, name, READ).unwrap().read_vec_at(100, 0);
                    String::from_utf8(data.unwrap()).unwrap()
                }
            };
            let modified = stat.modified.seconds;
            lines.push(format!("{path} {:?} {modified} {inside}", stat.kind));
        }
    }
    lines.sort();
    lines
}

/// Every path that a layer holds by itself.
fn held(layer: &MemoryLayer) -> BTreeSet<String> {
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
fn renamed_lower_directory_is_whole_at_the_second_mount_and_as_a_layer() {
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
        // Its owner finds in it, while it is mounted too, all that is in no lower of that path.
        let (held, below) = (held(&upper), held(&lower()));
        for line in &shown {
            let path = path(line);
            let is_there = held.contains(path) || below.contains(path);
            assert!(is_there, "rename {number}: {path} is in no layer");
        }
        // The mount ends with the last descriptor, closed or not.
        if number % 2 == 0 {
            overlay.close().unwrap();
        }
        drop(overlay);
        assert_eq!(rotated(), shown, "rename {number}, as a layer");
        assert_eq!(tree(&mount(&upper).root()), shown, "rename {number}, again");
    }
}

/// What is copied up for a rename counts against the bound, and the rename fails where there is no room
/// for it. Then nothing has moved, here or there.
#[test]
fn rename_fails_where_a_kept_layer_has_no_room_for_the_directory() {
    let below = MemoryLayer::build()
        .file("d/a", vec![1; 40_000])
        .file("d/b", vec![2; 40_000]);
    let lower = Lower::new("lower", below.finish().unwrap());
    let upper = MemoryLayer::with_capacity(64 << 10);
    let overlay = Overlay::builder()
        .lower(lower)
        .upper("kept", upper.clone())
        .build()
        .unwrap();
    let root = overlay.root();
    let before = tree(&root);
    let failed = root.rename_at("d", &root, "e").unwrap_err();
    assert_eq!(failed.errno(), Errno::InsufficientSpace);
    assert_eq!(tree(&root), before);
    // Memory that ends with the mount has nothing to copy.
    let below = MemoryLayer::build().file("d/a", vec![1; 80_000]);
    let lower = Lower::new("lower", below.finish().unwrap());
    let overlay = Overlay::builder().lower(lower).upper_memory(64 << 10);
    let overlay = overlay.build().unwrap();
    let root = overlay.root();
    root.rename_at("d", &root, "e").unwrap();
    assert_eq!(overlay.usage().unwrap().bytes, 0);
    assert_eq!(root.stat_at("e/a", true).unwrap().size, 80_000);
}

/// Memory refuses nothing by itself. Whether a layer of it is kept or not, the engine asks for the modes.
#[test]
fn modes_bind_on_a_kept_layer_as_on_one_that_is_not() {
    let lower = || {
        let layer = MemoryLayer::build().file("f", b"").mode("f", 0o000);
        Lower::new("lower", layer.finish().unwrap())
    };
    let kept = Overlay::builder().upper("kept", MemoryLayer::with_capacity(1 << 20));
    for builder in [kept, Overlay::builder().upper_memory(1 << 20)] {
        let overlay = builder.lower(lower()).obey_modes(true).build().unwrap();
        let root = overlay.root();
        root.rename_at("f", &root, "g").unwrap();
        for write in [false, true] {
            let how = OpenHow {
                read: !write,
                write,
                ..READ
            };
            let refused = file(&root, "g", how).err().map(|error| error.errno());
            assert_eq!(refused, Some(Errno::Access));
        }
    }
}
