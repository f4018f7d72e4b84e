//! Handles kept for later use, up to a bound.
//!
//! Without kept handles every step of a path walk would open its directory anew, and lose
//! against one `openat2` of the whole path; and every open of a file would be a system call. A
//! handle may cost a descriptor of the host, so their number is bounded. The bound is kept by
//! CLOCK: a hit sets a flag and takes no lock; an insertion into a full ring passes over what was
//! used since the hand last came by.

use crate::cell::ArcCell;
use crate::error::Result;
use crate::sync::{Mutex, Rank};
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// All that is kept for one stack or one upper.
pub(crate) struct Keep {
    /// At most this many handles.
    capacity: usize,
    /// A leaf lock: nothing is called while it is held, and what is evicted drops after it.
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    slots: Vec<Weak<dyn Evict>>,
    hand: usize,
}

/// A place for one handle.
pub(crate) struct Slot<T>(Arc<SlotInner<T>>);

struct SlotInner<T> {
    handle: ArcCell<T>,
    /// Whether the handle was used since the hand last came by.
    used: AtomicBool,
}

/// A slot of any type of handle.
trait Evict: Send + Sync {
    /// Whether the handle was used since this was last asked.
    fn take_used(&self) -> bool;
    /// Takes the handle out, for the caller to drop.
    fn evict(&self) -> Option<Arc<dyn Any + Send + Sync>>;
}

impl<T: Send + Sync + 'static> Evict for SlotInner<T> {
    fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn evict(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.handle.swap(None).map(|handle| handle as _)
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::new(SlotInner {
            handle: ArcCell::empty(),
            used: AtomicBool::new(false),
        }))
    }
}

impl<T> Slot<T> {
    /// The handle, if it is kept.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        let handle = self.0.handle.load_full()?;
        if !self.0.used.load(Ordering::Relaxed) {
            self.0.used.store(true, Ordering::Relaxed);
        }
        Some(handle)
    }
}

impl Keep {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            ring: Mutex::ranked(Rank::Leaf, Ring::default()),
        }
    }

    /// The handle in `slot`, opened if it is not kept.
    pub(crate) fn get<T: Send + Sync + 'static>(
        &self,
        slot: &Slot<T>,
        open: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        match slot.get() {
            Some(handle) => Ok(handle),
            None => Ok(self.put(slot, open()?)),
        }
    }

    /// Keeps `handle` in `slot`.
    pub(crate) fn put<T: Send + Sync + 'static>(&self, slot: &Slot<T>, handle: T) -> Arc<T> {
        let handle = Arc::new(handle);
        let replaced = slot.0.handle.swap(Some(Arc::clone(&handle)));
        let evicted = match replaced {
            // Somebody else opened it too: the slot is in the ring already.
            Some(_) => None,
            None => {
                let inner: Arc<dyn Evict> = Arc::clone(&slot.0) as _;
                self.ring
                    .lock()
                    .insert(Arc::downgrade(&inner), self.capacity)
            }
        };
        drop(evicted);
        handle
    }

    /// Lets go of every handle.
    pub(crate) fn clear(&self) {
        let ring = std::mem::take(&mut *self.ring.lock());
        for slot in ring.slots.iter().filter_map(Weak::upgrade) {
            drop(slot.evict());
        }
    }
}

impl Ring {
    /// Puts `slot` in the ring, in the place of one that was not used lately if it is full.
    /// Returns what was evicted.
    fn insert(
        &mut self,
        slot: Weak<dyn Evict>,
        capacity: usize,
    ) -> Option<Arc<dyn Any + Send + Sync>> {
        if self.slots.len() < capacity {
            self.slots.push(slot);
            return None;
        }
        // After one round every flag is clear; hits that come meanwhile buy one round more.
        for _ in 0..2 * self.slots.len() {
            let place = self.next();
            let kept = self.slots[place].upgrade();
            if !kept.is_some_and(|kept| kept.take_used()) {
                return self.replace(place, slot);
            }
        }
        let place = self.next();
        self.replace(place, slot)
    }

    fn next(&mut self) -> usize {
        let place = self.hand % self.slots.len();
        self.hand = place + 1;
        place
    }

    fn replace(
        &mut self,
        place: usize,
        slot: Weak<dyn Evict>,
    ) -> Option<Arc<dyn Any + Send + Sync>> {
        let old = std::mem::replace(&mut self.slots[place], slot);
        old.upgrade().and_then(|old| old.evict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(slots: &[Slot<usize>]) -> Vec<usize> {
        slots
            .iter()
            .filter_map(|slot| slot.0.handle.load_full())
            .map(|handle| *handle)
            .collect()
    }

    #[test]
    fn what_was_not_used_goes_first_and_the_bound_holds() {
        let keep = Keep::new(3);
        let slots: Vec<Slot<usize>> = (0..6).map(|_| Slot::default()).collect();
        for (index, slot) in slots[..3].iter().enumerate() {
            keep.put(slot, index);
        }
        assert!(slots[0].get().is_some() && slots[2].get().is_some());
        keep.put(&slots[3], 3);
        assert_eq!(kept(&slots), [0, 2, 3]);
        for (index, slot) in slots.iter().enumerate().skip(4) {
            keep.put(slot, index);
        }
        assert_eq!(kept(&slots).len(), 3);
        assert_eq!(*keep.get(&slots[1], || Ok(1)).unwrap(), 1);
        assert_eq!(kept(&slots).len(), 3);
    }

    #[test]
    fn what_was_cleared_is_opened_anew_and_the_bound_holds() {
        let keep = Keep::new(2);
        let slots: Vec<Slot<usize>> = (0..3).map(|_| Slot::default()).collect();
        for (index, slot) in slots.iter().enumerate() {
            keep.put(slot, index);
        }
        keep.clear();
        assert_eq!(kept(&slots), []);
        for slot in &slots {
            assert_eq!(*keep.get(slot, || Ok(7)).unwrap(), 7);
        }
        assert_eq!(kept(&slots), [7, 7]);
    }

    #[test]
    fn a_slot_that_is_gone_makes_room() {
        let keep = Keep::new(1);
        drop(keep.put(&Slot::default(), 1));
        let slot = Slot::default();
        keep.put(&slot, 2);
        assert_eq!(*slot.get().unwrap(), 2);
    }
}
