//! The host's types for a guest's `descriptor` and `directory-entry-stream`.
//!
//! All versions of WASI share them, so that no two versions answer one call differently.

use crate::held_listings::HeldListing;
use wasi_overlay_core::{Errno, Kind, log};

/// An open file or directory: the resource behind `descriptor` of `wasi:filesystem`.
pub use wasi_overlay_core::Opened as Descriptor;

/// Logs that a directory holds names that are not UTF-8, which a guest cannot receive.
pub(crate) fn log_not_utf8(code: &Errno) {
    log::refused(
        "read-directory",
        *code,
        || "a name in the directory is not UTF-8",
    );
}

/// A cursor over the entries of a directory: the resource behind `directory-entry-stream`.
///
/// A guest cannot receive names that are not UTF-8. The stream returns an error for each of them, after
/// all other names: C libraries stop at the first error, and have every other name by then.
#[derive(Clone, Debug)]
pub struct DirectoryEntryStream {
    listing: HeldListing,
    next: usize,
    /// How many names that are not UTF-8 were skipped and not yet reported.
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

    /// The next entry; `None` at the end, and at every call after that.
    ///
    /// # Errors
    /// `illegal-byte-sequence`, once for each name that is not UTF-8, after all others.
    pub(crate) fn next(&mut self) -> Result<Option<(Kind, &str)>, Errno> {
        while let Some(entry) = self.listing.get(self.next) {
            self.next += 1;
            match entry.name.to_str() {
                Ok(name) => return Ok(Some((entry.kind, name))),
                // Reported after all other names.
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
