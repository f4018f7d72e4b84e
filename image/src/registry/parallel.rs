//! The same action for several blobs at a time.

use super::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Runs `action` for each item in at most `threads` threads, of which this is one. After an error no other
/// item is begun, and the flag that `action` gets is set.
///
/// # Errors
/// The first error.
pub(super) fn for_each<T: Sync>(
    items: &[T],
    threads: usize,
    action: impl Fn(&T, &AtomicBool) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let first_error = Mutex::new(None);
    let work = || {
        while !failed.load(Ordering::Relaxed)
            && let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed))
        {
            // Actions that end because of the first error fail as well.
            if let Err(error) = action(item, &failed)
                && !failed.swap(true, Ordering::Relaxed)
            {
                *first_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            let builder = thread::Builder::new().name("registry".to_owned());
            // Without further threads, this one does everything.
            let _ = builder.spawn_scoped(scope, work);
        }
        work();
    });
    match first_error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
