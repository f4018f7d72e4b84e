//! What a guest's descriptor is in the host: a directory or a file of the engine.
//!
//! Shared by all versions of WASI, so that they cannot answer one call in two ways.

use std::sync::Arc;
use wasi_overlay_core::{Listing, ListingEntry};

/// An open file or directory: what `wasi:filesystem`'s `descriptor` stands for in the table.
pub use wasi_overlay_core::Opened as Descriptor;

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
