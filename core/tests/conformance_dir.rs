//! The conformance suite on host directories with whiteouts.

#![cfg(all(feature = "conformance", feature = "dir"))]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use wasi_overlay_core::layer::conformance::{self, Entry};
use wasi_overlay_core::layer::{Durability, Upper};
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::whiteouts::{Marked, MarkedUpper};
use wasi_overlay_proof::kit::capability;

fn host(path: &Path) -> HostDir {
    HostDir::new(capability(path), path.display().to_string())
}

/// Creates empty directories, which are removed at the end.
struct Directories {
    temp: tempfile::TempDir,
    made: Cell<u32>,
}

impl Directories {
    fn new() -> Self {
        Self {
            temp: tempfile::tempdir().unwrap(),
            made: Cell::new(0),
        }
    }

    fn path(&self) -> PathBuf {
        let number = self.made.get();
        self.made.set(number + 1);
        let path = self.temp.path().join(number.to_string());
        std::fs::create_dir(&path).unwrap();
        path
    }

    fn upper(&self) -> MarkedUpper<HostDir> {
        Marked::upper(host(&self.path()))
    }
}

macro_rules! passes {
    ($upper:expr) => {
        passes! { $upper =>
            names creates staging publishes copies removes removed_objects renames links sequences writes sizes
            sparse times modes xattrs threads
        }
    };
    ($upper:expr => $($name:ident)*) => {$(
        #[test]
        fn $name() {
            let directories = Directories::new();
            conformance::$name(&|| $upper(&directories));
        }
    )*};
}

passes!(Directories::upper);

/// With a work folder on demand.
mod on_demand {
    use super::*;

    fn upper(directories: &Directories) -> MarkedUpper<HostDir> {
        Marked::upper_on_demand(host(&directories.path()))
    }

    passes!(upper);

    #[test]
    fn mounting() {
        let directories = Directories::new();
        conformance::mounting(&|| {
            let path = directories.path();
            let upper = || Marked::upper_on_demand(host(&path));
            (upper(), upper())
        });
    }
}

/// With directory handles that are paths, as on other platforms.
mod by_path {
    use super::*;
    use wasi_overlay_core::plain::by_path::ByPath;

    fn upper(directories: &Directories) -> MarkedUpper<ByPath<HostDir>> {
        Marked::upper(ByPath::new(host(&directories.path())))
    }

    passes!(upper);
}

#[test]
fn mounting() {
    let directories = Directories::new();
    conformance::mounting(&|| {
        let path = directories.path();
        (Marked::upper(host(&path)), Marked::upper(host(&path)))
    });
}

#[test]
fn an_upper_reads_as_a_lower_once_unmounted() {
    let directories = Directories::new();
    let path = directories.path();
    let upper = Marked::upper(host(&path));
    upper.mount(Durability::Durable).unwrap();
    conformance::plant(&upper, &conformance::fixture());
    conformance::reads(&upper);
    upper.unmount().unwrap();
    conformance::reads(&Marked::lower(host(&path)));
}

#[test]
fn lower_reads_layers_in_oci_form() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let directories = Directories::new();
    let top = directories.path();
    let at = |path: &[u8]| top.join(OsStr::from_bytes(path));
    let beside = |path: &[u8]| {
        let path = at(path);
        let name = path.file_name().unwrap().to_owned();
        let whiteout = [b".wh.", name.as_bytes()].concat();
        path.with_file_name(OsStr::from_bytes(&whiteout))
    };
    for entry in conformance::fixture() {
        match &entry {
            Entry::Dir(path) => std::fs::create_dir(at(path)).unwrap(),
            Entry::OpaqueDir(path) => {
                std::fs::create_dir(at(path)).unwrap();
                std::fs::write(at(path).join(".wh..wh..opq"), "").unwrap();
            }
            Entry::File(path, data) => std::fs::write(at(path), data).unwrap(),
            Entry::Symlink(path, target) => {
                std::os::unix::fs::symlink(OsStr::from_bytes(target), at(path)).unwrap();
            }
            Entry::Whiteout(path) => std::fs::write(beside(path), "").unwrap(),
        }
    }
    conformance::reads(&Marked::lower(host(&top)));
}
