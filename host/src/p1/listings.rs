//! Listings that guests are in the middle of, so that none is made twice.
//!
//! `fd_readdir` hands a directory out in pieces of the guest's size. All pieces come from one
//! snapshot, taken at cookie 0: entries keep their cookies whatever changes meanwhile, and a
//! directory of any size is listed once.

use std::collections::VecDeque;
use std::sync::Arc;
use wasi_overlay_core::Listing;

/// Snapshots kept for one guest. A recursive walk has as many directories half read as it is deep.
const MAX_LISTINGS: usize = 64;

/// Entries of all kept snapshots together; the one in use is kept whatever its size. Some 64
/// bytes each at most, so 64 MiB.
const MAX_ENTRIES: usize = 1 << 20;

/// Snapshots by the directory's id, the last used first.
#[derive(Default)]
pub(super) struct Listings {
    kept: VecDeque<(u64, Arc<Listing>)>,
    /// Entries of all of `kept`.
    entries: usize,
}

impl Listings {
    /// The snapshot of a directory, if it is still kept.
    pub(super) fn get(&mut self, id: u64) -> Option<Arc<Listing>> {
        let found = self.kept.iter().position(|(kept, _)| *kept == id)?;
        self.kept.swap(0, found);
        self.kept.front().map(|(_, listing)| Arc::clone(listing))
    }

    /// Keeps the snapshot of a directory, in place of its last one and of the least used others.
    pub(super) fn put(&mut self, id: u64, listing: Arc<Listing>) {
        self.forget(id);
        self.entries += listing.len();
        self.kept.push_front((id, listing));
        while self.kept.len() > MAX_LISTINGS || (self.entries > MAX_ENTRIES && self.kept.len() > 1)
        {
            if let Some((_, dropped)) = self.kept.pop_back() {
                self.entries -= dropped.len();
            }
        }
    }

    /// Drops the snapshot of a directory.
    pub(super) fn forget(&mut self, id: u64) {
        if let Some(found) = self.kept.iter().position(|(kept, _)| *kept == id)
            && let Some((_, dropped)) = self.kept.remove(found)
        {
            self.entries -= dropped.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_used_of_many() {
        let mut listings = Listings::default();
        for id in 0..MAX_LISTINGS as u64 {
            listings.put(id, Arc::default());
        }
        assert!(listings.get(0).is_some());
        listings.put(1000, Arc::default());
        assert!(listings.get(1000).is_some());
        assert!(listings.get(0).is_some(), "used just before");
        let kept = (0..MAX_LISTINGS as u64).filter(|id| listings.get(*id).is_some());
        assert_eq!(kept.count(), MAX_LISTINGS - 1);
    }

    #[test]
    fn a_closed_directory_keeps_nothing() {
        let mut listings = Listings::default();
        listings.put(7, Arc::default());
        listings.forget(7);
        assert!(listings.get(7).is_none());
        listings.forget(7);
    }
}
