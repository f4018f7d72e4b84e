//! Budget of bytes for all listings of a mount.
//!
//! A guest decides how many listings it holds and how many names are in each, so the bytes are
//! counted before they are allocated, and for as long as anything holds the listing.
//!
//! Omitted from the component build to save code size: there the host bounds the memory of the
//! instance as a whole.

use crate::error::{Errno, Error};

/// The error of a listing for which the budget has no bytes left.
pub(crate) fn exceeded() -> Error {
    Error::because(
        Errno::InsufficientMemory,
        || "the listings that guests hold take all of Limits::listing_bytes",
    )
    .with_remedy(|| "raise the limit, or have the guest close directory streams")
}

#[cfg(feature = "native")]
pub(crate) use counted::{Budget, Charge};
#[cfg(not(feature = "native"))]
pub(crate) use uncounted::{Budget, Charge};

#[cfg(feature = "native")]
mod counted {
    use crate::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;

    /// Bytes taken at once, so that not every name of a listing updates the shared counter. Small compared
    /// to any useful budget; a charge returns what it did not use.
    const STEP: usize = 16 << 10;

    /// How many bytes may be held, and how many are held. A clone shares the same budget.
    #[derive(Clone, Debug)]
    pub(crate) struct Budget(Arc<Bytes>);

    #[derive(Debug)]
    struct Bytes {
        most: AtomicUsize,
        held: AtomicUsize,
    }

    impl Budget {
        pub(crate) fn new(most: usize) -> Self {
            Self(Arc::new(Bytes {
                most: AtomicUsize::new(most),
                held: AtomicUsize::new(0),
            }))
        }

        /// Changes the bound. What is held beyond it stays held.
        #[cfg(feature = "dir")]
        pub(crate) fn set_most(&self, most: usize) {
            self.0.most.store(most, Ordering::Relaxed);
        }

        /// Begins a charge of no bytes.
        pub(crate) fn charge(&self) -> Charge {
            Charge {
                budget: self.clone(),
                taken: 0,
                used: 0,
            }
        }

        fn take(&self, bytes: usize) -> bool {
            // The counter guards no other memory, so no order is needed.
            let most = self.0.most.load(Ordering::Relaxed);
            let take = |held: usize| held.checked_add(bytes).filter(|held| *held <= most);
            self.0
                .held
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
        }

        fn give_back(&self, bytes: usize) {
            self.0.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes that were taken from a budget. Dropping the charge returns them.
    #[derive(Debug)]
    pub(crate) struct Charge {
        budget: Budget,
        taken: usize,
        used: usize,
    }

    impl Charge {
        /// Uses `bytes` more bytes. Returns whether the budget has them; if not, none are used.
        #[must_use]
        pub(crate) fn add(&mut self, bytes: usize) -> bool {
            let missing = (self.used.saturating_add(bytes)).saturating_sub(self.taken);
            if missing > 0 {
                let step = missing.max(STEP);
                let taken = [step, missing]
                    .into_iter()
                    .find(|bytes| self.budget.take(*bytes));
                let Some(taken) = taken else { return false };
                self.taken += taken;
            }
            self.used += bytes;
            true
        }

        /// Returns the bytes that are not used.
        pub(crate) fn settle(&mut self) {
            self.budget.give_back(self.taken - self.used);
            self.taken = self.used;
        }
    }

    impl Drop for Charge {
        fn drop(&mut self) {
            self.budget.give_back(self.taken);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn budget_is_never_exceeded_and_fully_returned() {
            let budget = Budget::new(3 * STEP);
            let mut one = budget.charge();
            let mut other = budget.charge();
            assert!(one.add(1) && other.add(1));
            // Less than a step is left: the requested bytes are still available.
            assert!(one.add(2 * STEP - 1));
            assert!(!one.add(1));
            other.settle();
            assert!(one.add(STEP - 1) && !one.add(1) && !other.add(usize::MAX));
            drop(one);
            assert!(other.add(3 * STEP - 1) && !other.add(1));
            drop(other);
            assert_eq!(budget.0.held.load(Ordering::Relaxed), 0);
        }

        #[test]
        fn an_empty_budget_gives_nothing() {
            assert!(!Budget::new(0).charge().add(1));
            assert!(Budget::new(0).charge().add(0));
        }
    }
}

#[cfg(not(feature = "native"))]
mod uncounted {
    /// Counts nothing.
    #[derive(Debug)]
    pub(crate) struct Budget;

    /// Counts nothing.
    #[derive(Debug)]
    pub(crate) struct Charge;

    impl Budget {
        pub(crate) fn new(_most: usize) -> Self {
            Self
        }

        pub(crate) fn charge(&self) -> Charge {
            Charge
        }
    }

    impl Charge {
        pub(crate) fn add(&mut self, _bytes: usize) -> bool {
            true
        }

        pub(crate) fn settle(&mut self) {}
    }
}
