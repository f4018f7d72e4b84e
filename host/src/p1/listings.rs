//! Listings that guests are in the middle of, so that none is made twice.
//!
//! `fd_readdir` hands a directory out in pieces of the guest's size. All pieces come from one
//! snapshot, taken at cookie 0: entries keep their cookies whatever changes meanwhile, and a
//! directory of any size is listed once.

use crate::held_listings::HeldListing;
use std::collections::VecDeque;
use wasi_overlay_core::Limits;

/// Snapshots by the directory's id, the last used first.
#[derive(Default)]
pub(super) struct Listings {
    kept: VecDeque<(u64, HeldListing)>,
    /// Bytes of all of `kept`.
    bytes: usize,
}

impl Listings {
    /// The snapshot of a directory, if it is still kept.
    pub(super) fn get(&mut self, id: u64) -> Option<HeldListing> {
        let found = self.kept.iter().position(|(kept, _)| *kept == id)?;
        // A guest that reads on in one directory finds it in front.
        if found > 0 {
            let used = self.kept.remove(found)?;
            self.kept.push_front(used);
        }
        self.kept.front().map(|(_, listing)| listing.clone())
    }

    /// Keeps the snapshot of a directory, in place of its last one and of the least used others.
    pub(super) fn put(&mut self, id: u64, listing: HeldListing, limits: &Limits) {
        self.forget(id);
        self.bytes += listing.bytes();
        self.kept.push_front((id, listing));
        while self.kept.len() > 1
            && (self.kept.len() > limits.half_read_listings || self.bytes > limits.half_read_bytes)
        {
            let Some((_, dropped)) = self.kept.pop_back() else {
                break;
            };
            self.bytes -= dropped.bytes();
        }
    }

    /// Drops the snapshot of a directory.
    pub(super) fn forget(&mut self, id: u64) {
        if let Some(found) = self.kept.iter().position(|(kept, _)| *kept == id)
            && let Some((_, dropped)) = self.kept.remove(found)
        {
            self.bytes -= dropped.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_listings::HeldListings;
    use wasi_overlay_core::Overlay;

    fn limits(listings: usize, bytes: usize) -> Limits {
        let mut limits = Limits::default();
        (limits.half_read_listings, limits.half_read_bytes) = (listings, bytes);
        limits
    }

    /// A listing of so many names of 255 bytes.
    fn long_names(count: usize) -> HeldListing {
        let overlay = Overlay::builder().upper_memory(1 << 20).build().unwrap();
        let root = overlay.root();
        for at in 0..count {
            let name = format!("{at:0>255}");
            root.create_directory_at(&name).unwrap();
        }
        HeldListings::new(&Limits::default()).list(&root).unwrap()
    }

    /// Of three snapshots the middle one was used last, then the first and the last in turn. It changed
    /// places with what was in front each time, so that at the next directory the one used last but
    /// one was dropped, and one that was not used since stayed.
    #[test]
    fn the_least_used_goes_first() {
        let limits = limits(3, usize::MAX);
        let mut listings = Listings::default();
        for id in 0..3 {
            listings.put(id, long_names(0), &limits);
        }
        // The order is 2 1 0; then 0 2 1, where a swap would leave 0 1 2.
        assert!(listings.get(0).is_some());
        listings.put(3, long_names(0), &limits);
        let kept: Vec<_> = listings.kept.iter().map(|(id, _)| *id).collect();
        assert_eq!(kept, [3, 0, 2]);
        assert!(listings.get(1).is_none());
    }

    /// A name was counted as 64 bytes, whatever its length.
    #[test]
    fn snapshots_count_by_their_bytes_and_the_last_one_stays() {
        let listing = long_names(10);
        assert!(listing.bytes() > 10 * 255);
        let limits = limits(64, 2 * listing.bytes());
        let mut listings = Listings::default();
        for id in 0..3 {
            listings.put(id, listing.clone(), &limits);
        }
        assert!(listings.get(0).is_none() && listings.get(1).is_some());
        assert_eq!(listings.bytes, 2 * listing.bytes());
        listings.put(3, long_names(30), &limits);
        assert!(listings.get(3).is_some() && listings.get(2).is_none());
        listings.forget(3);
        assert_eq!(listings.bytes, 0);
    }

    #[test]
    fn a_closed_directory_keeps_nothing() {
        let mut listings = Listings::default();
        listings.put(7, long_names(0), &limits(1, 0));
        assert!(listings.get(7).is_some());
        listings.forget(7);
        assert!(listings.get(7).is_none());
        listings.forget(7);
    }
}
