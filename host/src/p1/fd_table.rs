//! The table of one guest's descriptors: small numbers for standard streams, directories and files.
//!
//! The table needs no bound of its own: a file or directory counts towards `Limits::open_handles` before
//! it is opened, and the other entries are those that the guest starts with.

use super::types::{Errno, Error, Fd};
use std::collections::BTreeSet;
use wasi_overlay_core::{self as core, Dir, File, log};

/// Logs that `fd` cannot be used for `call`, and returns `badf`.
#[cold]
fn refused(call: &'static str, fd: Fd, what: &str) -> Error {
    log::refused(call, core::Errno::BadDescriptor, || {
        format!("descriptor {} {what}", u32::from(fd))
    });
    Errno::Badf.into()
}

/// The object behind a descriptor.
pub(super) enum Entry {
    /// A standard stream, with its descriptor in wasmtime-wasi's table, which may differ from ours.
    Stdio(Fd),
    /// A directory.
    Dir(OpenDir),
    /// A regular file.
    File(OpenFile),
}

/// A directory that a guest has open.
pub(super) struct OpenDir {
    pub(super) dir: Dir,
    /// The guest path, if the directory is preopened.
    pub(super) preopen: Option<String>,
    /// Unique within this table, even after the descriptor's number is reused.
    pub(super) id: u64,
}

/// A file that a guest has open.
pub(super) struct OpenFile {
    pub(super) file: File,
    /// Where the next `fd_read` or `fd_write` starts, in bytes from the start. Preview 1 has no `dup`, so
    /// no two descriptors share a position.
    pub(super) position: u64,
    /// Whether writes go to the end of the file.
    pub(super) append: bool,
    /// Reported and without effect: regular files always block, as in POSIX.
    pub(super) nonblock: bool,
}

/// The table. New descriptors get the lowest free number, as in POSIX.
pub(super) struct FdTable {
    entries: Vec<Option<Entry>>,
    /// The numbers below `entries.len()` that are not in use.
    free: BTreeSet<u32>,
    next_id: u64,
}

impl FdTable {
    /// Makes a table with the standard streams as 0 to 2, followed by `preopens`.
    pub(super) fn new<'a>(preopens: impl IntoIterator<Item = &'a (String, Dir)>) -> Self {
        let mut table = Self {
            entries: (0..3).map(|fd| Some(Entry::Stdio(Fd::from(fd)))).collect(),
            free: BTreeSet::new(),
            next_id: 0,
        };
        for (path, dir) in preopens {
            let entry = table.dir_entry(dir.clone(), Some(path.clone()));
            table.entries.push(Some(entry));
        }
        table
    }

    fn dir_entry(&mut self, dir: Dir, preopen: Option<String>) -> Entry {
        self.next_id += 1;
        Entry::Dir(OpenDir {
            dir,
            preopen,
            id: self.next_id,
        })
    }

    /// Adds a directory.
    pub(super) fn push_dir(&mut self, dir: Dir) -> Result<Fd, Error> {
        let entry = self.dir_entry(dir, None);
        self.push(entry)
    }

    /// Adds a file.
    pub(super) fn push_file(&mut self, file: OpenFile) -> Result<Fd, Error> {
        self.push(Entry::File(file))
    }

    fn push(&mut self, entry: Entry) -> Result<Fd, Error> {
        if let Some(fd) = self.free.pop_first()
            && let Some(slot) = self.entries.get_mut(fd as usize)
        {
            *slot = Some(entry);
            return Ok(fd.into());
        }
        // 2^32 entries would take hundreds of gigabytes.
        let fd = u32::try_from(self.entries.len()).map_err(|_| Errno::Mfile)?;
        self.entries.push(Some(entry));
        Ok(fd.into())
    }

    /// Removes and returns an entry, and frees its number.
    pub(super) fn remove(&mut self, call: &'static str, fd: Fd) -> Result<Entry, Error> {
        let slot = self.entries.get_mut(u32::from(fd) as usize);
        let entry = slot.and_then(Option::take);
        let entry = entry.ok_or_else(|| refused(call, fd, "is not open"))?;
        self.free.insert(fd.into());
        Ok(entry)
    }

    /// Moves the entry `from` to the number `to`, and returns the entry that it replaces; `None` if both
    /// are the same.
    pub(super) fn renumber(&mut self, from: Fd, to: Fd) -> Result<Option<Entry>, Error> {
        self.get("fd_renumber", from)?;
        self.get("fd_renumber", to)?;
        let (from, to) = (u32::from(from), u32::from(to));
        if from == to {
            return Ok(None);
        }
        let moved = self.remove("fd_renumber", from.into())?;
        let slot = self.entries.get_mut(to as usize).ok_or(Errno::Badf)?;
        Ok(slot.replace(moved))
    }

    /// The entry of a descriptor; `None` if it is not open.
    pub(super) fn find(&self, fd: Fd) -> Option<&Entry> {
        self.entries.get(u32::from(fd) as usize)?.as_ref()
    }

    /// The entry of a descriptor, else `badf`. Here and below, `call` is the name of the call in the log.
    pub(super) fn get(&self, call: &'static str, fd: Fd) -> Result<&Entry, Error> {
        self.find(fd)
            .ok_or_else(|| refused(call, fd, "is not open"))
    }

    /// The directory behind a descriptor; anything else is `badf`, as in wasmtime-wasi.
    pub(super) fn dir(&self, call: &'static str, fd: Fd) -> Result<&OpenDir, Error> {
        match self.get(call, fd)? {
            Entry::Dir(dir) => Ok(dir),
            Entry::File(_) | Entry::Stdio(_) => Err(refused(call, fd, "is not a directory")),
        }
    }

    /// The file behind a descriptor; anything else is `badf`.
    pub(super) fn file(&self, call: &'static str, fd: Fd) -> Result<&OpenFile, Error> {
        match self.get(call, fd)? {
            Entry::File(file) => Ok(file),
            Entry::Dir(_) | Entry::Stdio(_) => Err(refused(call, fd, "is not a file")),
        }
    }

    /// Like [`file`](Self::file), to change the descriptor's position or flags.
    pub(super) fn file_mut(&mut self, call: &'static str, fd: Fd) -> Result<&mut OpenFile, Error> {
        let entry = self.entries.get_mut(u32::from(fd) as usize);
        match entry.and_then(Option::as_mut) {
            Some(Entry::File(file)) => Ok(file),
            Some(Entry::Dir(_) | Entry::Stdio(_)) => Err(refused(call, fd, "is not a file")),
            None => Err(refused(call, fd, "is not open")),
        }
    }
}
