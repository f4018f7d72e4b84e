//! The descriptors that the caches of all stacks and uppers hold, and their common budget.
//!
//! Each cache evicts within its own bound. Only when all together are past the budget, each shrinks
//! to its share: so an idle mount lets a busy one have what it does not use, and one mount after the
//! other can be made. They shrink below the budget, by a quarter, so that passing over all caches is
//! paid for by as many descriptors that were opened since.
//!
//! Lock order: `CACHES`, then the ring of one cache, each held for a moment: no layer is called, and
//! nothing is closed, while one is held.

use super::limit;
use crate::cache::Clock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Descriptors in all caches. Changed with the lock of the ring that they are in; it guards no other
/// memory.
static CACHED: AtomicUsize = AtomicUsize::new(0);

/// The caches of the process. Not `crate::sync::Mutex`: it outlives the runs of the schedule tests,
/// and no thread can be switched while it is held.
static CACHES: Mutex<Vec<Weak<Clock>>> = Mutex::new(Vec::new());

/// Adds a cache to those that are asked to shrink.
pub(crate) fn register(cache: &Arc<Clock>) {
    let mut caches = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    if caches.len() == caches.capacity() {
        // Paid for by the caches that were added since the list last grew.
        caches.retain(|cache| cache.strong_count() > 0);
        let more = caches.len().max(8);
        caches.reserve(more);
    }
    caches.push(Arc::downgrade(cache));
}

/// Counts what one cache holds now, and not any more what it held before.
///
/// Preconditions: the cache's ring is locked.
pub(crate) fn count(before: usize, now: usize) {
    if now > before {
        CACHED.fetch_add(now - before, Ordering::Relaxed);
    } else if now < before {
        CACHED.fetch_sub(before - now, Ordering::Relaxed);
    }
}

/// How many all caches may hold.
fn budget(limit: usize) -> usize {
    limit / 2
}

/// Has all caches shrink if they are past the budget.
pub(crate) fn keep_to_budget() {
    if CACHED.load(Ordering::Relaxed) > budget(limit::last()) {
        shrink();
    }
}

#[cold]
fn shrink() {
    // It may have been raised.
    let budget = budget(limit::now());
    if CACHED.load(Ordering::Relaxed) <= budget {
        return;
    }
    let mut caches = caches();
    caches.retain(|cache| cache.entries() > 0);
    let share = (budget - budget / 4) / caches.len().max(1);
    for cache in caches {
        cache.shrink(share);
    }
}

/// Closes all that is cached.
#[cold]
pub(super) fn release() {
    for cache in caches() {
        cache.shrink(0);
    }
    // If it was lowered, the next ones are fewer.
    limit::now();
}

fn caches() -> Vec<Arc<Clock>> {
    let caches = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    caches.iter().filter_map(Weak::upgrade).collect()
}
