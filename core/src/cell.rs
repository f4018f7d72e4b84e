//! `ArcCell`: a shared cell for an `Arc` that one thread may replace while others read it.
//!
//! With the feature `native` it is the cell of `arc-swap`, which is read without a lock. Without the
//! feature (a component) there is one thread, so a lock costs nothing and takes a tenth of the code. The
//! schedule tests (shuttle) use the lock too: it is one more point at which threads can switch.

#[cfg(all(feature = "native", not(shuttle)))]
pub(crate) use arc_swap::ArcSwapOption as ArcCell;

#[cfg(any(shuttle, not(feature = "native")))]
pub(crate) use locked::ArcCell;

#[cfg(any(shuttle, not(feature = "native")))]
mod locked {
    use crate::sync::Mutex;
    use std::sync::Arc;

    /// The subset of `arc_swap::ArcSwapOption` that the engine uses.
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
