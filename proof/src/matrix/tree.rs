//! Trees as values. They are written to disk as layers, merged into the plain directory that an
//! overlay must equal, or made on a mount with the engine's own calls.

use crate::kit::how;
use crate::script::mtime;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use wasi_overlay_core::{Dir, Kind, Opened, Result};

/// A file of any kind, or a whiteout.
#[derive(Clone, Debug)]
pub struct Node {
    /// The time of modification, in seconds.
    pub mtime: i64,
    /// Permission bits, if they are not the default.
    pub mode: Option<u32>,
    /// The kind, with the contents.
    pub what: What,
}

/// A kind of file, with the contents.
#[derive(Clone, Debug)]
pub enum What {
    /// A regular file and its data.
    File(String),
    /// A symbolic link and its target.
    Link(String),
    /// A directory.
    Dir {
        /// Whether it hides the lower directories of its path.
        opaque: bool,
        /// The entries by name.
        entries: BTreeMap<String, Node>,
    },
    /// A whiteout.
    Whiteout,
}

fn node(what: What) -> Node {
    Node {
        mtime: 0,
        mode: None,
        what,
    }
}

/// A regular file.
pub fn file(data: &str) -> Node {
    node(What::File(data.into()))
}

/// A symbolic link.
pub fn link(target: &str) -> Node {
    node(What::Link(target.into()))
}

/// A whiteout.
pub fn whiteout() -> Node {
    node(What::Whiteout)
}

/// A directory.
pub fn dir<const N: usize>(entries: [(&str, Node); N]) -> Node {
    let entries = entries.map(|(name, node)| (name.to_owned(), node)).into();
    node(What::Dir {
        opaque: false,
        entries,
    })
}

impl Node {
    /// Makes a directory opaque.
    pub fn opaque(mut self) -> Self {
        if let What::Dir { opaque, .. } = &mut self.what {
            *opaque = true;
        }
        self
    }

    /// Sets permission bits.
    pub fn allowing(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Adds entries to a directory.
    pub fn with<const N: usize>(mut self, more: [(&str, Node); N]) -> Self {
        if let What::Dir { entries, .. } = &mut self.what {
            entries.extend(more.map(|(name, node)| (name.to_owned(), node)));
        }
        self
    }

    /// Sets the time of this node and of everything in it.
    pub fn stamped(mut self, mtime: i64) -> Self {
        self.mtime = mtime;
        if let What::Dir { entries, .. } = &mut self.what {
            for node in entries.values_mut() {
                *node = node.clone().stamped(mtime);
            }
        }
        self
    }

    /// The tree that `upper` and `self` below it merge to.
    pub fn merged(&self, upper: &Self) -> Self {
        let below = match &self.what {
            What::Dir { entries, .. } => Some(entries),
            _ => None,
        };
        let What::Dir { opaque, entries } = &upper.what else {
            return upper.clone();
        };
        let mut merged = match below {
            Some(below) if !opaque => below.clone(),
            _ => BTreeMap::new(),
        };
        for (name, node) in entries {
            match (&node.what, merged.remove(name)) {
                (What::Whiteout, _) => continue,
                (_, Some(lower)) => merged.insert(name.clone(), lower.merged(node)),
                (_, None) => merged.insert(name.clone(), dir([]).merged_alone(node)),
            };
        }
        Self {
            mtime: upper.mtime,
            mode: upper.mode,
            what: What::Dir {
                opaque: false,
                entries: merged,
            },
        }
    }

    /// `node` without any layer below it.
    fn merged_alone(&self, node: &Self) -> Self {
        match node.what {
            What::Dir { .. } => self.merged(node),
            _ => node.clone(),
        }
    }

    /// Writes a layer in OCI form. A tree without whiteouts makes a plain directory.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &Path) {
        match &self.what {
            What::File(data) => fs::write(path, data).unwrap(),
            What::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            What::Whiteout => unreachable!("written by the directory"),
            What::Dir { opaque, entries } => {
                fs::create_dir(path).unwrap();
                if *opaque {
                    fs::write(path.join(".wh..wh..opq"), "").unwrap();
                }
                for (name, node) in entries {
                    match node.what {
                        What::Whiteout => fs::write(path.join(format!(".wh.{name}")), "").unwrap(),
                        _ => node.write(&path.join(name)),
                    }
                }
            }
        }
        let time = Timespec {
            tv_sec: self.mtime,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        if let Some(mode) = self.mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    /// Changes `root` with the engine's own calls, as if this were its upper.
    ///
    /// # Panics
    /// If a call fails.
    pub fn apply(&self, root: &Dir) {
        let What::Dir { entries, .. } = &self.what else {
            unreachable!("a root is a directory")
        };
        for (name, node) in entries {
            node.apply_at(root, name).unwrap();
        }
        set_mtime(root, self.mtime);
    }

    fn apply_at(&self, root: &Dir, path: &str) -> Result<()> {
        let there = match root.stat_at(path, false) {
            Ok(stat) => Some(stat.kind),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        match &self.what {
            What::Whiteout => return remove(root, path),
            What::File(data) => {
                if there.is_some_and(|kind| kind != Kind::File) {
                    remove(root, path)?;
                }
                let Opened::File(file) = root.open_at(path, how("wctn"))? else {
                    unreachable!("a directory was created as a file")
                };
                file.write_at(data.as_bytes(), 0)?;
            }
            What::Link(target) => {
                if there.is_some() {
                    remove(root, path)?;
                }
                root.symlink_at(target, path)?;
            }
            What::Dir { opaque, entries } => {
                if there.is_some_and(|kind| *opaque || kind != Kind::Dir) {
                    remove(root, path)?;
                }
                if *opaque || there != Some(Kind::Dir) {
                    root.create_directory_at(path)?;
                }
                for (name, node) in entries {
                    node.apply_at(root, &format!("{path}/{name}"))?;
                }
            }
        }
        root.set_times_at(path, false, mtime(self.mtime))
    }
}

/// Removes `path` and everything in it.
///
/// # Errors
/// Any error of a call.
pub fn remove(root: &Dir, path: &str) -> Result<()> {
    if root.stat_at(path, false)?.kind != Kind::Dir {
        return root.unlink_file_at(path);
    }
    let Opened::Dir(open) = root.open_at(path, how("dn"))? else {
        unreachable!("a file was opened as a directory")
    };
    for entry in open.list()?.iter() {
        remove(root, &format!("{path}/{}", entry.name.to_str()?))?;
    }
    root.remove_directory_at(path)
}

/// Sets the time of modification of a directory.
///
/// # Panics
/// If the call fails.
pub fn set_mtime(dir: &Dir, seconds: i64) {
    dir.set_times(mtime(seconds)).unwrap();
}
