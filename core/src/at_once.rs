//! Non-blocking attempts at calls, for a host whose thread must not block.
//!
//! The engine answers most calls of guests from memory, and a trip to a thread that may block takes
//! many times as long as the answer. Only an attempt shows whether a call can be answered that way.
//! So the host first tries the call on its own thread. Where the engine would have to call a layer that
//! may touch a disk, or wait for a lock that another thread may hold during such a call, it gives up,
//! and the host repeats the call on a thread that may block.
//!
//! A query changes nothing, so it can be made twice. Calls that change something are not attempted,
//! except a change of the data of a file in an upper in memory: that is one call of the layer, which is
//! either made or not.

use crate::error::{Errno, Error, Result};
#[cfg(feature = "native")]
use crate::sync::waiting;
use crate::sync::{RwLock, RwLockReadGuard};

/// Runs a query of a [`Dir`](crate::Dir) or a [`File`](crate::File) on a thread that must not
/// block. Returns `None` if the query has to call a layer that has its [names
/// elsewhere than in memory](crate::layer::Layer::has_names_in_memory), read one of its files, or wait for a thread that does: then nothing
/// has changed, and the caller can repeat the query on a thread that may block.
///
/// ```
/// # use wasi_overlay_core::{Lower, Overlay, at_once, layer::MemoryLayer};
/// # fn main() -> wasi_overlay_core::Result<()> {
/// let layer = MemoryLayer::build().file("a", b"data").finish()?;
/// let overlay = Overlay::builder().lower(Lower::new("memory", layer)).build()?;
/// let root = overlay.root();
/// let stat = at_once(|| root.stat_at("a", true)).expect("nothing of it is on a disk")?;
/// assert_eq!(stat.size, 4);
/// # Ok(())
/// # }
/// ```
///
/// A call that changes something returns `None`, except a change of the data of an open file that is in
/// memory.
#[cfg(feature = "native")]
pub fn at_once<T>(query: impl FnOnce() -> T) -> Option<T> {
    waiting::run_without(query)
}

/// Whether this thread must not wait. The thread of a component always may.
#[inline]
pub(crate) fn is_on() -> bool {
    #[cfg(feature = "native")]
    return !waiting::is_allowed();
    #[cfg(not(feature = "native"))]
    false
}

/// Checks that this thread may wait, before a step that may take long.
///
/// # Errors
/// `would-block` if this thread must not wait. No caller of the engine sees the error: [`at_once`]
/// returns `None` then.
#[inline]
pub(crate) fn may_wait() -> Result<()> {
    if is_on() {
        return Err(would_block());
    }
    Ok(())
}

/// Takes a lock, shared, that another thread may hold while it calls a layer.
///
/// # Errors
/// As [`may_wait`], if another thread holds it exclusively.
pub(crate) fn read<T: ?Sized>(lock: &RwLock<T>) -> Result<RwLockReadGuard<'_, T>> {
    if is_on() {
        return lock.try_read().ok_or_else(would_block);
    }
    Ok(lock.read())
}

/// Whether the attempt gave up, so that whatever the call returns is discarded.
pub(crate) fn gave_up() -> bool {
    #[cfg(feature = "native")]
    return waiting::gave_up();
    #[cfg(not(feature = "native"))]
    false
}

#[cold]
fn would_block() -> Error {
    #[cfg(feature = "native")]
    waiting::give_up();
    Errno::WouldBlock.into()
}
