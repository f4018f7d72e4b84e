//! An upper whose directory handles are paths: a handle that was opened before a rename still works after it.
#![cfg(all(feature = "conformance", feature = "dir"))]

use std::path::Path;
use wasi_overlay_core::layer::{Layer, MemoryLayer, Upper};
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::by_path::ByPath;
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Errno, Limits, Lower, Overlay};
use wasi_overlay_proof::kit::{CREATE, READ, WRITE, capability, dir, fails, file, names, text};

fn host(path: &Path) -> HostDir {
    HostDir::new(capability(path), "upper")
}

fn overlay(upper: &Path, kept_handles: usize) -> Overlay {
    let layer = MemoryLayer::build()
        .file("low/deep/f", b"lower")
        .file("low/gone", b"lower");
    let mut limits = Limits::default();
    limits.kept_handles = kept_handles;
    Overlay::builder()
        .lower(Lower::new("lower", layer.finish().unwrap()))
        .upper("upper", Marked::upper(ByPath::new(host(upper))))
        .volatile(true)
        .limits(limits)
        .build()
        .unwrap()
}

/// Replaces the data of a file.
fn put(root: &Dir, path: &str, data: &str) {
    let file = file(root, path, CREATE);
    file.set_size(0).unwrap();
    file.write_at(data.as_bytes(), 0).unwrap();
}

/// A handle from before a rename must not lead nowhere, or to the directory that has the old name now.
#[test]
fn open_handles_follow_renamed_directories() {
    for kept in [1, 256] {
        let temp = tempfile::tempdir().unwrap();
        let overlay = overlay(temp.path(), kept);
        let root = overlay.root();
        root.create_directory_at("a").unwrap();
        root.create_directory_at("a/b").unwrap();
        put(&root, "a/b/f", "one");
        let (a, b) = (dir(&root, "a"), dir(&root, "a/b"));
        let file = file(&b, "f", WRITE);
        root.rename_at("a", &root, "moved").unwrap();
        // Another directory gets the old name.
        root.create_directory_at("a").unwrap();
        root.create_directory_at("a/b").unwrap();
        put(&root, "a/b/f", "two");

        assert_eq!(text(&b, "f"), "one");
        assert_eq!(text(&a, "b/f"), "one");
        assert_eq!(text(&root, "a/b/f"), "two");
        file.write_at(b"ONE", 0).unwrap();
        assert_eq!(text(&root, "moved/b/f"), "ONE");
        put(&b, "new", "in the moved directory");
        assert_eq!(names(&dir(&root, "moved/b")), ["f", "new"]);
        assert_eq!(names(&dir(&root, "a/b")), ["f"]);
        b.rename_at("new", &a, "newer").unwrap();
        b.link_at("f", &root, "linked").unwrap();
        assert_eq!(root.stat_at("linked", true).unwrap().links, 2);
        a.unlink_file_at("newer").unwrap();
        assert_eq!(names(&a), ["b"]);

        // The two directories swap names.
        root.rename_at("a", &root, "c").unwrap();
        root.rename_at("moved", &root, "a").unwrap();
        root.rename_at("c", &root, "moved").unwrap();
        assert_eq!(text(&b, "f"), "ONE");
        assert_eq!(text(&root, "a/b/f"), "ONE");
        assert_eq!(text(&root, "moved/b/f"), "two");
        assert_eq!(a.stat().unwrap(), root.stat_at("a", true).unwrap());
    }
}

/// As above, with directories that the rename copies up, and with staging after it.
#[test]
fn renamed_lower_directory_can_still_be_changed() {
    let temp = tempfile::tempdir().unwrap();
    let overlay = overlay(temp.path(), 256);
    let root = overlay.root();
    let (low, deep) = (dir(&root, "low"), dir(&root, "low/deep"));
    let reader = file(&deep, "f", READ);
    root.rename_at("low", &root, "high").unwrap();
    low.rename_at("gone", &root, "kept").unwrap();
    put(&deep, "f", "changed");
    let mut buffer = [0; 16];
    assert_eq!(reader.read_at(&mut buffer, 0).unwrap(), 7);
    assert_eq!(text(&root, "high/deep/f"), "changed");
    // The old name has a whiteout now, so the new directory is staged.
    root.create_directory_at("low").unwrap();
    assert!(names(&dir(&root, "low")).is_empty());
    root.rename_at("high", &root, "low").unwrap();
    assert_eq!(text(&low, "deep/f"), "changed");
    drop((reader, low, deep));
    overlay.close().unwrap();
    drop((root, overlay));
    let again = self::overlay(temp.path(), 256).root();
    assert_eq!(names(&again), ["kept", "low"]);
    assert_eq!(text(&again, "low/deep/f"), "changed");
}

/// A path handle of a removed directory must not open the next directory at that path.
#[test]
fn handle_of_a_removed_directory_does_not_open_its_successor() {
    let temp = tempfile::tempdir().unwrap();
    let overlay = overlay(temp.path(), 256);
    let root = overlay.root();
    root.create_directory_at("a").unwrap();
    put(&root, "a/f", "x");
    let removed = dir(&root, "a");
    removed.unlink_file_at("f").unwrap();
    let before = removed.identity().unwrap();
    root.remove_directory_at("a").unwrap();
    root.create_directory_at("a").unwrap();
    put(&root, "a/g", "y");
    fails(removed.list(), Errno::NoEntry);
    fails(removed.open_at("g", CREATE), Errno::NoEntry);
    assert_eq!(removed.identity().unwrap(), before);
}

/// The inode number of a directory changed with its contents, and every later walk that had to reopen it failed with
/// `busy`.
#[test]
fn evicted_directory_is_reopened_although_its_inode_number_changed() {
    let temp = tempfile::tempdir().unwrap();
    let overlay = overlay(temp.path(), 1);
    let root = overlay.root();
    root.create_directory_at("a").unwrap();
    root.create_directory_at("b").unwrap();
    let identity = root.identity_at("a", true).unwrap();
    for index in 0..3 {
        put(&root, &format!("a/{index}"), "a");
        put(&root, &format!("b/{index}"), "b");
    }
    assert_eq!(names(&dir(&root, "a")), ["0", "1", "2"]);
    assert_eq!(root.identity_at("a", true).unwrap(), identity);
}

/// A listing without inode numbers reports 0, so that a guest queries each name instead of taking all names
/// for one file.
#[test]
fn identity_is_queried_where_listings_have_no_inode_numbers() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("a"), "").unwrap();
    std::fs::write(temp.path().join("b"), "").unwrap();
    let root = overlay(temp.path(), 256).root();
    let inode = |listing: &wasi_overlay_core::Listing, index| {
        let entry = listing.get(index).unwrap();
        entry.inode().unwrap()
    };
    let listing = root.list().unwrap();
    assert_eq!((inode(&listing, 0), inode(&listing, 1)), (0, 0));
    let identity = root.identity_at("a", true).unwrap();
    assert_ne!(identity, root.identity_at("b", true).unwrap());
    // A new listing contains the numbers that are cached by now.
    put(&root, "c", "");
    assert_eq!(inode(&root.list().unwrap(), 0), identity.lower);
}

#[test]
fn layer_reports_whether_its_handles_follow_renames() {
    let temp = tempfile::tempdir().unwrap();
    assert!(Marked::upper(host(temp.path())).handles_follow_rename());
    let upper = Marked::upper(ByPath::new(host(temp.path())));
    assert!(!upper.handles_follow_rename());
    upper.root().unwrap();
}
