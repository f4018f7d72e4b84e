//! Bounded CLOCK caches of values that can be opened, read or listed again.
//!
//! A value is found in one of two ways, and both share the ring that evicts (`ClockCache`):
//! - by its `Slot`, where an owner lives as long as the value is wanted, such as the node of a directory;
//! - by a key ([`KeyedCache`]), where there is no such owner.
//!
//! Without cached handles every step of a path walk would open its directory again, and be slower than one
//! `openat2` of the whole path. A handle may cost a descriptor of the host, and a listing or the data of a
//! file any number of bytes, so [`Limits`](crate::Limits) bounds entries and weight. CLOCK enforces the
//! bound: a hit sets a flag and takes no lock; an insertion into a full ring passes over values that were
//! used since the hand last came by.

mod keyed;
mod weak_map;

pub use keyed::KeyedCache;
pub(crate) use weak_map::WeakMap;

use crate::cell::ArcCell;
use crate::error::Result;
#[cfg(feature = "dir")]
use crate::host_descriptors;
use crate::layer::erased::AnyLayer;
use crate::sync::{Mutex, Rank};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// Entries of a map below which dead ones are not looked for.
const SMALL: usize = 64;

/// A bounded set of values in slots. Dropping it does not empty the slots, unless they hold descriptors.
pub(crate) struct ClockCache(Arc<Clock>);

/// What a cache may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The maximum number of values.
    pub entries: usize,
    /// The maximum weight of all values together, in the unit of the caller's weights.
    pub weight: usize,
}

impl Bound {
    /// At most `entries` values, of any weight.
    pub const fn entries(entries: usize) -> Self {
        Self {
            entries,
            weight: usize::MAX,
        }
    }

    /// At most `weight` in total, in any number of values.
    pub const fn weight(weight: usize) -> Self {
        Self {
            entries: usize::MAX,
            weight,
        }
    }
}

/// The ring of one cache, also for the list of caches that hold descriptors.
pub(crate) struct Clock {
    bound: Bound,
    /// Whether each value is a descriptor of the process. All caches share a budget of descriptors.
    #[cfg(feature = "dir")]
    holds_descriptors: bool,
    /// A leaf lock: nothing is called while it is held, and evicted values drop after it.
    ring: Mutex<Ring>,
}

/// Slots with values, and their weights. The hand of the clock is at the front.
#[derive(Default)]
struct Ring {
    slots: VecDeque<(Weak<dyn Evict>, usize)>,
    weight: usize,
}

type Evicted = Arc<dyn Any + Send + Sync>;

/// A place for one value, empty until a cache puts a value into it.
pub(crate) struct Slot<T>(Arc<SlotInner<T>>);

/// A slot that takes no memory of its own before it first has a value.
pub(crate) struct LazySlot<T>(OnceLock<Slot<T>>);

struct SlotInner<T> {
    value: ArcCell<T>,
    /// Whether the value was used since the hand last came by.
    used: AtomicBool,
    /// Whether the slot is in the ring. An eviction clears the flag before it takes the value, and an
    /// insertion sets the value before the flag: so no value stays outside of the ring.
    in_ring: AtomicBool,
}

/// A slot of any type of value.
trait Evict: Send + Sync {
    /// Whether the value was used since this was last asked.
    fn take_used(&self) -> bool;
    /// Takes the value out, for the caller to drop.
    fn evict(&self) -> Option<Evicted>;
}

impl<T: Send + Sync + 'static> Evict for SlotInner<T> {
    fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn evict(&self) -> Option<Evicted> {
        self.in_ring.store(false, Ordering::SeqCst);
        self.value.swap(None).map(|value| value as _)
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Default for SlotInner<T> {
    fn default() -> Self {
        Self {
            value: ArcCell::empty(),
            used: AtomicBool::new(false),
            in_ring: AtomicBool::new(false),
        }
    }
}

impl<T> Slot<T> {
    /// The value, if it is cached.
    #[inline]
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.get()
    }
}

impl<T> Default for LazySlot<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> LazySlot<T> {
    /// The value, if it is cached.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.get()?.get()
    }

    /// Empties the slot.
    pub(crate) fn clear(&self) {
        if let Some(slot) = self.0.get() {
            drop(slot.0.value.swap(None));
        }
    }

    /// The slot, to put a value into it.
    pub(crate) fn slot(&self) -> &Slot<T> {
        self.0.get_or_init(Slot::default)
    }
}

impl<T> SlotInner<T> {
    #[inline]
    fn get(&self) -> Option<Arc<T>> {
        let value = self.value.load_full()?;
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(value)
    }
}

impl ClockCache {
    /// A cache of values that are no descriptors.
    pub(crate) fn new(bound: Bound) -> Self {
        Self(Arc::new(Clock {
            bound,
            #[cfg(feature = "dir")]
            holds_descriptors: false,
            ring: Mutex::ranked(Rank::Leaf, Ring::default()),
        }))
    }

    /// A cache of handles of `layers`. Each handle counts as a descriptor unless all layers are in memory.
    pub(crate) fn of_handles<'a>(
        entries: usize,
        layers: impl IntoIterator<Item = &'a dyn AnyLayer>,
    ) -> Self {
        #[cfg(feature = "dir")]
        if layers.into_iter().any(|layer| layer.holds_descriptors()) {
            return Self::of_descriptors(entries);
        }
        #[cfg(not(feature = "dir"))]
        let _ = layers; // Nothing is counted.
        Self::new(Bound::entries(entries))
    }

    /// A cache of descriptors of the process. It counts towards the budget of all caches
    /// ([`host_descriptors`](crate::host_descriptors)).
    #[cfg(feature = "dir")]
    pub(crate) fn of_descriptors(entries: usize) -> Self {
        let clock = Arc::new(Clock {
            bound: Bound::entries(entries),
            holds_descriptors: true,
            ring: Mutex::ranked(Rank::Leaf, Ring::default()),
        });
        host_descriptors::cached::register(&clock);
        Self(clock)
    }

    /// Whether its values are descriptors of the process.
    #[cfg(feature = "dir")]
    pub(crate) fn holds_descriptors(&self) -> bool {
        self.0.holds_descriptors
    }

    /// The value in `slot`; if it is not cached, what `open` returns, which is cached then.
    pub(crate) fn get<T: Send + Sync + 'static>(
        &self,
        slot: &Slot<T>,
        open: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        match slot.get() {
            Some(value) => Ok(value),
            None => Ok(self.put(slot, Arc::new(open()?), 1)),
        }
    }

    /// Puts `value` into `slot`. The slot has this weight as long as it is in the ring.
    pub(crate) fn put<T: Send + Sync + 'static>(
        &self,
        slot: &Slot<T>,
        value: Arc<T>,
        weight: usize,
    ) -> Arc<T> {
        drop(slot.0.value.swap(Some(Arc::clone(&value))));
        self.enter_ring(&slot.0, weight);
        value
    }

    /// Puts a slot that has a value into the ring, unless it is there.
    fn enter_ring<T: Send + Sync + 'static>(&self, inner: &Arc<SlotInner<T>>, weight: usize) {
        if !inner.in_ring.swap(true, Ordering::SeqCst) {
            let slot: Arc<dyn Evict> = Arc::clone(inner) as _;
            drop(self.0.insert((Arc::downgrade(&slot), weight)));
        }
        #[cfg(feature = "dir")]
        if self.0.holds_descriptors {
            host_descriptors::cached::enforce_budget();
        }
    }

    /// Takes a slot out of the ring.
    fn leave_ring<T: Send + Sync + 'static>(&self, inner: &Arc<SlotInner<T>>) {
        let inner: *const () = Arc::as_ptr(inner).cast();
        self.0.change(|ring| {
            let found = ring
                .slots
                .iter()
                .position(|(slot, _)| slot.as_ptr().cast() == inner);
            if let Some((_, weight)) = found.and_then(|found| ring.slots.remove(found)) {
                ring.weight -= weight;
            }
        });
    }

    /// Evicts all values.
    pub(crate) fn clear(&self) {
        self.0.shrink(0);
    }
}

/// Closes cached descriptors together with their stack or upper, although a slot may live longer.
#[cfg(feature = "dir")]
impl Drop for ClockCache {
    fn drop(&mut self) {
        if self.holds_descriptors() {
            self.clear();
        }
    }
}

impl Clock {
    /// Puts a slot into the ring. Returns what was evicted, for the caller to drop.
    fn insert(&self, slot: (Weak<dyn Evict>, usize)) -> Vec<Evicted> {
        self.change(|ring| {
            let evicted = ring.make_room(Some(slot.1), self.bound);
            ring.weight += slot.1;
            ring.slots.push_back(slot);
            evicted
        })
    }

    /// Evicts values until at most `entries` are left.
    pub(crate) fn shrink(&self, entries: usize) {
        let evicted = self.change(|ring| ring.make_room(None, Bound::entries(entries)));
        drop(evicted);
    }

    /// Number of slots in the ring, those that nothing holds any more included.
    #[cfg(feature = "dir")]
    pub(crate) fn entries(&self) -> usize {
        self.ring.lock().slots.len()
    }

    /// Changes the ring, and the count of descriptors with it.
    fn change<T>(&self, change: impl FnOnce(&mut Ring) -> T) -> T {
        let mut ring = self.ring.lock();
        #[cfg(feature = "dir")]
        let before = ring.slots.len();
        let changed = change(&mut ring);
        #[cfg(feature = "dir")]
        if self.holds_descriptors {
            host_descriptors::cached::count(before, ring.slots.len());
        }
        changed
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        #[cfg(feature = "dir")]
        if self.holds_descriptors {
            host_descriptors::cached::count(self.ring.get_mut().slots.len(), 0);
        }
    }
}

impl Ring {
    /// Evicts values that were not used recently, until the rest is within `bound`, together with a new value
    /// of weight `more` if there is one. A value that alone exceeds the bound empties the ring. Returns the
    /// evicted values.
    fn make_room(&mut self, more: Option<usize>, bound: Bound) -> Vec<Evicted> {
        let mut evicted = Vec::new();
        // After one round every flag is clear. The second round is for values that are used meanwhile.
        let mut passes = 2 * self.slots.len();
        while (self.slots.len() + usize::from(more.is_some()) > bound.entries
            || self.weight.saturating_add(more.unwrap_or(0)) > bound.weight)
            && let Some((oldest, weight)) = self.slots.pop_front()
        {
            let held = oldest.upgrade();
            // If nothing may stay, the flags do not matter.
            if bound.entries > 0 && passes > 0 && held.as_ref().is_some_and(|held| held.take_used())
            {
                passes -= 1;
                self.slots.push_back((oldest, weight));
                continue;
            }
            self.weight -= weight;
            evicted.extend(held.and_then(|held| held.evict()));
        }
        evicted
    }
}

impl fmt::Debug for ClockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockCache")
            .field("bound", &self.0.bound)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(slots: &[Slot<usize>]) -> Vec<usize> {
        slots
            .iter()
            .filter_map(|slot| slot.0.value.load_full())
            .map(|value| *value)
            .collect()
    }

    #[test]
    fn unused_values_are_evicted_first() {
        let cache = ClockCache::new(Bound::entries(3));
        let slots: Vec<Slot<usize>> = (0..6).map(|_| Slot::default()).collect();
        for (index, slot) in slots[..3].iter().enumerate() {
            cache.put(slot, Arc::new(index), 1);
        }
        assert!(slots[0].get().is_some() && slots[2].get().is_some());
        cache.put(&slots[3], Arc::new(3), 1);
        assert_eq!(cached(&slots), [0, 2, 3]);
        for (index, slot) in slots.iter().enumerate().skip(4) {
            cache.put(slot, Arc::new(index), 1);
        }
        assert_eq!(cached(&slots).len(), 3);
        assert_eq!(*cache.get(&slots[1], || Ok(1)).unwrap(), 1);
        assert_eq!(cached(&slots).len(), 3);
    }

    #[test]
    fn cleared_slots_are_filled_again_within_the_bound() {
        let cache = ClockCache::new(Bound::entries(2));
        let slots: Vec<Slot<usize>> = (0..3).map(|_| Slot::default()).collect();
        for (index, slot) in slots.iter().enumerate() {
            cache.put(slot, Arc::new(index), 1);
        }
        cache.clear();
        assert_eq!(cached(&slots), []);
        for slot in &slots {
            assert_eq!(*cache.get(slot, || Ok(7)).unwrap(), 7);
        }
        assert_eq!(cached(&slots), [7, 7]);
    }

    #[test]
    fn a_heavy_value_evicts_several() {
        let cache = ClockCache::new(Bound::weight(100));
        let slots: Vec<Slot<usize>> = (0..7).map(|_| Slot::default()).collect();
        for (index, slot) in slots.iter().enumerate().take(5) {
            cache.put(slot, Arc::new(index), 20);
        }
        assert!(slots[1].get().is_some());
        cache.put(&slots[5], Arc::new(5), 45);
        assert_eq!(cached(&slots), [1, 4, 5]);
        cache.put(&slots[6], Arc::new(6), 100);
        assert_eq!(cached(&slots), [6]);
    }

    #[test]
    fn a_dropped_slot_makes_room() {
        let cache = ClockCache::new(Bound::entries(1));
        drop(cache.put(&Slot::default(), Arc::new(1), 1));
        let slot = Slot::default();
        cache.put(&slot, Arc::new(2), 1);
        assert_eq!(*slot.get().unwrap(), 2);
    }

    /// A slot that was emptied and filled again entered the ring once more, so that a directory whose listing
    /// changed often took the room of all others.
    #[test]
    fn a_slot_is_in_the_ring_once() {
        let cache = ClockCache::new(Bound::entries(3));
        let slots: Vec<Slot<usize>> = (0..3).map(|_| Slot::default()).collect();
        for (index, slot) in slots.iter().enumerate() {
            cache.put(slot, Arc::new(index), 1);
        }
        for round in 0..10 {
            assert!(slots[0].get().is_some());
            drop(slots[0].0.value.swap(None));
            cache.put(&slots[0], Arc::new(round), 1);
        }
        assert_eq!(cached(&slots), [9, 1, 2]);
    }
}
