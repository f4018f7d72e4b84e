//! Directories that cannot be listed because a layer cannot express their names. Single names can still be
//! looked up, as in a directory whose mode only allows searching.
#![cfg(all(feature = "conformance", feature = "dir"))]

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::fs;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Errno, Lower, OpenHow, Overlay};

#[test]
fn names_are_found_where_layers_cannot_be_listed() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let tree = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.join("d")).unwrap();
        fs::write(path.join(format!("d/{name}.txt")), name).unwrap();
        let dir = Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        Faulty::new(HostDir::new(dir, name), &faults)
    };
    let overlay = Overlay::builder()
        .lower(Lower::new("lower", Marked::lower(tree("lower"))))
        .upper("upper", Marked::upper(tree("upper")))
        .build()
        .unwrap();
    faults.refuse("getdents", Errno::IllegalByteSequence);
    let root = overlay.root();
    for dir in ["", "d/"] {
        let missing = root.stat_at(&format!("{dir}missing"), true);
        assert_eq!(missing.unwrap_err().errno(), Errno::NoEntry, "{dir}");
        let how = OpenHow {
            create: true,
            write: true,
            ..OpenHow::default()
        };
        root.open_at(&format!("{dir}new"), how).unwrap();
        root.stat_at(&format!("{dir}new"), true).unwrap();
    }
    root.stat_at("d/lower.txt", true).unwrap();
    root.stat_at("d/upper.txt", true).unwrap();
    root.unlink_file_at("d/lower.txt").unwrap();
    let removed = root.stat_at("d/lower.txt", true);
    assert_eq!(removed.unwrap_err().errno(), Errno::NoEntry);
    // What it holds is not known, so nothing that may be in it is lost.
    for failed in [
        root.remove_directory_at("d"),
        root.rename_at("d", &root, "moved"),
        root.list().map(drop),
    ] {
        assert_eq!(failed.unwrap_err().errno(), Errno::IllegalByteSequence);
    }
}
