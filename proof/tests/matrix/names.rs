//! Names so long that their whiteouts cannot be named: `.wh.` and 252 bytes exceed the limit.

use std::fs;
use wasi_overlay_core::{Dir, Errno, Lower, OpenHow, Overlay};
use wasi_overlay_proof::kit::{self, capability, how, scratch};
use wasi_overlay_proof::matrix::Node;
use wasi_overlay_proof::matrix::tree::{dir, file};

const CREATE: OpenHow = how("rwcx");

fn name(length: usize) -> String {
    "n".repeat(length)
}

fn with(lower: &Node, memory: bool, test: impl FnOnce(&Dir)) {
    let temp = scratch();
    lower.write(&temp.path().join("lower"));
    fs::create_dir(temp.path().join("upper")).unwrap();
    let builder = Overlay::builder()
        .lower(Lower::dir("lower", capability(&temp.path().join("lower"))).unwrap());
    let overlay = if memory {
        builder.upper_memory(1 << 20)
    } else {
        builder.upper_dir("upper", capability(&temp.path().join("upper")))
    }
    .build()
    .unwrap();
    test(&overlay.root());
    overlay.close().unwrap();
    assert!(
        !temp.path().join("upper/.wh..wh.work").exists(),
        "staging is left"
    );
}

fn errno(result: wasi_overlay_core::Result<()>) -> Option<Errno> {
    result.err().map(|error| error.errno())
}

#[test]
fn lower_names_too_long_for_a_whiteout_can_be_written_but_not_removed() {
    for length in [251, 252, 255] {
        let (f, d) = (name(length), format!("{}d", name(length - 1)));
        let lower = dir([
            (f.as_str(), file("data")),
            (d.as_str(), dir([])),
            ("other", file("other")),
            ("empty", dir([])),
        ]);
        let refused = (length > 251).then_some(Errno::NameTooLong);
        for memory in [false, true] {
            // Memory has whiteouts of any length.
            let refused = refused.filter(|_| !memory);
            with(&lower, memory, |root| {
                assert_eq!(errno(root.unlink_file_at(&f)), refused, "{length}");
                assert_eq!(errno(root.remove_directory_at(&d)), refused, "{length}");
            });
            with(&lower, memory, |root| {
                assert_eq!(errno(root.rename_at(&f, root, "new")), refused, "{length}");
                assert_eq!(errno(root.rename_at(&d, root, "newd")), refused, "{length}");
                if refused.is_some() {
                    let seen = root.list().unwrap();
                    assert_eq!(seen.len(), 4, "a refused call changes nothing");
                }
            });
            // Nothing is hidden by these, so nothing needs a whiteout.
            with(&lower, memory, |root| {
                assert_eq!(errno(root.open_at(&f, kit::CREATE).map(drop)), None);
                assert_eq!(errno(root.create_directory_at(&format!("{d}/sub"))), None);
                assert_eq!(errno(root.remove_directory_at(&format!("{d}/sub"))), None);
                assert_eq!(errno(root.rename_at("other", root, &f)), None, "{length}");
                assert_eq!(errno(root.rename_at("empty", root, &d)), None, "{length}");
                assert_eq!(root.stat_at(&f, true).unwrap().size, 5);
            });
        }
    }
}

#[test]
fn upper_names_of_any_length_can_be_created_and_removed() {
    for length in [251, 252, 255] {
        let name = name(length);
        for memory in [false, true] {
            with(&dir([("lower", file("data"))]), memory, |root| {
                root.open_at(&name, CREATE).unwrap();
                root.unlink_file_at(&name).unwrap();
                root.create_directory_at(&name).unwrap();
                root.create_directory_at(&format!("{name}/{name}")).unwrap();
                root.remove_directory_at(&format!("{name}/{name}")).unwrap();
                root.remove_directory_at(&name).unwrap();
                root.symlink_at("lower", &name).unwrap();
                root.unlink_file_at(&name).unwrap();
                root.rename_at("lower", root, &name).unwrap();
                assert_eq!(root.list().unwrap().len(), 1, "{length}");
                root.rename_at(&name, root, "back").unwrap();
                root.link_at("back", root, &name).unwrap();
                assert_eq!(root.stat_at(&name, true).unwrap().links, 2);
            });
        }
    }
}

#[test]
fn names_of_256_bytes_are_too_long() {
    for memory in [false, true] {
        with(&dir([("lower", file("data"))]), memory, |root| {
            let name = name(256);
            let too_long = Some(Errno::NameTooLong);
            assert_eq!(errno(root.stat_at(&name, true).map(drop)), too_long);
            assert_eq!(errno(root.open_at(&name, CREATE).map(drop)), too_long);
            assert_eq!(errno(root.create_directory_at(&name)), too_long);
            assert_eq!(errno(root.symlink_at("lower", &name)), too_long);
            assert_eq!(errno(root.rename_at("lower", root, &name)), too_long);
            assert_eq!(errno(root.link_at("lower", root, &name)), too_long);
        });
    }
}
