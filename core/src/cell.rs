//! A shared place for an `Arc` that may be replaced while others read it.
//!
//! Where there are threads it is that of `arc-swap`, which is read without a lock. The feature
//! `native` brings that in; without it there are no threads to speak of (a component), a lock costs
//! nothing, and the code is a tenth. Where orders of threads are tried (shuttle) the lock is one more
//! place at which they can change.

use std::ops::Deref;
use std::sync::Arc;

#[cfg(all(feature = "native", not(shuttle)))]
pub(crate) use arc_swap::ArcSwapOption as ArcCell;
#[cfg(all(feature = "native", not(shuttle)))]
type Loaded<T> = arc_swap::Guard<Option<Arc<T>>>;

#[cfg(any(test, shuttle, not(feature = "native")))]
mod locked {
    use crate::sync::Mutex;
    use std::ops::Deref;
    use std::sync::Arc;

    /// As `arc_swap::ArcSwapOption`, as far as it is used here.
    pub(crate) struct ArcCell<T>(Mutex<Option<Arc<T>>>);

    /// What was in a cell.
    pub(crate) struct Loaded<T>(Option<Arc<T>>);

    #[cfg(any(shuttle, not(feature = "native")))]
    impl<T> Loaded<T> {
        pub(crate) fn from_inner(value: Option<Arc<T>>) -> Self {
            Self(value)
        }
    }

    impl<T> Deref for Loaded<T> {
        type Target = Option<Arc<T>>;

        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    impl<T> ArcCell<T> {
        pub(crate) fn new(value: Option<Arc<T>>) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn empty() -> Self {
            Self::new(None)
        }

        pub(crate) fn load(&self) -> Loaded<T> {
            Loaded(self.load_full())
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.0.lock().clone()
        }

        pub(crate) fn store(&self, value: Option<Arc<T>>) {
            drop(self.swap(value));
        }

        pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
            std::mem::replace(&mut *self.0.lock(), value)
        }

        /// Puts `value` there if `expected` is there. Returns what was.
        pub(crate) fn compare_and_swap(
            &self,
            expected: &Option<Arc<T>>,
            value: Option<Arc<T>>,
        ) -> Loaded<T> {
            let mut held = self.0.lock();
            let is_expected = match (&*held, expected) {
                (Some(held), Some(expected)) => Arc::ptr_eq(held, expected),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            Loaded(match is_expected {
                true => std::mem::replace(&mut *held, value),
                false => held.clone(),
            })
        }
    }
}

#[cfg(any(shuttle, not(feature = "native")))]
pub(crate) use locked::ArcCell;
#[cfg(any(shuttle, not(feature = "native")))]
use locked::Loaded;

/// What was in a cell, or an `Arc` of one's own.
///
/// Out of a cell that is read without a lock this counts no reference, as long as a thread holds
/// few of them. So threads that walk the same directories write nothing that they share.
pub(crate) struct Held<T>(Loaded<T>);

impl<T> Held<T> {
    /// What is in `cell`, if there is something.
    pub(crate) fn of(cell: &ArcCell<T>) -> Option<Self> {
        let loaded = cell.load();
        loaded.is_some().then(|| Self(loaded))
    }

    pub(crate) fn new(value: Arc<T>) -> Self {
        Self(Loaded::from_inner(Some(value)))
    }
}

impl<T> Deref for Held<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        match &*self.0 {
            Some(value) => value,
            // It was looked at when this was made, and does not change.
            None => unreachable!("nothing is held"),
        }
    }
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(self))
    }
}

#[cfg(test)]
mod tests {
    use super::locked::ArcCell;
    use std::sync::Arc;

    #[test]
    fn it_is_swapped_only_for_what_was_expected() {
        let (one, two) = (Arc::new(1), Arc::new(2));
        let cell = ArcCell::empty();
        assert_eq!(*cell.compare_and_swap(&None, Some(one.clone())), None);
        assert_eq!(
            *cell.compare_and_swap(&None, Some(two.clone())),
            Some(one.clone())
        );
        assert_eq!(*cell.load(), Some(one.clone()));
        assert_eq!(
            *cell.compare_and_swap(&Some(Arc::new(1)), None),
            Some(one.clone())
        );
        assert_eq!(
            *cell.compare_and_swap(&Some(one.clone()), Some(two.clone())),
            Some(one)
        );
        assert_eq!(cell.swap(None), Some(two));
        cell.store(Some(Arc::new(3)));
        assert_eq!(cell.load_full().as_deref(), Some(&3));
    }
}
