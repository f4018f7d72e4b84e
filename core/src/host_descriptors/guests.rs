//! Limits on the handles that guests hold open: a number for each guest, and a number of descriptors for
//! all guests together that leaves some for the engine's own calls.
//!
//! A handle counts from before it is opened, so that a refused call has changed nothing, until the last
//! holder drops it: a stream on a file that the guest has closed still holds it.

use super::limit;
use crate::error::{Errno, Error, Result};
use crate::limits::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of descriptors that the handles of all guests may hold. Like all counters here it orders
/// no other memory.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// The count of handles that one guest holds open, and its limit. A clone is for the same guest.
///
/// An embedder attaches it to the guest's preopened directories ([`Dir::counted`](crate::Dir::counted)):
/// everything that the guest opens from them counts.
#[derive(Clone, Debug)]
pub struct OpenHandles(Arc<Guest>);

#[derive(Debug)]
struct Guest {
    /// The maximum number of handles: `Limits::open_handles`.
    max_handles: usize,
    handles: AtomicUsize,
    /// The number of descriptors that the handles may hold.
    descriptors: AtomicUsize,
}

/// One open handle of a guest, which counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    guest: OpenHandles,
    /// 1, or 0 for a preopened directory.
    handles: usize,
    descriptors: usize,
}

/// The number of descriptors that the handles of all guests may hold. The rest is for short-lived
/// descriptors of single calls, for mounts, and for the embedder.
fn max_for_all_guests(limit: usize) -> usize {
    limit - (limit / 8).clamp(32, 256).min(limit / 2)
}

/// The number of descriptors that the handles of one guest may hold: half, so that one guest leaves as
/// many to the others.
fn max_for_one_guest(limit: usize) -> usize {
    max_for_all_guests(limit) / 2
}

/// Adds to a counter, unless the sum would exceed `max`. Returns whether it did.
fn try_add(counter: &AtomicUsize, more: usize, max: usize) -> bool {
    if counter
        .fetch_add(more, Ordering::Relaxed)
        .saturating_add(more)
        <= max
    {
        return true;
    }
    counter.fetch_sub(more, Ordering::Relaxed);
    false
}

impl OpenHandles {
    /// The count for a new guest, which may have [`Limits::open_handles`] handles open.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Guest {
            max_handles: limits.open_handles,
            handles: AtomicUsize::new(0),
            descriptors: AtomicUsize::new(0),
        }))
    }

    /// The number of handles that the guest has open now.
    pub fn count(&self) -> usize {
        self.0.handles.load(Ordering::Relaxed)
    }

    /// The handle of a preopened directory, which does not count.
    pub(crate) fn preopened(&self) -> Handle {
        Handle {
            guest: self.clone(),
            handles: 0,
            descriptors: 0,
        }
    }

    /// Counts a handle that is about to be opened and may hold up to `descriptors` descriptors.
    ///
    /// # Errors
    /// `mfile` if the guest, or all guests together, have reached their limit.
    pub(crate) fn open(&self, descriptors: usize) -> Result<Handle> {
        let guest = &*self.0;
        if !try_add(&guest.handles, 1, guest.max_handles) {
            return Err(Error::new(
                Errno::TooManyFiles,
                "the guest has as many files and directories open as Limits::open_handles allows",
            )
            .with_remedy(|| {
                "have the program close some, or raise the hard limit with `ulimit -Hn` (as an \
                 embedder, raise `Limits::open_handles`)"
            }));
        }
        let mut handle = Handle {
            guest: self.clone(),
            handles: 1,
            descriptors: 0,
        };
        if !handle.try_add_descriptors(descriptors, limit::last()) {
            // The limit may have been raised since.
            if !handle.try_add_descriptors(descriptors, limit::now()) {
                return Err(Error::new(
                    Errno::TooManyFiles,
                    "guests have reached their share of the descriptors of the process (RLIMIT_NOFILE)",
                )
                .with_remedy(|| {
                    "have the program close some files, or raise the hard limit with `ulimit -Hn` \
                     (as an embedder, raise the soft one too: `raise_descriptor_limit`)"
                }));
            }
        }
        Ok(handle)
    }
}

impl Handle {
    /// The guest that holds the handle.
    pub(crate) fn guest(&self) -> &OpenHandles {
        &self.guest
    }

    fn try_add_descriptors(&mut self, count: usize, limit: usize) -> bool {
        let own = &self.guest.0.descriptors;
        if !try_add(own, count, max_for_one_guest(limit)) {
            return false;
        }
        if !try_add(&HELD, count, max_for_all_guests(limit)) {
            own.fetch_sub(count, Ordering::Relaxed);
            return false;
        }
        self.descriptors += count;
        true
    }

    /// Lowers the count to at most `max` descriptors, once it is known that the handle holds no more.
    pub(crate) fn limit_descriptors(&mut self, max: usize) {
        let less = self.descriptors.saturating_sub(max);
        let own = &self.guest.0.descriptors;
        own.fetch_sub(less, Ordering::Relaxed);
        HELD.fetch_sub(less, Ordering::Relaxed);
        self.descriptors -= less;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.limit_descriptors(0);
        let handles = &self.guest.0.handles;
        handles.fetch_sub(self.handles, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_left_whatever_the_limit() {
        for limit in [0, 1, 20, 64, 256, 1024, 4096, 1 << 20, usize::MAX] {
            let reserve = limit - max_for_all_guests(limit);
            assert!(reserve >= 32.min(limit / 2), "{limit}: {reserve}");
            assert!(
                2 * max_for_one_guest(limit) <= max_for_all_guests(limit),
                "{limit}"
            );
        }
        assert_eq!(
            (max_for_all_guests(64), max_for_all_guests(1024)),
            (32, 896)
        );
    }
}
