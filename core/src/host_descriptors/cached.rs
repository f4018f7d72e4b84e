//! The common budget of the descriptors in the caches of all stacks and uppers.
//!
//! Each cache evicts within its own bound. Only when all caches together exceed the budget does each
//! shrink to its share. So an idle mount leaves unused descriptors to a busy one, and a process can
//! create one mount after the other. The caches shrink to a quarter below the budget, so that a
//! pass over all caches is amortized over as many newly opened descriptors.
//!
//! Lock order: `CACHES`, then the ring of one cache. Each is held briefly: no layer is called, and
//! nothing is closed, under either.

use super::limit;
use crate::cache::Clock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The number of descriptors in all caches. It changes under the lock of the ring that holds them, and
/// orders no other memory.
static CACHED: AtomicUsize = AtomicUsize::new(0);

/// The caches of the process. Not `crate::sync::Mutex`: it outlives the runs of the schedule tests,
/// and no thread can be switched while it is held.
static CACHES: Mutex<Vec<Weak<Clock>>> = Mutex::new(Vec::new());

/// Adds a cache to the list of caches that share the budget.
pub(crate) fn register(cache: &Arc<Clock>) {
    let mut caches = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    if caches.len() == caches.capacity() {
        // Amortized over the caches that were added since the list last grew.
        caches.retain(|cache| cache.strong_count() > 0);
        let more = caches.len().max(8);
        caches.reserve(more);
    }
    caches.push(Arc::downgrade(cache));
}

/// Replaces the number of descriptors that one cache held `before` by the number that it holds `now`.
///
/// Preconditions: the cache's ring is locked.
pub(crate) fn count(before: usize, now: usize) {
    if now > before {
        CACHED.fetch_add(now - before, Ordering::Relaxed);
    } else if now < before {
        CACHED.fetch_sub(before - now, Ordering::Relaxed);
    }
}

/// The number of descriptors that all caches together may hold.
fn budget(limit: usize) -> usize {
    limit / 2
}

/// Shrinks all caches if together they exceed the budget.
pub(crate) fn enforce_budget() {
    if CACHED.load(Ordering::Relaxed) > budget(limit::last()) {
        shrink();
    }
}

#[cold]
fn shrink() {
    // The process may have raised its limit.
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

/// Closes all cached descriptors.
#[cold]
pub(super) fn close_all() {
    for cache in caches() {
        cache.shrink(0);
    }
    // Refreshes the limit: if the process has lowered it, the budget is smaller from now on.
    limit::now();
}

fn caches() -> Vec<Arc<Clock>> {
    let caches = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    caches.iter().filter_map(Weak::upgrade).collect()
}
