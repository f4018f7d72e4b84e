//! What a guest's descriptor is in the host: a directory or a file of the engine.
//!
//! Shared by all versions of WASI, so that they cannot answer one call in two ways.

use std::sync::Arc;
use wasi_overlay_core::{Dir, Errno, File, Identity, Kind, Listing, ListingEntry, Opened, Result};
use wasi_overlay_core::{SetTimes, Stat};

/// An open file or directory: what `wasi:filesystem`'s `descriptor` stands for in the table.
#[derive(Clone, Debug)]
pub struct Descriptor(Repr);

#[derive(Clone, Debug)]
enum Repr {
    File(File),
    Dir(Dir),
}

impl From<Opened> for Descriptor {
    fn from(opened: Opened) -> Self {
        Self(match opened {
            Opened::File(file) => Repr::File(file),
            Opened::Dir(dir) => Repr::Dir(dir),
        })
    }
}

impl From<Dir> for Descriptor {
    fn from(dir: Dir) -> Self {
        Self(Repr::Dir(dir))
    }
}

impl Descriptor {
    /// The file; `bad-descriptor` for a directory.
    pub(crate) fn file(&self) -> Result<&File> {
        match &self.0 {
            Repr::File(file) => Ok(file),
            Repr::Dir(_) => Err(Errno::BadDescriptor.into()),
        }
    }

    /// The file, for reading it as a stream: `is-directory` for a directory.
    pub(crate) fn stream_file(&self) -> Result<&File> {
        match &self.0 {
            Repr::File(file) => Ok(file),
            Repr::Dir(_) => Err(Errno::IsDirectory.into()),
        }
    }

    /// The directory; `not-directory` for a file.
    pub(crate) fn dir(&self) -> Result<&Dir> {
        match &self.0 {
            Repr::Dir(dir) => Ok(dir),
            Repr::File(_) => Err(Errno::NotDirectory.into()),
        }
    }

    /// The type. Nothing but files and directories can be opened.
    pub(crate) fn kind(&self) -> Kind {
        match &self.0 {
            Repr::File(_) => Kind::File,
            Repr::Dir(_) => Kind::Dir,
        }
    }

    pub(crate) fn access(&self) -> Access {
        match &self.0 {
            Repr::File(file) => Access {
                read: file.is_readable(),
                write: file.is_writable(),
                mutate_directory: false,
            },
            Repr::Dir(dir) => Access {
                read: true,
                write: false,
                mutate_directory: dir.is_writable(),
            },
        }
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        match &self.0 {
            Repr::File(file) => file.stat(),
            Repr::Dir(dir) => dir.stat(),
        }
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        match &self.0 {
            Repr::File(file) => file.identity(),
            Repr::Dir(dir) => dir.identity(),
        }
    }

    /// Identities are keyed by mount, so objects of two mounts are never the same.
    pub(crate) fn is_same_object(&self, other: &Self) -> Result<bool> {
        Ok(self.identity()? == other.identity()?)
    }

    pub(crate) fn set_times(&self, times: SetTimes) -> Result<()> {
        match &self.0 {
            Repr::File(file) => file.set_times(times),
            Repr::Dir(dir) => dir.set_times(times),
        }
    }

    pub(crate) fn sync(&self, data_only: bool) -> Result<()> {
        match &self.0 {
            Repr::File(file) => file.sync(data_only),
            Repr::Dir(dir) => dir.sync(data_only),
        }
    }
}

/// What may be done through a descriptor: `descriptor-flags`, less the sync flags that no open
/// accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) mutate_directory: bool,
}

/// A directory's entries on their way to a guest: what `directory-entry-stream` stands for in
/// the table.
#[derive(Clone, Debug)]
pub struct DirectoryEntryStream {
    listing: Arc<Listing>,
    next: usize,
}

impl DirectoryEntryStream {
    pub(crate) fn new(listing: Arc<Listing>) -> Self {
        Self { listing, next: 0 }
    }

    /// The next entry; none at the end, and ever after.
    pub(crate) fn next(&mut self) -> Option<ListingEntry<'_>> {
        let entry = self.listing.get(self.next)?;
        self.next += 1;
        Some(entry)
    }
}
