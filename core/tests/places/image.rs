//! Uppers in a container's image: they are on the kernel's overlayfs, which cannot rename directories of the
//! image (`EXDEV`). Needs root.
//!
//! The matrix runs every operation on such an upper (`on_an_upper_from_an_image`); these tests cover the rest.

use crate::kit::{Mounted, builder, open};
use rustix::fs::{
    CWD, FileType, Gid, Mode, Uid, XattrFlags, chownat, lgetxattr, lsetxattr, mknodat,
};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Limits, Overlay};
use wasi_overlay_proof::kit::{READ, WRITE, dir, file, text};

/// The user and group called `nobody` on Linux.
const NOBODY: u32 = 65534;

/// An image, mounted.
struct Image {
    _merged: Mounted,
    _changes: Option<Mounted>,
    temp: tempfile::TempDir,
}

impl Image {
    /// Mounts the directory that `make` fills as an image. With `apart`, changes go to another filesystem,
    /// and inode numbers change when the kernel copies files up. None if it cannot be mounted.
    fn new(apart: bool, make: impl FnOnce(&Path)) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can make an image, and mount it");
            return None;
        }
        let temp = tempfile::tempdir().unwrap();
        let [image, changes, merged] =
            ["image", "changes", "merged"].map(|name| temp.path().join(name));
        for path in [&image, &changes, &merged] {
            fs::create_dir(path).unwrap();
        }
        // One test runs as an unprivileged user.
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
        make(&image);
        let mounted = if apart {
            Some(Mounted::new(&["-t", "tmpfs", "none"], &changes)?)
        } else {
            None
        };
        let (upper, work) = (changes.join("upper"), changes.join("work"));
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&work).unwrap();
        let [image, upper, work] = [image, upper, work].map(|path| path.display().to_string());
        let options = format!("xino=off,lowerdir={image},upperdir={upper},workdir={work}");
        let merged = Mounted::new(&["-t", "overlay", "-o", &options, "overlay"], &merged)?;
        Some(Self {
            _merged: merged,
            _changes: mounted,
            temp,
        })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.temp.path().join("merged").join(path)
    }
}

/// Creates a directory with every kind of file and attribute.
fn make_all(at: &Path) {
    let set = |path: &str, mode| {
        fs::set_permissions(at.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    for dir in ["", "sub", "sub/deep", "empty", "closed", "opaque", "sticky"] {
        fs::create_dir(at.join(dir)).unwrap();
    }
    for (file, data) in [
        ("file", "data"),
        ("program", "#!"),
        ("sub/deep/f", "f"),
        ("closed/f", "closed"),
        (".wh.gone", ""),
        ("opaque/.wh..wh..opq", ""),
    ] {
        fs::write(at.join(file), data).unwrap();
    }
    fs::hard_link(at.join("file"), at.join("hard")).unwrap();
    symlink("/absolute", at.join("link")).unwrap();
    mknodat(CWD, at.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    for (path, value) in [("file", "of a file"), ("sub", "of a directory")] {
        let flags = XattrFlags::empty();
        lsetxattr(at.join(path), "user.kept", value.as_bytes(), flags).unwrap();
    }
    let owner = (Some(Uid::from_raw(1234)), Some(Gid::from_raw(2345)));
    for path in ["program", "sub"] {
        let no_flags = rustix::fs::AtFlags::empty();
        chownat(CWD, at.join(path), owner.0, owner.1, no_flags).unwrap();
    }
    set("program", 0o4755);
    set("file", 0o640);
    set("closed", 0o555);
    set("sticky", 0o1777);
    set("sub/deep", 0o2750);
    let old = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    for path in ["sub/deep/f", "sub/deep", "sub", "closed", "empty", ""] {
        let file = fs::File::open(at.join(path)).unwrap();
        file.set_modified(old).unwrap();
    }
}

/// The metadata and contents of a host tree, without inode numbers.
fn described(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut tree = BTreeMap::new();
    let mut paths = vec![top.to_owned()];
    while let Some(path) = paths.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let mut text = format!(
            "{:o} {}:{} {}.{}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        let mut value = [0; 64];
        if let Ok(length) = lgetxattr(&path, "user.kept", &mut value[..]) {
            text += &format!(" {:?}", String::from_utf8_lossy(&value[..length]));
        }
        if kind.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        } else if kind.is_symlink() {
            text += &format!(" to {:?}", fs::read_link(&path).unwrap());
        } else if !kind.is_fifo() {
            text += &format!(" {} {:?}", meta.nlink(), fs::read(&path).unwrap());
        }
        tree.insert(path.strip_prefix(top).unwrap().to_owned(), text);
    }
    tree
}

fn mount(upper: &Path) -> Overlay {
    builder(None, upper).build().unwrap()
}

#[test]
fn image_directory_keeps_contents_and_attributes_when_it_moves() {
    for apart in [false, true] {
        let made = Image::new(apart, |image| {
            make_all(&image.join("a"));
            fs::create_dir(image.join("other")).unwrap();
        });
        let Some(image) = made else { return };
        let before = described(&image.path("a"));
        let overlay = mount(&image.path(""));
        let root = overlay.root();
        root.rename_at("a", &root, "other/b").unwrap();
        // The copy can be renamed directly.
        root.rename_at("other/b", &root, "c").unwrap();
        drop(root);
        overlay.close().unwrap();
        assert_eq!(described(&image.path("c")), before, "apart: {apart}");
        let left: Vec<_> = fs::read_dir(image.path("")).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}

#[test]
fn image_directory_keeps_its_identity_when_it_moves() {
    for apart in [false, true] {
        let Some(image) = Image::new(apart, |image| make_all(&image.join("a"))) else {
            return;
        };
        let mut limits = Limits::default();
        (limits.kept_nodes, limits.kept_handles) = (1, 1);
        let builder = builder(None, &image.path("")).limits(limits);
        let overlay = builder.build().unwrap();
        let root = overlay.root();
        let names = [
            "",
            "/sub",
            "/sub/deep",
            "/sub/deep/f",
            "/program",
            "/link",
            "/empty",
            "/hard",
        ];
        let identities = |top: &str| {
            let identity = |name| root.identity_at(&format!("{top}{name}"), false).unwrap();
            names.map(identity)
        };
        let before = identities("a");
        let reader = file(&root, "a/sub/deep/f", READ);
        let deep = dir(&root, "a/sub/deep");
        let deep_names = deep.list().unwrap();
        root.rename_at("a", &root, "b").unwrap();
        assert_eq!(identities("b"), before, "apart: {apart}");
        let writer = file(&root, "b/sub/deep/f", WRITE);
        writer.append(b" and more").unwrap();
        assert_eq!(reader.read_vec_at(64, 0).unwrap(), b"f and more");
        deep.create_directory_at("new").unwrap();
        root.stat_at("b/sub/deep/new", true).unwrap();
        assert_eq!(deep_names.len(), 1);
        assert_eq!(deep.list().unwrap().len(), 2);
        root.stat_at("a", false).unwrap_err();
        root.create_directory_at("a").unwrap();
        assert_ne!(root.identity_at("a", false).unwrap(), before[0]);
        drop((reader, writer, deep));
        // Evict the nodes, and look them up again.
        for number in 0..10 {
            root.create_directory_at(&format!("a/{number}")).unwrap();
        }
        assert_eq!(identities("b"), before, "apart: {apart}");
        root.rename_at("b", &root, "a/0").unwrap();
        assert_eq!(identities("a/0"), before, "apart: {apart}");
        drop(root);
        overlay.close().unwrap();
    }
}

/// The names inside the directory stay one file. The name outside keeps the original.
#[test]
fn hard_link_out_of_a_moved_image_directory_is_split() {
    for apart in [false, true] {
        let made = Image::new(apart, |image| {
            make_all(&image.join("a"));
            fs::hard_link(image.join("a/file"), image.join("outside")).unwrap();
        });
        let Some(image) = made else { return };
        let overlay = mount(&image.path(""));
        let root = overlay.root();
        let identity = |path| root.identity_at(path, false).unwrap();
        let before = identity("outside");
        assert_eq!([identity("a/file"), identity("a/hard")], [before; 2]);
        let reader = file(&root, "a/file", READ);
        root.rename_at("a", &root, "b").unwrap();
        assert_eq!(identity("outside"), before);
        assert_ne!(identity("b/file"), before);
        assert_eq!(identity("b/file"), identity("b/hard"));
        assert_eq!(root.stat_at("b/file", true).unwrap().links, 2);
        file(&root, "b/file", WRITE).append(b" inside").unwrap();
        file(&root, "outside", WRITE).append(b" outside").unwrap();
        assert_eq!(text(&root, "b/hard"), "data inside");
        assert_eq!(text(&root, "outside"), "data outside");
        assert!(reader.read_vec_at(64, 0).unwrap().starts_with(b"data"));
        for path in ["b/file", "b/hard", "outside"] {
            root.unlink_file_at(path).unwrap();
        }
        drop((reader, root));
        overlay.close().unwrap();
    }
}

/// The next mount completes or undoes the move from the record in the work folder.
#[test]
fn interrupted_move_by_copy_happens_or_does_not() {
    const CUTS: u64 = 400;
    let made = Image::new(false, |image| {
        for number in 0..CUTS {
            let upper = image.join(number.to_string());
            fs::create_dir(&upper).unwrap();
            make_all(&upper.join("a"));
        }
    });
    let Some(image) = made else { return };
    let mut answers = [0; 2];
    for count in 0..CUTS {
        let path = image.path(&count.to_string());
        let before = described(&path.join("a"));
        let faults = Faults::default();
        let plain = Faulty::new(HostDir::new(open(&path), "upper"), &faults);
        let overlay = Overlay::builder().upper("upper", Marked::upper(plain));
        let overlay = overlay.build().unwrap();
        let root = overlay.root();
        faults.cut_after(count);
        let renamed = root.rename_at("a", &root, "b");
        let is_whole = faults.changes() <= count;
        drop(root);
        drop(overlay);
        mount(&path).close().unwrap();
        let [a, b] = ["a", "b"].map(|name| path.join(name));
        assert!(a.exists() != b.exists(), "cut after {count}");
        answers[usize::from(b.exists())] += 1;
        let mut now = described(if a.exists() { &a } else { &b });
        let mut before = before;
        if a.exists() {
            // Directory times may be lost, and the kernel splits hard links when it copies one up.
            let without_times = |tree: &mut BTreeMap<PathBuf, String>| {
                for text in tree.values_mut().filter(|text| text.starts_with('4')) {
                    *text = text.split(' ').take(2).collect();
                }
                for name in ["file", "hard"] {
                    let text = tree.get_mut(Path::new(name)).unwrap();
                    *text = text.replace(" 1 [", " 2 [");
                }
            };
            without_times(&mut now);
            without_times(&mut before);
        }
        assert_eq!(now, before, "cut after {count}");
        if is_whole {
            renamed.unwrap();
            println!(
                "{count} steps: {} cuts before, {} after",
                answers[0], answers[1]
            );
            return;
        }
    }
    panic!("a rename took more than {CUTS} steps");
}

const IMAGE: &str = "WASI_OVERLAY_TEST_IMAGE";

/// The test runs its own executable again as the user `nobody`, which owns the image, because root bypasses
/// permissions.
#[test]
fn unprivileged_user_can_move_an_image_directory() {
    if let Ok(path) = std::env::var(IMAGE) {
        let overlay = mount(Path::new(&path));
        let root = overlay.root();
        root.rename_at("a", &root, "other/b").unwrap();
        drop(root);
        return overlay.close().unwrap();
    }
    let made = Image::new(false, |image| {
        make_all(&image.join("a"));
        fs::create_dir(image.join("other")).unwrap();
        let mut paths = vec![image.to_owned()];
        while let Some(path) = paths.pop() {
            let no_follow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            chownat(CWD, &path, Some(user), Some(group), no_follow).unwrap();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                let entries = fs::read_dir(&path).unwrap();
                paths.extend(entries.map(|entry| entry.unwrap().path()));
            }
        }
    });
    let Some(image) = made else { return };
    let no_flags = rustix::fs::AtFlags::empty();
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    chownat(CWD, image.path(""), Some(user), Some(group), no_flags).unwrap();
    let before = described(&image.path("a"));
    let copy = image.temp.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let output = Command::new(&copy)
        .arg("unprivileged_user_can_move_an_image_directory")
        .env(IMAGE, image.path(""))
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert_eq!(described(&image.path("other/b")), before);
}
