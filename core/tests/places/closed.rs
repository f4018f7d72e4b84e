//! An embedder ran a guest, closed the overlay, and wanted to see what the guest had written: each
//! look was `io`, though `close` promises that what could be read still can.

use crate::kit::{builder, dirs, lower, open};
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Errno, Kind, OpenHow, Overlay, SetTime, SetTimes};

fn how() -> OpenHow {
    OpenHow {
        read: true,
        write: false,
        create: false,
        directory: false,
        exclusive: false,
        truncate: false,
        follow: false,
    }
}

fn write() -> OpenHow {
    OpenHow {
        write: true,
        create: true,
        ..how()
    }
}

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
        let file = root.open_at(path, write()).unwrap();
        file.file().unwrap().write_at(data.as_bytes(), 0).unwrap();
    }
    root.symlink_at("dir/new", "link").unwrap();
    root.unlink_file_at("old").unwrap();
}

fn check(root: &Dir) {
    let names: Vec<_> = root
        .list()
        .unwrap()
        .iter()
        .map(|e| e.name.to_string())
        .collect();
    assert_eq!(names, ["changed", "dir", "link"]);
    assert_eq!(root.stat_at("dir", true).unwrap().kind, Kind::Dir);
    assert_eq!(root.readlink_at("link").unwrap(), "dir/new");
    assert_eq!(
        root.stat_at("old", true).unwrap_err().errno(),
        Errno::NoEntry
    );
    for (path, data) in [("dir/new", "new"), ("changed", "more")] {
        let file = root.open_at(path, how()).unwrap();
        let read = file.file().unwrap().read_vec_at(64, 0).unwrap();
        assert_eq!(read, data.as_bytes(), "{path}");
    }
    let dir = root
        .open_at(
            "dir",
            OpenHow {
                directory: true,
                ..how()
            },
        )
        .unwrap();
    assert_eq!(dir.dir().unwrap().list().unwrap().len(), 1);
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
    // And what nothing looked at before, by an overlay that was just closed.
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
        let opened = root.open_at("changed", write()).unwrap();
        let reader = root.open_at("dir/new", how()).unwrap();
        overlay.close().unwrap();
        let times = SetTimes {
            accessed: SetTime::Now,
            modified: SetTime::Now,
        };
        let file = opened.file().unwrap();
        let xattr = |root: &Dir| {
            let dir = root.as_overlay().unwrap();
            dir.set_xattr_at("dir/new", false, b"user.x", b"y")
        };
        let changes = [
            ("write", file.write_at(b"x", 0).map(drop)),
            ("set_size", file.set_size(0)),
            ("set_times of a file", file.set_times(times)),
            ("set_times of a reader", reader.set_times(times)),
            (
                "open for writing",
                root.open_at(
                    "dir/new",
                    OpenHow {
                        write: true,
                        ..how()
                    },
                )
                .map(drop),
            ),
            ("create", root.open_at("fresh", write()).map(drop)),
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
        check(&root);
    }
}

/// Reading does not keep the upper from its next mount.
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
