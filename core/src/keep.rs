//! Directory handles kept for later use, up to a bound.
//!
//! Without kept handles every step of a path walk would open its directory anew, and lose
//! against one `openat2` of the whole path. A handle may cost a descriptor of the host, so their
//! number is bounded. The bound is kept by CLOCK: a hit sets a flag and takes no lock; an
//! insertion into a full ring passes over what was used since the hand last came by.

use crate::error::Result;
use crate::layer::erased::DirHandle;
use crate::sync::Mutex;
use arc_swap::ArcSwapOption;
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
    slots: Vec<Weak<SlotInner>>,
    hand: usize,
}

/// A place for one handle.
#[derive(Default)]
pub(crate) struct Slot(Arc<SlotInner>);

#[derive(Default)]
struct SlotInner {
    handle: ArcSwapOption<DirHandle>,
    /// Whether the handle was used since the hand last came by.
    used: AtomicBool,
}

impl Slot {
    /// The handle, if it is kept.
    pub(crate) fn get(&self) -> Option<Arc<DirHandle>> {
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
            ring: Mutex::new(Ring::default()),
        }
    }

    /// The handle in `slot`, opened if it is not kept.
    pub(crate) fn get(
        &self,
        slot: &Slot,
        open: impl FnOnce() -> Result<DirHandle>,
    ) -> Result<Arc<DirHandle>> {
        match slot.get() {
            Some(handle) => Ok(handle),
            None => Ok(self.put(slot, open()?)),
        }
    }

    /// Keeps `handle` in `slot`.
    pub(crate) fn put(&self, slot: &Slot, handle: DirHandle) -> Arc<DirHandle> {
        let handle = Arc::new(handle);
        let replaced = slot.0.handle.swap(Some(Arc::clone(&handle)));
        let evicted = match replaced {
            // Somebody else opened it too: the slot is in the ring already.
            Some(_) => None,
            None => self
                .ring
                .lock()
                .insert(Arc::downgrade(&slot.0), self.capacity),
        };
        drop(evicted);
        handle
    }
}

impl Ring {
    /// Puts `slot` in the ring, in the place of one that was not used lately if it is full.
    /// Returns what was evicted.
    fn insert(&mut self, slot: Weak<SlotInner>, capacity: usize) -> Option<Arc<DirHandle>> {
        if self.slots.len() < capacity {
            self.slots.push(slot);
            return None;
        }
        // After one round every flag is clear; hits that come meanwhile buy one round more.
        for _ in 0..2 * self.slots.len() {
            let place = self.next();
            let kept = self.slots[place].upgrade();
            let used = |kept: &Arc<SlotInner>| kept.used.swap(false, Ordering::Relaxed);
            if !kept.as_ref().is_some_and(used) {
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

    fn replace(&mut self, place: usize, slot: Weak<SlotInner>) -> Option<Arc<DirHandle>> {
        let old = std::mem::replace(&mut self.slots[place], slot);
        old.upgrade().and_then(|old| old.handle.swap(None))
    }
}
