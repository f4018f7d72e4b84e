//! The cost of a failing call without a log: a program that searches a path for its modules misses thousands of
//! names.

use crate::{READ, alone, peak_of};
use std::os::unix::fs::symlink;
use wasi_overlay_core::{Errno, Lower, Overlay};

#[test]
fn failing_call_allocates_nothing_without_a_log() {
    let _alone = alone();
    let layers = [crate::scratch(), crate::scratch()];
    for layer in &layers {
        std::fs::create_dir(layer.path().join("d")).unwrap();
    }
    std::fs::write(layers[0].path().join("d/hidden"), "x").unwrap();
    std::fs::write(layers[1].path().join("d/.wh.hidden"), "").unwrap();
    std::fs::write(layers[0].path().join("d/file"), "x").unwrap();
    let mut builder = Overlay::builder().upper_memory(1 << 20);
    for layer in &layers {
        builder = builder.lower(Lower::dir("layer", crate::capability(layer.path())).unwrap());
    }
    let root = builder.build().unwrap().root();
    let file = crate::file(&root, "d/file", READ);
    for _warm in 0..2 {
        for path in ["d/none", "d/hidden"] {
            let (answer, bytes) = peak_of(|| root.stat_at(path, true));
            assert_eq!(answer.unwrap_err().errno(), Errno::NoEntry);
            let (answer, opening) = peak_of(|| root.open_at(path, READ));
            assert_eq!(answer.unwrap_err().errno(), Errno::NoEntry);
            if _warm > 0 {
                assert_eq!((bytes, opening), (0, 0), "{path}");
            }
        }
        let (answer, bytes) = peak_of(|| file.write_at(b"x", 0));
        assert_eq!(answer.unwrap_err().errno(), Errno::BadDescriptor);
        assert_eq!(bytes, 0);
    }
}

/// The warning about a refused link is only formatted for the log.
#[test]
fn refused_link_allocates_no_more_than_a_followed_one() {
    let _alone = alone();
    let layer = crate::scratch();
    std::fs::create_dir(layer.path().join("d")).unwrap();
    symlink("/none", layer.path().join("absolute")).unwrap();
    symlink("d", layer.path().join("relative")).unwrap();
    let lower = Lower::dir("layer", crate::capability(layer.path())).unwrap();
    let overlay = Overlay::builder().lower(lower).build().unwrap();
    let root = overlay.root();
    let mut bytes = [0; 2];
    for _warm in 0..2 {
        for (path, bytes) in ["absolute", "relative"].into_iter().zip(&mut bytes) {
            (_, *bytes) = peak_of(|| drop(root.stat_at(path, true)));
        }
    }
    assert!(bytes[0] <= bytes[1], "{bytes:?}");
}
