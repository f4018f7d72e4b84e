//! Handles kept for later use, up to a bound.
//!
//! Without kept handles every step of a path walk would open its directory anew, and lose
//! against one `openat2` of the whole path; and every open of a file would be a system call. A
//! handle may cost a descriptor of the host, so their number is bounded; the data of small files
//! is kept in the same way, with a bound on its bytes. The bound is kept by CLOCK: a hit sets a
//! flag and takes no lock; an insertion into a full ring passes over what was used since the hand
//! last came by.

use crate::cell::ArcCell;
use crate::error::Result;
#[cfg(feature = "dir")]
use crate::host_descriptors;
use crate::layer::erased::AnyLayer;
use crate::sync::{Mutex, Rank};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// All that is kept for one stack or one upper.
pub(crate) struct Keep(Arc<Cache>);

/// What a [`Keep`] is, for the list of caches that hold descriptors.
pub(crate) struct Cache {
    /// At most so much: handles, or bytes.
    capacity: usize,
    /// Whether a handle is a descriptor of the process, which all caches share.
    #[cfg(feature = "dir")]
    holds_descriptors: bool,
    /// A leaf lock: nothing is called while it is held, and what is evicted drops after it.
    ring: Mutex<Ring>,
}

/// What is kept, with its weight. The hand of the clock is at the front.
#[derive(Default)]
struct Ring {
    slots: VecDeque<(Weak<dyn Evict>, usize)>,
    weight: usize,
}

type Evicted = Arc<dyn Any + Send + Sync>;

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
    fn evict(&self) -> Option<Evicted>;
}

impl<T: Send + Sync + 'static> Evict for SlotInner<T> {
    fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn evict(&self) -> Option<Evicted> {
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
    /// A cache of what takes no descriptors.
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Cache {
            capacity: capacity.max(1),
            #[cfg(feature = "dir")]
            holds_descriptors: false,
            ring: Mutex::ranked(Rank::Leaf, Ring::default()),
        }))
    }

    /// A cache of handles of `layers`. All count as descriptors unless every layer is in memory.
    pub(crate) fn of_handles<'a>(
        capacity: usize,
        layers: impl IntoIterator<Item = &'a dyn AnyLayer>,
    ) -> Self {
        #[cfg(feature = "dir")]
        if layers.into_iter().any(|layer| !layer.is_in_memory()) {
            return Self::of_descriptors(capacity);
        }
        #[cfg(not(feature = "dir"))]
        let _ = layers; // Nothing is counted.
        Self::new(capacity)
    }

    /// A cache of handles, each of them a descriptor of the process. It counts towards the budget of
    /// all caches ([`host_descriptors`]).
    #[cfg(feature = "dir")]
    pub(crate) fn of_descriptors(capacity: usize) -> Self {
        let cache = Arc::new(Cache {
            capacity: capacity.max(1),
            holds_descriptors: true,
            ring: Mutex::ranked(Rank::Leaf, Ring::default()),
        });
        host_descriptors::cached::register(&cache);
        Self(cache)
    }

    /// Whether its handles are descriptors of the process.
    #[cfg(feature = "dir")]
    pub(crate) fn holds_descriptors(&self) -> bool {
        self.0.holds_descriptors
    }

    /// The handle in `slot`, opened if it is not kept.
    pub(crate) fn get<T: Send + Sync + 'static>(
        &self,
        slot: &Slot<T>,
        open: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        match slot.get() {
            Some(handle) => Ok(handle),
            None => Ok(self.put(slot, Arc::new(open()?), 1)),
        }
    }

    /// Keeps `handle` in `slot`, where it weighs so much.
    pub(crate) fn put<T: Send + Sync + 'static>(
        &self,
        slot: &Slot<T>,
        handle: Arc<T>,
        weight: usize,
    ) -> Arc<T> {
        let replaced = slot.0.handle.swap(Some(Arc::clone(&handle)));
        let evicted = match replaced {
            // Somebody else opened it too: the slot is in the ring already.
            Some(_) => Vec::new(),
            None => {
                let inner: Arc<dyn Evict> = Arc::clone(&slot.0) as _;
                self.0.insert((Arc::downgrade(&inner), weight))
            }
        };
        drop(evicted);
        #[cfg(feature = "dir")]
        if self.0.holds_descriptors {
            host_descriptors::cached::enforce_budget();
        }
        handle
    }

    /// Lets go of every handle.
    pub(crate) fn clear(&self) {
        self.0.shrink(0);
    }
}

/// Descriptors go with their stack or upper, though a slot may be held for longer.
#[cfg(feature = "dir")]
impl Drop for Keep {
    fn drop(&mut self) {
        if self.holds_descriptors() {
            self.clear();
        }
    }
}

impl Cache {
    /// Puts a slot in the ring. Returns what was evicted, for the caller to drop.
    fn insert(&self, slot: (Weak<dyn Evict>, usize)) -> Vec<Evicted> {
        self.change(|ring| {
            let evicted = ring.make_room(slot.1, self.capacity);
            ring.weight += slot.1;
            ring.slots.push_back(slot);
            evicted
        })
    }

    /// Lets go of handles until they weigh at most `most`.
    pub(crate) fn shrink(&self, most: usize) {
        let evicted = self.change(|ring| ring.make_room(0, most));
        drop(evicted);
    }

    /// What the handles weigh together, those of slots that are gone included.
    #[cfg(feature = "dir")]
    pub(crate) fn weight(&self) -> usize {
        self.ring.lock().weight
    }

    /// Changes the ring, and the count of descriptors with it.
    fn change<T>(&self, change: impl FnOnce(&mut Ring) -> T) -> T {
        let mut ring = self.ring.lock();
        #[cfg(feature = "dir")]
        let before = ring.weight;
        let changed = change(&mut ring);
        #[cfg(feature = "dir")]
        if self.holds_descriptors {
            host_descriptors::cached::count(before, ring.weight);
        }
        changed
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        #[cfg(feature = "dir")]
        if self.holds_descriptors {
            host_descriptors::cached::count(self.ring.get_mut().weight, 0);
        }
    }
}

impl Ring {
    /// Evicts what was not used lately, until `weight` more makes at most `most`. Returns what was
    /// evicted.
    fn make_room(&mut self, weight: usize, most: usize) -> Vec<Evicted> {
        let mut evicted = Vec::new();
        // After one round every flag is clear; hits that come meanwhile buy one round more.
        let mut passes = 2 * self.slots.len();
        while self.weight.saturating_add(weight) > most
            && let Some((oldest, weight)) = self.slots.pop_front()
        {
            let kept = oldest.upgrade();
            // Where nothing is to stay, it does not matter what was used.
            if most > 0 && passes > 0 && kept.as_ref().is_some_and(|kept| kept.take_used()) {
                passes -= 1;
                self.slots.push_back((oldest, weight));
                continue;
            }
            self.weight -= weight;
            evicted.extend(kept.and_then(|kept| kept.evict()));
        }
        evicted
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
            keep.put(slot, Arc::new(index), 1);
        }
        assert!(slots[0].get().is_some() && slots[2].get().is_some());
        keep.put(&slots[3], Arc::new(3), 1);
        assert_eq!(kept(&slots), [0, 2, 3]);
        for (index, slot) in slots.iter().enumerate().skip(4) {
            keep.put(slot, Arc::new(index), 1);
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
            keep.put(slot, Arc::new(index), 1);
        }
        keep.clear();
        assert_eq!(kept(&slots), []);
        for slot in &slots {
            assert_eq!(*keep.get(slot, || Ok(7)).unwrap(), 7);
        }
        assert_eq!(kept(&slots), [7, 7]);
    }

    #[test]
    fn what_is_heavy_takes_the_place_of_several() {
        let keep = Keep::new(100);
        let slots: Vec<Slot<usize>> = (0..7).map(|_| Slot::default()).collect();
        for (index, slot) in slots.iter().enumerate().take(5) {
            keep.put(slot, Arc::new(index), 20);
        }
        assert!(slots[1].get().is_some());
        keep.put(&slots[5], Arc::new(5), 45);
        assert_eq!(kept(&slots), [1, 4, 5]);
        keep.put(&slots[6], Arc::new(6), 100);
        assert_eq!(kept(&slots), [6]);
    }

    #[test]
    fn a_slot_that_is_gone_makes_room() {
        let keep = Keep::new(1);
        drop(keep.put(&Slot::default(), Arc::new(1), 1));
        let slot = Slot::default();
        keep.put(&slot, Arc::new(2), 1);
        assert_eq!(*slot.get().unwrap(), 2);
    }
}
