//! The exported `directory-entry-stream`.

use crate::exports::types::GuestDirectoryEntryStream;
use crate::host::{DirectoryEntry, DirectoryEntryStream, ErrorCode};
use std::cell::Cell;
use std::sync::Arc;
use wasi_overlay_core::Listing;

/// A stream of directory entries.
pub(crate) enum Entries {
    /// The entries of a directory of the merged tree.
    Merged {
        listing: Arc<Listing>,
        next: Cell<usize>,
    },
    /// The host's stream, for a directory that is passed to the guest.
    Passed(DirectoryEntryStream),
}

impl Entries {
    pub(crate) fn merged(listing: Arc<Listing>) -> Self {
        Self::Merged {
            listing,
            next: Cell::new(0),
        }
    }
}

impl GuestDirectoryEntryStream for Entries {
    fn read_directory_entry(&self) -> Result<Option<DirectoryEntry>, ErrorCode> {
        let (listing, next) = match self {
            Self::Passed(entries) => return entries.read_directory_entry(),
            Self::Merged { listing, next } => (listing, next),
        };
        let Some(entry) = listing.get(next.get()) else {
            return Ok(None);
        };
        next.set(next.get() + 1);
        Ok(Some(DirectoryEntry {
            type_: entry.kind.into(),
            name: entry.name.to_str()?.to_owned(),
        }))
    }
}
