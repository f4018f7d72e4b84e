//! Changes of a tree as data, made on a host directory or on an overlay.

use std::io;
use std::path::Path;
use wasi_overlay_core::{Dir, OpenHow, Opened, SetTime, SetTimes, Timestamp};
use wasi_overlay_proof::kit::how;

#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Creates or replaces a file.
    Write(String, &'static str),
    Append(String, &'static str),
    Mkdir(String),
    Symlink(String, String),
    Link(String, String),
    Unlink(String),
    /// Removes a directory with everything in it.
    RemoveTree(String),
    /// Removes a directory with everything in it, and creates it again.
    Replace(String),
    Rename(String, String),
    /// Seconds.
    Touch(String, i64),
    Attribute(String, &'static [u8]),
}

/// Few names, so that they collide; some that tools have handled wrongly.
const NAMES: [&str; 6] = ["a", "b", "c", ".d", "e f", "ü.wh."];

/// The initial bottom layer.
pub(crate) fn populate(root: &Path) {
    for (index, one) in NAMES.iter().enumerate() {
        std::fs::create_dir(root.join(one)).expect("a directory");
        for (second, two) in NAMES.iter().enumerate() {
            let path = root.join(one).join(two);
            if (index + second) % 2 == 0 {
                std::fs::write(path, format!("{one} {two}")).expect("a file");
                continue;
            }
            std::fs::create_dir(&path).expect("a directory");
            for three in NAMES {
                std::fs::write(path.join(three), "below").expect("a file");
            }
        }
    }
}

/// Reproducible random numbers (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn path(&mut self) -> String {
        let depth = self.pick(&[1, 2, 2, 3, 3, 3]);
        self.path_of(depth)
    }

    fn path_of(&mut self, depth: usize) -> String {
        let names: Vec<_> = (0..depth).map(|_| self.pick(&NAMES)).collect();
        names.join("/")
    }

    pub(crate) fn change(&mut self) -> Change {
        let path = self.path();
        let text = self.pick(&["", "one", "two and more"]);
        // More creations than removals, so that trees grow.
        match self.below(40) {
            24..=32 | 0..=4 => Change::Write(path, text),
            5 => Change::Append(path, text),
            33..=39 | 6..=9 => Change::Mkdir(path),
            10 => Change::Symlink(self.path(), path),
            11 => Change::Link(path, self.path()),
            12..=13 => Change::Unlink(path),
            // Rarely at the top, since that removes much.
            14 => Change::RemoveTree(path),
            15 => Change::RemoveTree(self.path_of(2)),
            16 => Change::Replace(path),
            17 => Change::Replace(self.path_of(2)),
            18 => Change::Rename(path, self.path()),
            19..=21 => Change::Rename(self.path_of(3), self.path_of(2)),
            22 => Change::Touch(path, self.below(1_000_000) as i64),
            23.. => Change::Attribute(path, self.pick(&[b"x", b"yz"])),
        }
    }
}

impl Change {
    /// Makes the change on a host directory. It may fail.
    ///
    /// # Errors
    /// Any error of the host.
    pub(crate) fn on_host(&self, root: &Path) -> io::Result<()> {
        use std::fs;
        let at = |path: &str| root.join(path);
        match self {
            Self::Write(path, text) => fs::write(at(path), text),
            Self::Append(path, text) => {
                let mut file = fs::File::options().append(true).open(at(path))?;
                io::Write::write_all(&mut file, text.as_bytes())
            }
            Self::Mkdir(path) => fs::create_dir(at(path)),
            Self::Symlink(target, path) => std::os::unix::fs::symlink(target, at(path)),
            Self::Link(path, new) => fs::hard_link(at(path), at(new)),
            Self::Unlink(path) => fs::remove_file(at(path)),
            Self::RemoveTree(path) => fs::remove_dir_all(at(path)),
            Self::Replace(path) => {
                fs::remove_dir_all(at(path))?;
                fs::create_dir(at(path))
            }
            Self::Rename(path, new) => fs::rename(at(path), at(new)),
            Self::Touch(path, seconds) => {
                let time = rustix::fs::Timespec {
                    tv_sec: *seconds,
                    tv_nsec: 7,
                };
                let times = rustix::fs::Timestamps {
                    last_access: time,
                    last_modification: time,
                };
                let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
                Ok(rustix::fs::utimensat(
                    rustix::fs::CWD,
                    at(path),
                    &times,
                    flags,
                )?)
            }
            Self::Attribute(path, value) => {
                wasi_overlay_proof::machine::set_attribute(&at(path), "user.mine", value)
            }
        }
    }

    /// Makes the change on an overlay. It may fail.
    ///
    /// # Errors
    /// Any error of the engine.
    pub(crate) fn on_ours(&self, root: &Dir) -> wasi_overlay_core::Result<()> {
        match self {
            Self::Write(path, text) => write(root, path, how("wct"), |file| {
                file.write_at(text.as_bytes(), 0)
            }),
            Self::Append(path, text) => {
                write(root, path, how("w"), |file| file.append(text.as_bytes()))
            }
            Self::Mkdir(path) => root.create_directory_at(path),
            Self::Symlink(target, path) => root.symlink_at(target, path),
            Self::Link(path, new) => root.link_at(path, root, new),
            Self::Unlink(path) => root.unlink_file_at(path),
            Self::RemoveTree(path) => remove_tree(root, path),
            Self::Replace(path) => {
                remove_tree(root, path)?;
                root.create_directory_at(path)
            }
            Self::Rename(path, new) => root.rename_at(path, root, new),
            Self::Touch(path, seconds) => {
                let time = SetTime::To(Timestamp {
                    seconds: *seconds,
                    nanoseconds: 7,
                });
                let times = SetTimes {
                    accessed: time,
                    modified: time,
                };
                root.set_times_at(path, false, times)
            }
            Self::Attribute(path, value) => {
                let overlay = root.as_overlay().expect("a directory of an overlay");
                overlay.set_xattr_at(path, false, b"user.mine", value)
            }
        }
    }
}

fn write(
    root: &Dir,
    path: &str,
    how: OpenHow,
    write: impl FnOnce(&wasi_overlay_core::File) -> wasi_overlay_core::Result<usize>,
) -> wasi_overlay_core::Result<()> {
    match root.open_at(path, how)? {
        Opened::File(file) => write(&file).map(|_| ()),
        Opened::Dir(_) => Err(wasi_overlay_core::Errno::IsDirectory.into()),
    }
}

/// Removes a directory with everything in it, children first.
fn remove_tree(root: &Dir, path: &str) -> wasi_overlay_core::Result<()> {
    let mut dirs = vec![path.to_string()];
    let mut next = 0;
    while let Some(path) = dirs.get(next).cloned() {
        if let Opened::Dir(dir) = root.open_at(&path, how("rdn"))? {
            for entry in dir.list()?.iter() {
                let path = super::tree::join(&path, super::tree::text(entry.name));
                match entry.kind {
                    wasi_overlay_core::Kind::Dir => dirs.push(path),
                    _ => root.unlink_file_at(&path)?,
                }
            }
        }
        next += 1;
    }
    dirs.iter()
        .rev()
        .try_for_each(|dir| root.remove_directory_at(dir))
}
