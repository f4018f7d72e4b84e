//! What guests hold open: each its own number of handles, and all together no more descriptors than
//! leave some for the engine's own calls.
//!
//! A handle is counted before it is opened, so that a call that fails has changed nothing, and for as
//! long as anything holds it: a stream of a file that the guest has closed holds it too.

use super::limit;
use crate::error::{Errno, Error, Result};
use crate::limits::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Descriptors that the handles of all guests may hold at most. As all counters here it guards no
/// other memory.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Handles that one guest holds open, and how many it may. A clone is the same guest.
///
/// It is given to a guest with the directories that it begins with
/// ([`Dir::counted`](crate::Dir::counted)): all that is opened from there on is counted.
#[derive(Clone, Debug)]
pub struct OpenHandles(Arc<Guest>);

#[derive(Debug)]
struct Guest {
    /// Most handles: `Limits::open_handles`.
    most: usize,
    handles: AtomicUsize,
    /// Descriptors that the handles may hold at most.
    descriptors: AtomicUsize,
}

/// A handle that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    guest: OpenHandles,
    /// One, or none for a directory that a guest has from the start.
    handles: usize,
    descriptors: usize,
}

/// How many descriptors the handles of all guests may hold. The rest is for what calls open for a
/// moment, for mounts, and for the embedder.
fn most_of_all(limit: usize) -> usize {
    limit - (limit / 8).clamp(32, 256).min(limit / 2)
}

/// How many those of one guest may hold, so that one alone leaves as many to the others.
fn most_of_one(limit: usize) -> usize {
    most_of_all(limit) / 2
}

/// Adds to a counter, unless that makes it more than `most`.
fn add(counter: &AtomicUsize, more: usize, most: usize) -> bool {
    if counter
        .fetch_add(more, Ordering::Relaxed)
        .saturating_add(more)
        <= most
    {
        return true;
    }
    counter.fetch_sub(more, Ordering::Relaxed);
    false
}

impl OpenHandles {
    /// A guest that has nothing open, and may have [`Limits::open_handles`].
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Guest {
            most: limits.open_handles,
            handles: AtomicUsize::new(0),
            descriptors: AtomicUsize::new(0),
        }))
    }

    /// How many handles the guest has open now.
    pub fn count(&self) -> usize {
        self.0.handles.load(Ordering::Relaxed)
    }

    /// A directory that the guest has from the start.
    pub(crate) fn preopened(&self) -> Handle {
        Handle {
            guest: self.clone(),
            handles: 0,
            descriptors: 0,
        }
    }

    /// Counts a handle that is about to be opened, and may hold so many descriptors.
    ///
    /// # Errors
    /// `mfile` if the guest, or all guests together, have as many as they may.
    pub(crate) fn open(&self, descriptors: usize) -> Result<Handle> {
        let guest = &*self.0;
        if !add(&guest.handles, 1, guest.most) {
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
        if !handle.hold_descriptors(descriptors, limit::last()) {
            // The limit may have been raised since.
            if !handle.hold_descriptors(descriptors, limit::now()) {
                return Err(Error::new(
                    Errno::TooManyFiles,
                    "guests hold as many descriptors as they may of those that the process can have",
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
    /// The guest whose handle it is.
    pub(crate) fn guest(&self) -> &OpenHandles {
        &self.guest
    }

    fn hold_descriptors(&mut self, count: usize, limit: usize) -> bool {
        let own = &self.guest.0.descriptors;
        if !add(own, count, most_of_one(limit)) {
            return false;
        }
        if !add(&HELD, count, most_of_all(limit)) {
            own.fetch_sub(count, Ordering::Relaxed);
            return false;
        }
        self.descriptors += count;
        true
    }

    /// Counts so many descriptors at most: what was opened holds no more.
    pub(crate) fn keep_descriptors(&mut self, most: usize) {
        let less = self.descriptors.saturating_sub(most);
        let own = &self.guest.0.descriptors;
        own.fetch_sub(less, Ordering::Relaxed);
        HELD.fetch_sub(less, Ordering::Relaxed);
        self.descriptors -= less;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.keep_descriptors(0);
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
            let reserve = limit - most_of_all(limit);
            assert!(reserve >= 32.min(limit / 2), "{limit}: {reserve}");
            assert!(2 * most_of_one(limit) <= most_of_all(limit), "{limit}");
        }
        assert_eq!((most_of_all(64), most_of_all(1024)), (32, 896));
    }
}
