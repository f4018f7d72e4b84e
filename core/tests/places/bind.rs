//! Overlapping layers through bind mounts.
//!
//! A bind mount of a directory inside a layer has no common ancestor with the layer, so it was accepted as an upper,
//! and its changes appeared in the layer.

use crate::kit::{Mounted, builder, dirs, error, lower};
use wasi_overlay_core::{Errno, Limits, LowerStack};

#[test]
fn overlap_is_detected_through_bind_mounts() {
    let temp = dirs(&["base/sub/deep", "mount", "with space"]);
    let at = |path: &str| temp.path().join(path);
    let Some(_mounted) = Mounted::bind(&at("base/sub"), &at("mount")) else {
        return;
    };
    let Some(_spaced) = Mounted::bind(&at("base/sub/deep"), &at("with space")) else {
        return;
    };
    for (low, up, relation) in [
        ("base", "mount", "it lies inside"),
        ("base", "mount/deep", "it lies inside"),
        ("base", "with space", "it lies inside"),
        ("base/sub", "mount", "it is stored in the same place as"),
        ("base/sub", "mount/deep", "it lies inside"),
        ("mount", "base", "it contains"),
        ("mount/deep", "base/sub", "it contains"),
        ("with space", "mount", "it contains"),
        ("mount", "with space", "it lies inside"),
        (
            "mount/deep",
            "with space",
            "it is stored in the same place as",
        ),
    ] {
        let error = error(builder(Some(&at(low)), &at(up)).build());
        assert_eq!(error.errno(), Errno::Busy, "{low} and {up}: {error}");
        assert!(
            error.to_string().contains(relation),
            "{low} and {up}: {error}"
        );
    }
    let overlay = builder(None, &at("mount/deep")).build().unwrap();
    let refused = LowerStack::new([lower(&at("base"))], &Limits::default());
    assert_eq!(error(refused).errno(), Errno::Busy);
    drop(overlay);
}

#[test]
fn disjoint_directories_in_two_bind_mounts_are_accepted() {
    let temp = dirs(&["x/lower", "y/upper", "lowers", "uppers"]);
    let at = |path: &str| temp.path().join(path);
    let Some(_lowers) = Mounted::bind(&at("x"), &at("lowers")) else {
        return;
    };
    let Some(_uppers) = Mounted::bind(&at("y"), &at("uppers")) else {
        return;
    };
    builder(Some(&at("lowers/lower")), &at("uppers/upper"))
        .build()
        .unwrap();
    builder(Some(&at("x")), &at("uppers")).build().unwrap();
}

/// Filesystems mounted inside a layer are not part of it, as in the kernel's overlayfs: a system's root can be a lower
/// with an upper on the tmpfs at its /tmp.
#[test]
fn upper_on_a_filesystem_mounted_inside_the_lower_is_accepted() {
    let temp = dirs(&["base/tmp"]);
    let point = temp.path().join("base/tmp");
    let Some(_tmpfs) = Mounted::new(&["-t", "tmpfs", "none"], &point) else {
        return;
    };
    let upper = point.join("upper");
    std::fs::create_dir(&upper).unwrap();
    builder(Some(&temp.path().join("base")), &upper)
        .build()
        .unwrap();
    // The directory below the mount is another one than the directory mounted there.
    builder(Some(&point), &temp.path().join("base"))
        .build()
        .unwrap();
}
