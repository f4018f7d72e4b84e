//! Mount points inside layers.
//!
//! A layer was a system's root with procfs mounted at its /proc, and a guest read the environment of every
//! process of the host.

use crate::kit::{Mounted, dirs, lower, open};
use std::path::Path;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::{Dir, Errno, Kind, Lower, Overlay, SetTime, SetTimes, Timestamp};
use wasi_overlay_proof::kit::{READ, WRITE, fails, how, text};

/// The names and kinds of a listing.
fn listed(dir: &Dir) -> Vec<(String, Kind)> {
    let listing = dir.list().unwrap();
    let entries = listing.iter();
    entries
        .map(|entry| (entry.name.to_string(), entry.kind))
        .collect()
}

/// A directory with a filesystem mounted at `proc` and another directory at `bound`, a file that is
/// bound over another, and ordinary ones.
struct Layer {
    _mounts: [Mounted; 3],
    temp: tempfile::TempDir,
}

impl Layer {
    fn new() -> Option<Self> {
        let temp = dirs(&["base/proc", "base/bound", "base/dir", "outside/inside"]);
        let at = |path: &str| temp.path().join(path);
        std::fs::write(at("outside/secret"), "secret").unwrap();
        std::fs::write(at("base/file"), "").unwrap();
        std::fs::write(at("base/dir/plain"), "plain").unwrap();
        let mounts = [
            Mounted::new(&["-t", "proc", "none"], &at("base/proc"))?,
            Mounted::bind(&at("outside"), &at("base/bound"))?,
            Mounted::bind(&at("outside/secret"), &at("base/file"))?,
        ];
        Some(Self {
            _mounts: mounts,
            temp,
        })
    }

    fn base(&self) -> std::path::PathBuf {
        self.temp.path().join("base")
    }
}

/// Asserts that mount points are listed but cannot be entered, and other entries can.
fn check_mounts(root: &Dir) {
    let names = [
        ("bound", Kind::Dir),
        ("dir", Kind::Dir),
        ("file", Kind::File),
        ("proc", Kind::Dir),
    ];
    let names = names.map(|(name, kind)| (name.to_owned(), kind));
    assert_eq!(listed(root), names);
    for (name, kind) in &names {
        assert_eq!(root.stat_at(name, true).unwrap().kind, *kind, "{name}");
    }
    for path in [
        "proc/self/environ",
        "proc/none",
        "bound/secret",
        "bound/inside/x",
    ] {
        fails(root.stat_at(path, true), Errno::NotPermitted);
        fails(root.open_at(path, READ), Errno::NotPermitted);
    }
    for name in ["proc", "bound"] {
        let listing = root
            .open_at(name, how("rd"))
            .and_then(|dir| dir.dir()?.list());
        let error = crate::kit::error(listing);
        assert_eq!(error.errno(), Errno::NotPermitted, "{name}");
        assert!(error.to_string().contains("is a mount point"), "{error}");
    }
    fails(root.open_at("file", READ), Errno::NotPermitted);
    fails(root.open_at("file", WRITE), Errno::NotPermitted);
    root.open_at("dir/plain", READ).unwrap();
}

#[test]
fn mounts_inside_a_lower_are_listed_and_not_entered() {
    let Some(layer) = Layer::new() else { return };
    let overlay = Overlay::builder().lower(lower(&layer.base()));
    let overlay = overlay.upper_memory(1 << 20).build().unwrap();
    check_mounts(&overlay.root());
    // The same below a layer that has directories of those names.
    let above = dirs(&["proc", "bound", "dir"]);
    std::fs::write(above.path().join("proc/own"), "").unwrap();
    let overlay = Overlay::builder()
        .lower(lower(&layer.base()))
        .lower(lower(above.path()))
        .build()
        .unwrap();
    let root = overlay.root();
    fails(root.stat_at("proc/self/environ", true), Errno::NotPermitted);
    fails(root.stat_at("bound/secret", true), Errno::NotPermitted);
    // A lower layer does not show through a mount point.
    let overlay = Overlay::builder()
        .lower(lower(above.path()))
        .lower(lower(&layer.base()))
        .build()
        .unwrap();
    fails(
        overlay.root().stat_at("proc/own", true),
        Errno::NotPermitted,
    );
}

#[test]
fn mount_point_error_names_the_option_that_allows_it() {
    let Some(layer) = Layer::new() else { return };
    let overlay = Overlay::builder()
        .lower(lower(&layer.base()))
        .build()
        .unwrap();
    let error = crate::kit::error(overlay.root().stat_at("bound/secret", true));
    let message = error.to_string();
    assert!(message.starts_with("lower: "), "{message}");
    for words in [
        "bound is a mount point",
        "`cross-mounts`",
        "HostDir::cross_mounts",
    ] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn cross_mounts_lets_guests_enter_mounts() {
    let Some(layer) = Layer::new() else { return };
    let host = HostDir::new(open(&layer.base()), "lower").cross_mounts(true);
    let overlay = Overlay::builder().lower(Lower::host_dir(host).unwrap());
    let overlay = overlay.upper_memory(1 << 20).build().unwrap();
    let root = overlay.root();
    root.stat_at("proc/self/environ", true).unwrap();
    assert_eq!(text(&root, "bound/secret"), "secret");
    root.open_at("file", WRITE).unwrap();
}

#[test]
fn upper_in_a_mount_of_a_lower_that_crosses_mounts_is_refused() {
    let Some(layer) = Layer::new() else { return };
    let upper = layer.base().join("bound/inside");
    let build = |cross| {
        let host = HostDir::new(open(&layer.base()), "lower").cross_mounts(cross);
        let builder = Overlay::builder().lower(Lower::host_dir(host).unwrap());
        builder.upper_dir("upper", open(&upper)).build()
    };
    build(false).unwrap();
    fails(build(true), Errno::Busy);
}

#[test]
fn mounts_inside_an_upper_are_listed_and_not_entered_or_changed() {
    let Some(layer) = Layer::new() else { return };
    let secret = layer.temp.path().join("outside/secret");
    let before = std::fs::metadata(&secret).unwrap();
    let overlay = || {
        let builder = Overlay::builder().upper_dir("upper", open(&layer.base()));
        builder.build().unwrap()
    };
    let mounted = overlay();
    let root = mounted.root();
    check_mounts(&root);
    let times = SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::To(Timestamp {
            seconds: 1,
            nanoseconds: 0,
        }),
    };
    for name in ["file", "bound"] {
        fails(root.set_times_at(name, false, times), Errno::NotPermitted);
    }
    for name in ["file", "bound"] {
        assert!(root.rename_at(name, &root, "moved").is_err());
    }
    assert!(root.unlink_file_at("file").is_err());
    assert!(root.remove_directory_at("bound").is_err());
    fails(root.create_directory_at("bound/new"), Errno::NotPermitted);
    let after = std::fs::metadata(&secret).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    drop((root, mounted));
    // The sweep after an interrupted mount does not enter other filesystems.
    let work = layer.base().join(".wh..wh.work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(layer.temp.path().join("outside/.wh.secret"), "").unwrap();
    drop(overlay());
    assert!(!work.exists());
    assert!(layer.temp.path().join("outside/.wh.secret").exists());
}

/// A subvolume has its own device number, but is not a mount.
#[test]
fn btrfs_subvolumes_are_part_of_the_layer() {
    let temp = dirs(&["mount"]);
    let run = |program: &str, arguments: &[&str]| {
        let status = std::process::Command::new(program).args(arguments).output();
        let done = status.is_ok_and(|output| output.status.success());
        if !done {
            wasi_overlay_proof::kit::skip(program, "it does not work here");
        }
        done
    };
    let image = temp.path().join("image");
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(256 << 20).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    if !run("mkfs.btrfs", &["-q", &text(&image)]) {
        return;
    }
    let point = temp.path().join("mount");
    let Some(_mounted) = Mounted::new(&["-o", "loop", &text(&image)], &point) else {
        return;
    };
    std::fs::create_dir(point.join("base")).unwrap();
    let sub = point.join("base/sub");
    if !run("btrfs", &["-q", "subvolume", "create", &text(&sub)]) {
        return;
    }
    std::fs::write(sub.join("file"), "data").unwrap();
    let overlay = Overlay::builder()
        .lower(lower(&point.join("base")))
        .build()
        .unwrap();
    overlay.root().open_at("sub/file", READ).unwrap();
    // The same subvolume, mounted by itself, is inside the layer.
    std::fs::create_dir(temp.path().join("again")).unwrap();
    let again = temp.path().join("again");
    let device = std::process::Command::new("findmnt")
        .args(["-n", "-o", "SOURCE", "--target", &text(&point)])
        .output()
        .unwrap();
    let device = String::from_utf8(device.stdout).unwrap();
    let device = device.split('[').next().unwrap().trim();
    let Some(_again) = Mounted::new(&["-o", "subvol=base/sub", device], &again) else {
        return;
    };
    let error = crate::kit::error(crate::kit::builder(None, &again).build());
    assert_eq!(error.errno(), Errno::Busy);
    assert!(error.to_string().contains("it lies inside"), "{error}");
}
