//! Descriptors of the process, of which the system gives it a limited number (`RLIMIT_NOFILE`).
//!
//! ```text
//!   0                          1/2 of the limit                  limit - reserve     limit
//!   ├── cached: all stacks and uppers ──┤                               │               │
//!   ├── held open by guests: files, live directories ───────────────────┤               │
//!   │                                      the engine's own calls, the embedder's files ┤
//! ```
//!
//! What is cached can be closed at any time, so both counts may overlap: a call that the system refuses
//! a descriptor closes all that is cached, and is made once more ([`retry`]).
//!
//! | | bound | past it |
//! |---|---|---|
//! | cached by one stack or upper | `Limits::kept_handles` | the one unused for longest is closed |
//! | cached by all | half of the limit | each cache shrinks to its share ([`cached`]) |
//! | held by one guest | `Limits::open_handles`, and its share ([`guests`]) | `mfile` |
//! | held by all guests | the limit less a reserve | `mfile` |

pub(crate) mod cached;
pub(crate) mod guests;
mod limit;

pub use guests::OpenHandles;
pub use limit::raise_descriptor_limit;

use crate::error::{Errno, Result};
use rustix::io::Errno as Os;

/// Closes every descriptor that is only cached, of all stacks and uppers of the process. They are
/// opened again when they are needed.
///
/// The engine does this by itself when the system refuses it a descriptor. It is for an embedder, or
/// a [layer](crate::layer::Layer), that is refused one: call it, and try again.
pub fn close_cached_descriptors() {
    cached::release();
}

/// Makes a call of the system that opens something. Where the process, or the system, has no
/// descriptor left, closes all that are only cached, and makes it once more.
///
/// The caller may hold any lock of the engine: the caches have leaf locks, and whoever holds one
/// of those makes no such call.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T, Os>) -> Result<T, Os> {
    match call() {
        Err(os) if is_exhausted(os) => {
            cached::release();
            call()
        }
        done => done,
    }
}

/// [`retry`] of a whole operation, which changes nothing where it fails for want of a descriptor.
pub(crate) fn retry_operation<T>(mut operation: impl FnMut() -> Result<T>) -> Result<T> {
    match operation() {
        Err(error) if error.errno() == Errno::TooManyFiles => {
            cached::release();
            operation()
        }
        done => done,
    }
}

/// Whether the process or the system has no descriptor left.
pub(crate) fn is_exhausted(os: Os) -> bool {
    matches!(os, Os::MFILE | Os::NFILE)
}
