//! The budget of the descriptors of the process, which the system limits (`RLIMIT_NOFILE`).
//!
//! ```text
//!   0                          1/2 of the limit                  limit - reserve     limit
//!   ├── cached: all stacks and uppers ──┤                               │               │
//!   ├── held open by guests: files, live directories ───────────────────┤               │
//!   │                                      the engine's own calls, the embedder's files ┤
//! ```
//!
//! Cached descriptors can be closed at any time, so both counts may overlap: where the system refuses a
//! descriptor, the engine closes all cached descriptors and repeats the call once ([`retry`]).
//!
//! | | bound | past the bound |
//! |---|---|---|
//! | cached by one stack or upper | `Limits::kept_handles` | one that was not used lately is closed |
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

/// Closes every cached descriptor of all stacks and uppers of the process. The engine reopens them when
/// it needs them.
///
/// The engine does this by itself when the system refuses it a descriptor. An embedder or a
/// [layer](crate::layer::Layer) that the system refuses a descriptor can call it and try again.
pub fn close_cached_descriptors() {
    cached::close_all();
}

/// Makes a system call that opens a descriptor. If the process or the system has no descriptor left,
/// closes all cached descriptors and repeats the call once.
///
/// The caller may hold any lock of the engine: the locks of the caches are leaf locks, and no code that
/// holds one makes such a call.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T, Os>) -> Result<T, Os> {
    match call() {
        Err(os) if is_exhausted(os) => {
            cached::close_all();
            call()
        }
        done => done,
    }
}

/// As [`retry`], for a whole operation, which must change nothing when it fails for lack of a descriptor.
pub(crate) fn retry_operation<T>(mut operation: impl FnMut() -> Result<T>) -> Result<T> {
    match operation() {
        Err(error) if error.errno() == Errno::TooManyFiles => {
            cached::close_all();
            operation()
        }
        done => done,
    }
}

/// Whether the process or the system has no descriptor left.
pub(crate) fn is_exhausted(os: Os) -> bool {
    matches!(os, Os::MFILE | Os::NFILE)
}
