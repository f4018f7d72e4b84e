//! The attributes of a copy in a host directory, for every kind of source file.
#![cfg(feature = "dir")]

use rustix::fs::XattrFlags;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasi_overlay_core::{Dir, Lower, OpenHow, Overlay, Stat};
use wasi_overlay_proof::kit::{capability, file, how};

const WRITE: OpenHow = how("w");

struct World {
    _temp: tempfile::TempDir,
    lower: PathBuf,
    upper: PathBuf,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let (lower, upper) = (temp.path().join("lower"), temp.path().join("upper"));
        fs::create_dir_all(lower.join("dir")).unwrap();
        fs::create_dir(&upper).unwrap();
        Self {
            _temp: temp,
            lower,
            upper,
        }
    }

    /// Creates a lower file with an old time.
    fn file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.lower.join(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        age(&path);
        path
    }

    fn mount(&self) -> Overlay {
        age(&self.lower.join("dir"));
        let overlay =
            Overlay::builder().lower(Lower::dir("lower", capability(&self.lower)).unwrap());
        let overlay = overlay.upper_dir("upper", capability(&self.upper));
        overlay.build().unwrap()
    }
}

/// Sets a time in the past.
fn age(path: &Path) {
    let then = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 5);
    File::open(path).unwrap().set_modified(then).unwrap();
}

/// Copies a file up without changing it.
fn copy(root: &Dir, path: &str) {
    file(root, path, WRITE);
}

fn stat(root: &Dir, path: &str) -> Stat {
    root.stat_at(path, true).unwrap()
}

/// The metadata of a file, with its change time set to the modification time.
fn stat_without_change_time(root: &Dir, path: &str) -> Stat {
    let stat = stat(root, path);
    Stat {
        changed: stat.modified,
        ..stat
    }
}

#[test]
fn copy_up_keeps_owner_mode_xattrs_and_times() {
    let world = World::new();
    let modes = [0o644, 0o600, 0o755, 0o4755, 0o2755, 0o6711];
    let mut names = Vec::new();
    for mode in modes {
        for attribute in [false, true] {
            for owner in [None, Some(12345)] {
                let name = format!("dir/{mode:o}-{attribute}-{}", owner.is_some());
                let path = world.file(&name, mode);
                if owner.is_some() && chown(&path, owner, owner).is_err() {
                    // Only root can change owners.
                    continue;
                }
                // chown clears the set-id bits.
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                let flags = XattrFlags::empty();
                if attribute && rustix::fs::setxattr(&path, "user.a", b"1", flags).is_err() {
                    continue;
                }
                age(&path);
                names.push(name);
            }
        }
    }
    assert!(names.len() >= modes.len());
    let overlay = world.mount();
    let root = overlay.root();
    let dir = stat_without_change_time(&root, "dir");
    for name in &names {
        let before = stat_without_change_time(&root, name);
        copy(&root, name);
        assert_eq!(stat_without_change_time(&root, name), before, "{name}");
        let [lower, upper] = [&world.lower, &world.upper].map(|layer| layer.join(name));
        let [is, was] = [&upper, &lower].map(|path| {
            let meta = fs::metadata(path).unwrap();
            let mut attributes = vec![0; 1024];
            let length = rustix::fs::listxattr(path, &mut attributes).unwrap();
            attributes.truncate(length);
            let owner = (meta.uid(), meta.gid());
            (owner, meta.mode(), meta.modified().unwrap(), attributes)
        });
        assert_eq!(is, was, "{name}");
        assert_eq!(fs::read(upper).unwrap(), name.as_bytes());
    }
    // Copy-ups leave the time of their directory unchanged, for the guest and on disk.
    assert_eq!(stat_without_change_time(&root, "dir"), dir);
    let [lower, upper] = [&world.lower, &world.upper].map(|layer| layer.join("dir"));
    let [is, was] = [upper, lower].map(|path| fs::metadata(path).unwrap().modified().unwrap());
    assert_eq!(is, was);
}

#[test]
fn first_write_clears_set_id_bits_of_a_copy() {
    let world = World::new();
    world.file("dir/f", 0o6755);
    let overlay = world.mount();
    let file = file(&overlay.root(), "dir/f", WRITE);
    let mode = || fs::metadata(world.upper.join("dir/f")).unwrap().mode() & 0o7777;
    assert_eq!(mode(), 0o6755);
    file.append(b"x").unwrap();
    assert_eq!(mode(), 0o755);
    assert_eq!(stat(&overlay.root(), "dir/f").size, 6);
}

#[test]
fn directory_keeps_times_that_were_set() {
    let world = World::new();
    for name in ["dir/a", "dir/b", "dir/c"] {
        world.file(name, 0o644);
    }
    let overlay = world.mount();
    let root = overlay.root();
    copy(&root, "dir/a");
    root.unlink_file_at("dir/a").unwrap();
    let removed = stat(&root, "dir").modified;
    copy(&root, "dir/b");
    assert_eq!(stat(&root, "dir").modified, removed);
    root.rename_at("dir/b", &root, "dir/new").unwrap();
    let renamed = stat(&root, "dir").modified;
    assert!(renamed >= removed);
    copy(&root, "dir/c");
    assert_eq!(stat(&root, "dir").modified, renamed);
    let on_disk = fs::metadata(world.upper.join("dir")).unwrap();
    let on_disk = (on_disk.mtime(), on_disk.mtime_nsec());
    assert_eq!(on_disk, (renamed.seconds, renamed.nanoseconds.into()));
}
