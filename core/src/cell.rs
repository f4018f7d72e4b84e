//! A shared place for an `Arc` that may be replaced while others read it.
//!
//! Where there are threads it is that of `arc-swap`, which is read without a lock. The feature
//! `native` brings that in; without it there are no threads to speak of (a component), a lock costs
//! nothing, and the code is a tenth. Where orders of threads are tried (shuttle) the lock is one more
//! place at which they can change.

#[cfg(all(feature = "native", not(shuttle)))]
pub(crate) use arc_swap::ArcSwapOption as ArcCell;

#[cfg(any(shuttle, not(feature = "native")))]
pub(crate) use locked::ArcCell;

#[cfg(any(shuttle, not(feature = "native")))]
mod locked {
    use crate::sync::Mutex;
    use std::sync::Arc;

    /// As `arc_swap::ArcSwapOption`, as far as it is used here.
    pub(crate) struct ArcCell<T>(Mutex<Option<Arc<T>>>);

    impl<T> ArcCell<T> {
        pub(crate) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.0.lock().clone()
        }

        pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
            std::mem::replace(&mut *self.0.lock(), value)
        }
    }
}
