//! Bounds the listings that one guest holds, so that other guests can list directories too.
//!
//! All listings of a mount share its budget (`Limits::listing_bytes`), which one guest could use up with
//! streams on directories that it changes. So each guest has a bound of its own: half of the
//! `listing_bytes` of its context, for the listings of all its mounts.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use wasi_overlay_core::{Dir, Errno, Limits, Listing, Result};

/// The listings that one guest holds. A clone is the same guest.
#[derive(Clone, Debug)]
pub(crate) struct HeldListings(Arc<Guest>);

#[derive(Debug)]
struct Guest {
    /// Most bytes of all listings together.
    most: usize,
    /// A leaf lock: nothing is taken while it is held.
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    /// By address: a directory that did not change is listed once, and is to be counted once.
    listings: HashMap<usize, Weak<Counted>>,
}

/// A listing that a guest holds. A clone is the same one, and counts no more.
#[derive(Clone, Debug)]
pub(crate) struct HeldListing(Arc<Counted>);

/// A listing that counts until it is dropped.
#[derive(Debug)]
struct Counted {
    listing: Arc<Listing>,
    bytes: usize,
    guest: Arc<Guest>,
}

impl HeldListings {
    /// A guest that holds nothing.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Guest {
            most: limits.listing_bytes / 2,
            held: Mutex::default(),
        }))
    }

    /// Lists a directory for the guest.
    ///
    /// # Errors
    /// Those of [`Dir::list`]; `insufficient-memory` if the guest then holds more than it may.
    pub(crate) fn list(&self, dir: &Dir) -> Result<HeldListing> {
        self.hold(dir.list()?).ok_or_else(|| {
            dir.refused(
                "read-directory",
                Errno::InsufficientMemory,
                "the guest holds listings of half of Limits::listing_bytes, which is all that one guest \
                 may: raise the limit of its context, or have it close directory streams",
            )
        })
    }

    /// Counts a listing; none if it is too large.
    fn hold(&self, listing: Arc<Listing>) -> Option<HeldListing> {
        let Self(guest) = self;
        let address = address(&listing);
        let bytes = listing.bytes();
        let mut held = guest.lock();
        if let Some(counted) = held.listings.get(&address).and_then(Weak::upgrade) {
            return Some(HeldListing(counted));
        }
        let more = held.bytes.checked_add(bytes);
        held.bytes = more.filter(|more| *more <= guest.most)?;
        let counted = Arc::new(Counted {
            listing,
            bytes,
            guest: Arc::clone(guest),
        });
        held.listings.insert(address, Arc::downgrade(&counted));
        Some(HeldListing(counted))
    }
}

impl Default for HeldListings {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

impl Guest {
    fn lock(&self) -> MutexGuard<'_, Held> {
        // Each section changes one field at a time, and cannot leave it half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut held = self.guest.lock();
        held.bytes -= self.bytes;
        let address = address(&self.listing);
        // Another may have been counted at the address since the last holder of this one went.
        if held.listings.get(&address).is_some_and(is_gone) {
            held.listings.remove(&address);
        }
    }
}

impl Deref for HeldListing {
    type Target = Listing;

    fn deref(&self) -> &Listing {
        &self.0.listing
    }
}

fn address(listing: &Arc<Listing>) -> usize {
    Arc::as_ptr(listing).addr()
}

fn is_gone(counted: &Weak<Counted>) -> bool {
    counted.strong_count() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasi_overlay_core::Overlay;

    fn guest(most: usize) -> HeldListings {
        let mut limits = Limits::default();
        limits.listing_bytes = 2 * most;
        HeldListings::new(&limits)
    }

    #[test]
    fn a_listing_counts_once_for_each_guest_until_the_last_holder_drops_it() {
        let overlay = Overlay::builder().upper_memory(1 << 20).build().unwrap();
        let root = overlay.root();
        root.create_directory_at("a").unwrap();
        let bytes = root.list().unwrap().bytes();
        assert!(bytes > 0);

        let (one, other) = (guest(bytes), guest(bytes));
        let streams: Vec<_> = (0..9).map(|_| one.list(&root).unwrap()).collect();
        assert_eq!(one.0.lock().bytes, bytes);
        let shared = other.list(&root).unwrap();

        // The directory is another one now.
        root.create_directory_at("b").unwrap();
        root.remove_directory_at("a").unwrap();
        let refused = one.list(&root).unwrap_err();
        assert_eq!(refused.errno(), Errno::InsufficientMemory);
        drop(shared);
        assert_eq!(other.list(&root).unwrap().len(), 1);

        drop(streams);
        let held = one.0.lock();
        assert!(held.bytes == 0 && held.listings.is_empty());
        drop(held);
        assert_eq!(one.list(&root).unwrap().len(), 1);
    }
}
