//! Uppers on filesystems that fold case.
//!
//! On such a filesystem `.WH.x` is the whiteout of `x`: a guest could hide lower files and restore removed
//! ones.

use crate::kit::{Mounted, builder, dirs, error, open};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use wasi_overlay_core::layer::XattrNames;
use wasi_overlay_core::plain::{Access, HostDir, HostFile, HostHandle, Plain};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Errno, Error, Kind, Meta, Name, NameBuf, Overlay, Result, SetTimes};
use wasi_overlay_proof::kit::how;

/// A directory that folds case.
struct Folding(HostDir);

/// The spelling that is stored.
fn fold(name: Name<'_>) -> NameBuf {
    let bytes = name.as_bytes().to_ascii_lowercase();
    Name::new(&bytes).unwrap().to_owned()
}

fn fold_any(name: Option<Name<'_>>) -> Option<NameBuf> {
    name.map(fold)
}

fn as_name(name: Option<&NameBuf>) -> Option<Name<'_>> {
    name.map(NameBuf::as_name)
}

impl Plain for Folding {
    type Dir = HostHandle;
    type File = HostFile;

    fn label(&self) -> String {
        self.0.label()
    }

    fn root(&self) -> Result<HostHandle> {
        self.0.root()
    }

    fn meta(&self, dir: &HostHandle, name: Option<Name<'_>>) -> Result<Meta> {
        self.0.meta(dir, as_name(fold_any(name).as_ref()))
    }

    fn open_dir(&self, dir: &HostHandle, name: Name<'_>) -> Result<HostHandle> {
        self.0.open_dir(dir, fold(name).as_name())
    }

    fn open_file(&self, dir: &HostHandle, name: Name<'_>, access: Access) -> Result<HostFile> {
        self.0.open_file(dir, fold(name).as_name(), access)
    }

    fn create_file(&self, dir: &HostHandle, name: Name<'_>, mode: u32) -> Result<HostFile> {
        self.0.create_file(dir, fold(name).as_name(), mode)
    }

    fn create_dir(&self, dir: &HostHandle, name: Name<'_>, mode: u32) -> Result<()> {
        self.0.create_dir(dir, fold(name).as_name(), mode)
    }

    fn symlink(&self, dir: &HostHandle, name: Name<'_>, target: &[u8]) -> Result<()> {
        self.0.symlink(dir, fold(name).as_name(), target)
    }

    fn read_link(&self, dir: &HostHandle, name: Name<'_>) -> Result<Box<[u8]>> {
        self.0.read_link(dir, fold(name).as_name())
    }

    fn link(
        &self,
        from: &HostHandle,
        from_name: Name<'_>,
        to: &HostHandle,
        to_name: Name<'_>,
    ) -> Result<()> {
        let (from_name, to_name) = (fold(from_name), fold(to_name));
        self.0
            .link(from, from_name.as_name(), to, to_name.as_name())
    }

    fn rename(
        &self,
        from: &HostHandle,
        from_name: Name<'_>,
        to: &HostHandle,
        to_name: Name<'_>,
    ) -> Result<()> {
        let (from_name, to_name) = (fold(from_name), fold(to_name));
        self.0
            .rename(from, from_name.as_name(), to, to_name.as_name())
    }

    fn remove_file(&self, dir: &HostHandle, name: Name<'_>) -> Result<()> {
        self.0.remove_file(dir, fold(name).as_name())
    }

    fn remove_dir(&self, dir: &HostHandle, name: Name<'_>) -> Result<()> {
        self.0.remove_dir(dir, fold(name).as_name())
    }

    fn list(
        &self,
        dir: &HostHandle,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        self.0.list(dir, each)
    }

    fn set_times(&self, dir: &HostHandle, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        self.0
            .set_times(dir, as_name(fold_any(name).as_ref()), times)
    }

    fn sync_dir(&self, dir: &HostHandle) -> Result<()> {
        self.0.sync_dir(dir)
    }

    fn sync_all(&self) -> Result<()> {
        self.0.sync_all()
    }

    fn xattrs(&self, dir: &HostHandle, name: Option<Name<'_>>) -> Result<XattrNames> {
        self.0.xattrs(dir, as_name(fold_any(name).as_ref()))
    }
}

fn folding(path: &Path) -> Folding {
    Folding(HostDir::new(open(path), "folds"))
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn upper_that_folds_case_is_refused() {
    let temp = dirs(&["up"]);
    let path = temp.path().join("up");
    let upper = Marked::upper(folding(&path));
    let refused = error(Overlay::builder().upper("folds", upper).build());
    assert_eq!(refused.errno(), Errno::Unsupported);
    let message = refused.to_string();
    assert!(message.starts_with("folds: "), "{message}");
    assert!(
        message.contains("names that differ only in case"),
        "{message}"
    );
    assert!(names(&path).is_empty(), "{:?}", names(&path));
}

/// Folding is detected when the work folder is created, which an upper on demand does at its first change. Any
/// kind of change must be refused, since a guest needs one call to create or remove a whiteout in capitals.
#[test]
fn upper_on_demand_that_folds_case_is_refused_at_its_first_change() {
    let temp = dirs(&["base/d", "up/e"]);
    std::fs::write(temp.path().join("base/x"), "").unwrap();
    let path = temp.path().join("up");
    // As if a tool had copied an upper to this filesystem.
    std::fs::write(path.join(".wh.gone"), "").unwrap();
    std::fs::write(path.join("own"), "").unwrap();
    std::fs::write(temp.path().join("base/gone"), "").unwrap();
    let overlay = Overlay::builder()
        .lower(crate::kit::lower(&temp.path().join("base")))
        .upper("folds", Marked::upper_on_demand(folding(&path)))
        .build()
        .unwrap();
    let root = overlay.root();
    let left = names(&path);
    let refused = |what: &str, answer: Result<(), Error>| {
        let error = answer.expect_err(what);
        assert_eq!(error.errno(), Errno::Unsupported, "{what}: {error}");
        assert_eq!(names(&path), left, "{what}");
    };
    for _ in 0..2 {
        refused("copy-up", root.open_at("x", how("w")).map(drop));
        refused("create", root.open_at(".WH.x", how("wc")).map(drop));
        refused(
            "in a directory",
            root.open_at("e/.WH.x", how("wc")).map(drop),
        );
        refused("mkdir", root.create_directory_at("new"));
        refused("symlink", root.symlink_at("x", ".WH.x"));
        refused("link", root.link_at("own", &root, ".WH.x"));
        refused("rename", root.rename_at("own", &root, ".WH.x"));
        refused("unlink", root.unlink_file_at("own"));
        refused("unlink from a layer", root.unlink_file_at("x"));
        refused("rmdir", root.remove_directory_at("e"));
        refused("rmdir from a layer", root.remove_directory_at("d"));
        // `no-entry` where the engine has listed the directory.
        root.unlink_file_at(".WH.gone").unwrap_err();
        assert_eq!(names(&path), left);
    }
    root.stat_at("x", true).unwrap();
}

/// On a case-sensitive filesystem.
#[test]
fn work_folder_name_in_capitals_is_an_ordinary_name() {
    let temp = dirs(&["up/.WH..WH.WORK"]);
    let path = temp.path().join("up");
    let overlay = builder(None, &path).build().unwrap();
    let root = overlay.root();
    root.create_directory_at(".WH.x").unwrap();
    assert_eq!(root.list().unwrap().len(), 2);
    drop((root, overlay));
    assert_eq!(names(&path).len(), 2);
}

#[test]
fn uppers_on_vfat_and_in_casefold_directories_are_refused() {
    let run = |command: &str, arguments: &[&str]| {
        let output = Command::new(command).args(arguments).output();
        let done = output.is_ok_and(|output| output.status.success());
        if !done {
            println!("skipped: {command} {arguments:?} does not work here");
        }
        done
    };
    for (make, arguments) in [
        ("mkfs.vfat", &[][..]),
        (
            "mkfs.ext4",
            &["-q", "-O", "casefold", "-E", "encoding=utf8"],
        ),
    ] {
        let temp = dirs(&["mount"]);
        let image = temp.path().join("image");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(64 << 20).unwrap();
        let image = image.to_str().unwrap();
        if !run(make, &[arguments, &[image]].concat()) {
            continue;
        }
        let point = temp.path().join("mount");
        let _mounted = match Mounted::try_new(&["-o", "loop", image], &point) {
            Ok(mounted) => mounted,
            // Not every kernel supports them, so CI may skip this.
            Err(reason) => {
                println!("skipped: {make}: {reason}");
                continue;
            }
        };
        let up = point.join("up");
        std::fs::create_dir(&up).unwrap();
        if make == "mkfs.ext4" && !run("chattr", &["+F", up.to_str().unwrap()]) {
            continue;
        }
        let refused = error(builder(None, &up).build());
        assert_eq!(refused.errno(), Errno::Unsupported, "{make}: {refused}");
        assert!(names(&up).is_empty(), "{make}: {:?}", names(&up));
    }
}
