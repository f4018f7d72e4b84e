//! What no host is spared: what nobody asked the system yet has to be asked, once.

use super::changed::Changes;
use crate::trees::{SMALL, Trees};
use anyhow::{Context as _, Result};
use rustix::buffer::spare_capacity;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, StatxFlags};
use std::ffi::CString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of the names that are asked for at once.
const NAMES: usize = 32 * 1024;

/// Calls that bring in what a constant cannot be in the place of: a page of a large file, and what is
/// found on a first walk of the tree.
pub(crate) struct Asked {
    big: File,
    /// On a first walk, the directories and how often one was listed, then their files and how often
    /// one was told of.
    dirs: Vec<OwnedFd>,
    listed: AtomicUsize,
    files: Vec<(usize, CString)>,
    told: AtomicUsize,
    pub(super) changes: Changes,
}

impl Asked {
    /// The calls for what is in `trees`; those of a walk if it is the first.
    pub(crate) fn of(trees: &Trees, is_first_walk: bool) -> Result<Self> {
        let mut asked = Self {
            big: File::open(trees.plain().join("big"))?,
            dirs: Vec::new(),
            listed: AtomicUsize::new(0),
            files: Vec::new(),
            told: AtomicUsize::new(0),
            changes: Changes::new(trees)?,
        };
        if is_first_walk {
            for above in entries(&trees.plain().join("tree"))? {
                for dir in entries(&above)? {
                    asked.add(&dir)?;
                }
            }
        }
        Ok(asked)
    }

    fn add(&mut self, dir: &Path) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = self.dirs.len();
        for file in entries(dir)? {
            let name = file.file_name().context("it has no name")?;
            let name = CString::new(name.as_encoded_bytes())?;
            self.files.push((place, name));
        }
        self.dirs
            .push(rustix::fs::openat(CWD, dir, flags, Mode::empty())?);
        Ok(())
    }

    /// A page of the large file: one `pread`.
    pub(super) fn page(&self, offset: u64) -> rustix::io::Result<Vec<u8>> {
        let mut page = Vec::with_capacity(SMALL);
        rustix::io::pread(&self.big, spare_capacity(&mut page), offset)?;
        Ok(page)
    }

    /// On a first walk, lists the next directory.
    pub(super) fn list(&self) -> rustix::io::Result<()> {
        let turn = self.listed.fetch_add(1, Ordering::Relaxed);
        if let Some(dir) = self.dirs.get(turn) {
            let mut names = Vec::with_capacity(NAMES);
            let mut entries = RawDir::new(dir, names.spare_capacity_mut());
            while let Some(entry) = entries.next() {
                entry?;
            }
        }
        Ok(())
    }

    /// On a first walk, asks what the next file is.
    pub(super) fn stat(&self) -> rustix::io::Result<()> {
        let turn = self.told.fetch_add(1, Ordering::Relaxed);
        if let Some((dir, name)) = self.files.get(turn) {
            let (dir, flags) = (&self.dirs[*dir], AtFlags::SYMLINK_NOFOLLOW);
            rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?;
        }
        Ok(())
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir)?;
    Ok(entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?)
}
