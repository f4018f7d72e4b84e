//! Calls on a closed overlay.
//!
//! An embedder ran a guest, closed the overlay, and wanted to read what the guest had written. Each call
//! failed with `io`, though `close` promises that reads still work.

use crate::kit::{builder, dirs, lower, open};
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Errno, Kind, Overlay, SetTime, SetTimes};
use wasi_overlay_proof::kit::{CREATE, READ, WRITE, dir, fails, file, names, text};

/// Two overlays with the same lower: one on a directory and one in memory.
fn overlays(temp: &tempfile::TempDir) -> [Overlay; 2] {
    std::fs::write(temp.path().join("base/old"), "old").unwrap();
    std::fs::write(temp.path().join("base/changed"), "old").unwrap();
    let base = temp.path().join("base");
    let directory = builder(Some(&base), &temp.path().join("up"));
    let memory = Overlay::builder()
        .lower(lower(&base))
        .upper("memory", MemoryLayer::with_capacity(1 << 20));
    [directory.build().unwrap(), memory.build().unwrap()]
}

fn fill(root: &Dir) {
    root.create_directory_at("dir").unwrap();
    for (path, data) in [("dir/new", "new"), ("changed", "more")] {
        file(root, path, CREATE)
            .write_at(data.as_bytes(), 0)
            .unwrap();
    }
    root.symlink_at("dir/new", "link").unwrap();
    root.unlink_file_at("old").unwrap();
}

fn check(root: &Dir) {
    assert_eq!(names(root), ["changed", "dir", "link"]);
    assert_eq!(root.stat_at("dir", true).unwrap().kind, Kind::Dir);
    assert_eq!(root.readlink_at("link").unwrap(), "dir/new");
    fails(root.stat_at("old", true), Errno::NoEntry);
    for (path, data) in [("dir/new", "new"), ("changed", "more")] {
        assert_eq!(text(root, path), data);
    }
    assert_eq!(names(&dir(root, "dir")), ["new"]);
    let overlay = root.as_overlay().unwrap();
    assert!(overlay.xattrs_at("dir/new", false).unwrap().is_empty());
}

#[test]
fn closed_overlay_can_be_read() {
    let temp = dirs(&["base", "up"]);
    for overlay in overlays(&temp) {
        assert!(!overlay.is_closed());
        fill(&overlay.root());
        check(&overlay.root());
        overlay.close().unwrap();
        assert!(overlay.is_closed());
        check(&overlay.root());
        check(&overlay.read_only_root());
    }
    // An overlay without cached entries, too.
    let overlay = builder(Some(&temp.path().join("base")), &temp.path().join("up"));
    let overlay = overlay.build().unwrap();
    overlay.close().unwrap();
    check(&overlay.root());
}

#[test]
fn closed_overlay_cannot_be_changed() {
    let temp = dirs(&["base", "up"]);
    for overlay in overlays(&temp) {
        fill(&overlay.root());
        let root = overlay.root();
        let writer = file(&root, "changed", WRITE);
        let reader = file(&root, "dir/new", READ);
        overlay.close().unwrap();
        let times = SetTimes {
            accessed: SetTime::Now,
            modified: SetTime::Now,
        };
        let xattr = |root: &Dir| {
            let dir = root.as_overlay().unwrap();
            dir.set_xattr_at("dir/new", false, b"user.x", b"y")
        };
        let changes = [
            ("write", writer.write_at(b"x", 0).map(drop)),
            ("set_size", writer.set_size(0)),
            ("set_times of a file", writer.set_times(times)),
            ("set_times of a reader", reader.set_times(times)),
            ("open for writing", root.open_at("dir/new", WRITE).map(drop)),
            ("create", root.open_at("fresh", CREATE).map(drop)),
            ("mkdir", root.create_directory_at("fresh")),
            ("unlink", root.unlink_file_at("changed")),
            ("rename", root.rename_at("changed", &root, "moved")),
            ("link", root.link_at("changed", &root, "again")),
            ("set_times_at", root.set_times_at("dir/new", false, times)),
            (
                "set_times_at of a directory",
                root.set_times_at("dir", false, times),
            ),
            ("set_xattr_at", xattr(&root)),
        ];
        for (change, result) in changes {
            assert_eq!(result.unwrap_err().errno(), Errno::Io, "{change}");
        }
        assert_eq!(reader.read_vec_at(9, 0).unwrap(), b"new");
        check(&root);
    }
}

#[test]
fn upper_of_a_closed_overlay_can_be_mounted_again() {
    let temp = dirs(&["base", "up"]);
    let [overlay, _] = overlays(&temp);
    fill(&overlay.root());
    overlay.close().unwrap();
    let second = Overlay::builder().upper_dir("again", open(&temp.path().join("up")));
    let second = second.build().unwrap();
    second.root().stat_at("dir/new", false).unwrap();
    check(&overlay.root());
}
