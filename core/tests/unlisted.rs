//! Directories that cannot be listed because a layer cannot express their names. Single names can still be
//! looked up, as in a directory whose mode only allows searching.
#![cfg(all(feature = "conformance", feature = "dir"))]

use std::fs;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Errno, Lower, Overlay};
use wasi_overlay_proof::kit::{CREATE, capability, fails};

#[test]
fn names_are_found_where_layers_cannot_be_listed() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let tree = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.join("d")).unwrap();
        fs::write(path.join(format!("d/{name}.txt")), name).unwrap();
        Faulty::new(HostDir::new(capability(&path), name), &faults)
    };
    let overlay = Overlay::builder()
        .lower(Lower::new("lower", Marked::lower(tree("lower"))))
        .upper("upper", Marked::upper(tree("upper")))
        .build()
        .unwrap();
    faults.refuse("getdents", Errno::IllegalByteSequence);
    let root = overlay.root();
    for dir in ["", "d/"] {
        fails(root.stat_at(&format!("{dir}missing"), true), Errno::NoEntry);
        root.open_at(&format!("{dir}new"), CREATE).unwrap();
        root.stat_at(&format!("{dir}new"), true).unwrap();
    }
    root.stat_at("d/lower.txt", true).unwrap();
    root.stat_at("d/upper.txt", true).unwrap();
    root.unlink_file_at("d/lower.txt").unwrap();
    fails(root.stat_at("d/lower.txt", true), Errno::NoEntry);
    // The contents of the directory are unknown, so these must fail.
    for failed in [
        root.remove_directory_at("d"),
        root.rename_at("d", &root, "moved"),
        root.list().map(drop),
    ] {
        fails(failed, Errno::IllegalByteSequence);
    }
}
