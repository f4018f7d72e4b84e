//! Directory trees of the host whose depth exceeds the longest path.

use crate::scratch;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use std::path::{Path, PathBuf};

/// A directory for a tree of any depth, which is removed without recursion: the standard library needs a descriptor
/// for each level.
pub(crate) struct Deep(tempfile::TempDir);

impl Deep {
    pub(crate) fn new() -> Self {
        let deep = Self(scratch());
        std::fs::create_dir(deep.path()).unwrap();
        deep
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("tree")
    }
}

impl Drop for Deep {
    fn drop(&mut self) {
        let root = open(&self.path());
        let mut number = 0;
        loop {
            let tops = entries(&root);
            if tops.is_empty() {
                return;
            }
            for top in tops {
                // Its directories move up beside it, so that no path gets deep.
                let inside = down(&root, &top);
                for name in entries(&inside) {
                    number += 1;
                    renameat(&inside, &name, &root, format!("moved-{number}")).unwrap();
                }
                unlinkat(&root, &top, AtFlags::REMOVEDIR).unwrap();
            }
        }
    }
}

const FLAGS: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

pub(crate) fn open(path: &Path) -> OwnedFd {
    openat(CWD, path, FLAGS, Mode::empty()).unwrap()
}

/// Opens a directory in another.
pub(crate) fn down(dir: impl AsFd, name: &str) -> OwnedFd {
    openat(dir, name, FLAGS, Mode::empty()).unwrap()
}

/// Creates a directory in another.
pub(crate) fn make(dir: impl AsFd, name: &str) {
    mkdirat(dir, name, Mode::RWXU).unwrap();
}

/// Creates `levels` nested directories called `name`, and calls `each` with every one and its level.
pub(crate) fn chain(
    top: OwnedFd,
    name: &str,
    levels: usize,
    mut each: impl FnMut(&OwnedFd, usize),
) {
    let mut dir = top;
    for level in 1..=levels {
        make(&dir, name);
        dir = down(&dir, name);
        each(&dir, level);
    }
}

/// The names of the directories in a directory. Removes its files.
fn entries(dir: &OwnedFd) -> Vec<String> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_str().unwrap();
        match entry.file_type() {
            FileType::Directory if matches!(name, "." | "..") => {}
            FileType::Directory => names.push(name.to_owned()),
            _ => unlinkat(dir, name, AtFlags::empty()).unwrap(),
        }
    }
    names
}
