//! The rights of a copy whose owner cannot be that of the source.
#![cfg(all(feature = "conformance", feature = "dir"))]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasi_overlay_core::layer::{MemoryBuilder, MemoryLayer};
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Errno, Lower, OpenHow, Overlay, SetTime, SetTimes, Timestamp};
use wasi_overlay_proof::kit::{capability, file, how};

const WRITE: OpenHow = how("w");
const TRUNCATE: OpenHow = how("wt");

/// A user that runs no test.
const STRANGER: (u32, u32) = (54321, 54321);

/// The user and group called `nobody` on Linux.
const NOBODY: u32 = 65534;

/// `cap_net_raw+ep`, as the kernel stores it (`VFS_CAP_REVISION_2`).
const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Files with every combination of set-id bits, and two directories.
const FILES: [(&str, u32); 4] = [
    ("dir/user", 0o4755),
    ("dir/group", 0o2755),
    ("dir/both", 0o6711),
    ("dir/plain", 0o640),
];
const DIRS: [(&str, u32); 2] = [("dir", 0o2775), ("dir/sticky", 0o3777)];

/// A call that copies a file up.
type Way = (&'static str, fn(&Dir, &str));
const WAYS: [Way; 7] = [
    ("times", |root, path| {
        root.set_times_at(path, true, then()).unwrap();
    }),
    ("open", |root, path| drop(file(root, path, WRITE))),
    ("append", |root, path| {
        file(root, path, WRITE).append(b"+").unwrap();
    }),
    ("truncate", |root, path| drop(file(root, path, TRUNCATE))),
    ("rename", |root, path| {
        root.rename_at(path, root, &format!("{path}.new")).unwrap();
    }),
    ("link", |root, path| {
        root.link_at(path, root, &format!("{path}.new")).unwrap();
    }),
    ("rename of the directory", |root, _| {
        root.rename_at("dir", root, "renamed").unwrap();
    }),
];

fn then() -> SetTimes {
    let time = SetTime::To(Timestamp {
        seconds: 1_000_000_000,
        nanoseconds: 5,
    });
    SetTimes {
        accessed: time,
        modified: time,
    }
}

/// A lower of [`FILES`] and [`DIRS`], which belong to `owner` if it is known.
fn lower(owner: Option<(u32, u32)>) -> Lower {
    let mut layer = MemoryLayer::build();
    let set = |layer: MemoryBuilder, path: &str, mode| {
        let layer = layer.mode(path, mode);
        match owner {
            Some((user, group)) => layer.owner(path, user, group),
            None => layer,
        }
    };
    for (path, mode) in DIRS {
        layer = set(layer.dir(path), path, mode);
    }
    for (path, mode) in FILES {
        layer = set(layer.file(path, path), path, mode);
        layer = layer.xattr(path, "security.capability", CAPABILITY);
    }
    Lower::new("lower", layer.finish().unwrap())
}

/// Every path below `path` with its metadata, without the work folder.
fn found(path: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap()) {
        let (name, meta) = (entry.file_name(), entry.metadata().unwrap());
        if name.to_str().unwrap().starts_with(".wh.") {
            continue;
        }
        if meta.is_dir() {
            found.extend(self::found(&entry.path()));
        }
        found.push((entry.path(), meta));
    }
    found
}

fn has_capability(path: &Path) -> bool {
    let mut value = [0; 64];
    rustix::fs::getxattr(path, "security.capability", &mut value).is_ok()
}

/// The expected mode of a copy in `upper` whose owner could not be kept.
fn expected_mode(upper: &Path, path: &Path) -> u32 {
    let path = path.strip_prefix(upper).unwrap().to_str().unwrap();
    let path = path.trim_end_matches(".new").replace("renamed", "dir");
    let mode = FILES.iter().chain(&DIRS).find(|(name, _)| *name == path);
    mode.unwrap_or_else(|| panic!("{path} is of no layer")).1 & !0o6000
}

/// When user 65534 set the times of a root-owned file of mode 4755, the copy kept the mode but belonged to
/// 65534, so the program would have run with the rights of another user.
#[test]
fn copy_up_drops_set_id_bits_and_capabilities_with_the_owner() {
    let refusals = [
        Errno::NotPermitted,
        Errno::Access,
        Errno::Unsupported,
        Errno::Invalid,
        Errno::Overflow,
    ];
    for (owner, errno) in refusals
        .map(|errno| (Some(STRANGER), errno))
        .into_iter()
        .chain([(None, Errno::NotPermitted)])
    {
        for (way, copy) in WAYS {
            for (path, _) in FILES {
                let upper = tempfile::tempdir().unwrap();
                let faults = Faults::default();
                let plain = Faulty::new(HostDir::new(capability(upper.path()), "upper"), &faults);
                let overlay = Overlay::builder()
                    .lower(lower(owner))
                    .upper("upper", Marked::upper(plain))
                    .obey_modes(false)
                    .build()
                    .unwrap();
                faults.refuse("chown", errno);
                copy(&overlay.root(), path);
                let case = format!("{way} of {path}, {owner:?}, {errno}");
                assert_eq!(faults.failed(), owner.map(|_| "chown"), "{case}");
                let copies = found(upper.path());
                assert!(copies.len() >= 2, "{case}");
                for (copy, meta) in copies {
                    let expected = expected_mode(upper.path(), &copy);
                    assert_eq!(meta.mode() & 0o7777, expected, "{case}: {copy:?}");
                    assert!(!has_capability(&copy), "{case}: {copy:?}");
                }
            }
        }
    }
}

/// A memory upper can keep any owner, and with it set-id bits and capabilities.
#[test]
fn upper_in_memory_keeps_owner_and_mode() {
    let memory = MemoryLayer::with_capacity(1 << 20);
    let overlay = Overlay::builder()
        .lower(lower(Some(STRANGER)))
        .upper("memory", memory.clone())
        .obey_modes(false);
    let overlay = overlay.build().unwrap();
    for (path, _) in FILES {
        let root = overlay.root();
        root.set_times_at(path, true, then()).unwrap();
    }
    for (path, mode) in FILES {
        assert_eq!(attributes(&memory, path), (Some(mode), Some(STRANGER)));
        assert!(has_capability_in(&memory, path));
    }
}

fn attributes(layer: &MemoryLayer, path: &str) -> (Option<u32>, Option<(u32, u32)>) {
    use wasi_overlay_core::layer::{Found, Layer as _};
    let (dir, name) = locate(layer, path);
    match layer.find(&dir, name).unwrap() {
        Found::Here { meta, .. } => (meta.mode, meta.owner),
        other => panic!("{path} is {other:?}"),
    }
}

fn has_capability_in(layer: &MemoryLayer, path: &str) -> bool {
    use wasi_overlay_core::layer::Layer as _;
    let (dir, name) = locate(layer, path);
    let value = layer.xattr(&dir, Some(name), b"security.capability");
    value.unwrap().is_some()
}

fn locate<'a>(
    layer: &MemoryLayer,
    path: &'a str,
) -> (
    wasi_overlay_core::layer::MemoryDir,
    wasi_overlay_core::Name<'a>,
) {
    use wasi_overlay_core::layer::Layer as _;
    let name = |text: &'a str| wasi_overlay_core::Name::new(text.as_bytes()).unwrap();
    let (above, last) = path.rsplit_once('/').unwrap();
    let mut dir = layer.root().unwrap();
    for part in above.split('/') {
        dir = layer.open_dir(&dir, name(part)).unwrap();
    }
    (dir, name(last))
}

/// As on Linux. Otherwise a guest could give its own program the capabilities of a lower one.
#[test]
fn changing_data_clears_capabilities() {
    type Change = fn(&Dir, &str);
    let changes: [Change; 4] = [
        |root, path| drop(file(root, path, TRUNCATE)),
        |root, path| assert_eq!(file(root, path, WRITE).append(b"+").unwrap(), 1),
        |root, path| assert_eq!(file(root, path, WRITE).write_at(b"+", 0).unwrap(), 1),
        |root, path| file(root, path, WRITE).set_size(3).unwrap(),
    ];
    for ((path, mode), change) in FILES.into_iter().zip(changes) {
        // In memory, where only the layer can clear them.
        let memory = MemoryLayer::with_capacity(1 << 20);
        let overlay = Overlay::builder()
            .lower(lower(Some(STRANGER)))
            .upper("memory", memory.clone())
            .obey_modes(false);
        let overlay = overlay.build().unwrap();
        change(&overlay.root(), path);
        assert!(!has_capability_in(&memory, path), "{path}");
        let (mode_left, _) = attributes(&memory, path);
        assert_eq!(mode_left, Some(mode & !0o6000), "{path}");

        // In a directory. Only root can give the copy capabilities in the first place.
        let upper = tempfile::tempdir().unwrap();
        let overlay = Overlay::builder()
            .lower(lower(Some(STRANGER)))
            .upper_dir("upper", capability(upper.path()))
            .obey_modes(false);
        change(&overlay.build().unwrap().root(), path);
        assert!(!has_capability(&upper.path().join(path)), "{path}");
    }
}

/// With two real users, compared with `cp -p`.
#[test]
fn unprivileged_copy_ups_have_the_modes_of_cp() {
    const CHILD: &str = "OWNERS_TEST_CHILD";
    if let Some(place) = std::env::var_os(CHILD) {
        return copy_as_cp_does(Path::new(&place));
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can make files of another user");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let lower = temp.path().join("lower");
    fs::create_dir(&lower).unwrap();
    for (path, _) in DIRS {
        fs::create_dir(lower.join(path)).unwrap();
    }
    for (path, _) in FILES {
        fs::write(lower.join(path), path).unwrap();
    }
    for (path, mode) in FILES.iter().chain(&DIRS) {
        // `cp` must be able to read it.
        let mode = mode | 0o444;
        fs::set_permissions(lower.join(path), Permissions::from_mode(mode)).unwrap();
    }
    let flags = rustix::fs::XattrFlags::empty();
    let set = rustix::fs::setxattr(
        lower.join("dir/user"),
        "security.capability",
        CAPABILITY,
        flags,
    );
    if set.is_err() {
        eprintln!("note: without capabilities, which root may not set here");
    }
    for mine in ["upper", "plain"] {
        let path = temp.path().join(mine);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    for path in [temp.path(), &lower] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    // The user may have no access to the directory of the test program.
    let program = temp.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args(["--exact", "--nocapture"])
        .arg("unprivileged_copy_ups_have_the_modes_of_cp")
        .env(CHILD, temp.path())
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn copy_as_cp_does(place: &Path) {
    let (lower, upper, plain) = (
        place.join("lower"),
        place.join("upper"),
        place.join("plain"),
    );
    let overlay = Overlay::builder()
        .lower(Lower::dir("lower", capability(&lower)).unwrap())
        .upper_dir("upper", capability(&upper))
        .obey_modes(false);
    let overlay = overlay.build().unwrap();
    let root = overlay.root();
    for (path, _) in FILES {
        root.set_times_at(path, true, then()).unwrap();
    }
    root.set_times_at("dir/sticky", true, then()).unwrap();
    overlay.close().unwrap();
    let copied = Command::new("cp")
        .args(["-rp", "--"])
        .arg(lower.join("dir"))
        .arg(&plain)
        .status();
    assert!(copied.unwrap().success());
    let copies = found(&upper);
    assert_eq!(copies.len(), FILES.len() + DIRS.len());
    for (copy, meta) in copies {
        let by_cp = fs::metadata(plain.join(copy.strip_prefix(&upper).unwrap())).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (by_cp.uid(), by_cp.gid()));
        assert_eq!(meta.mode(), by_cp.mode(), "{copy:?}");
        assert_eq!(meta.mode() & 0o6000, 0, "{copy:?}");
        assert!(!has_capability(&copy), "{copy:?}");
    }
}
