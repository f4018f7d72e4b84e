//! What a guest's descriptor is in the host: a directory or a file of the engine.
//!
//! Shared by all versions of WASI, so that they cannot answer one call in two ways.

use crate::held_listings::HeldListing;
use wasi_overlay_core::{Errno, Kind, log};

/// An open file or directory: what `wasi:filesystem`'s `descriptor` stands for in the table.
pub use wasi_overlay_core::Opened as Descriptor;

/// Tells the log of names that cannot be given to a guest.
pub(crate) fn not_utf8(code: &Errno) {
    log::refused(
        "read-directory",
        *code,
        || "a name in the directory is not UTF-8",
    );
}

/// A directory's entries on their way to a guest: what `directory-entry-stream` stands for in
/// the table.
///
/// Names that are not UTF-8 cannot be given to a guest. They come last, each as an error: C libraries
/// stop at the first error, and have every other name by then.
#[derive(Clone, Debug)]
pub struct DirectoryEntryStream {
    listing: HeldListing,
    next: usize,
    /// Names that are not UTF-8, skipped so far and not yet reported.
    not_utf8: usize,
}

impl DirectoryEntryStream {
    pub(crate) fn new(listing: HeldListing) -> Self {
        Self {
            listing,
            next: 0,
            not_utf8: 0,
        }
    }

    /// The next entry; none at the end, and ever after.
    ///
    /// # Errors
    /// `illegal-byte-sequence`, once for each name that is not UTF-8, after all others.
    pub(crate) fn next(&mut self) -> Result<Option<(Kind, &str)>, Errno> {
        while let Some(entry) = self.listing.get(self.next) {
            self.next += 1;
            match entry.name.to_str() {
                Ok(name) => return Ok(Some((entry.kind, name))),
                // Reported at the end, by its code.
                Err(_) => self.not_utf8 += 1,
            }
        }
        match self.not_utf8.checked_sub(1) {
            Some(left) => {
                self.not_utf8 = left;
                Err(Errno::IllegalByteSequence)
            }
            None => Ok(None),
        }
    }
}
