//! Questions that are answered without waiting: for a host whose thread must not block.
//!
//! Most of what guests ask is answered from memory, and a trip to a thread that may block takes
//! many times as long as the answer. Whether a question can be answered so is known only once
//! the call is tried. So a host tries on its own thread first: where the engine would have to call a
//! layer that may touch a disk, or wait for a lock that others hold while they call one, it gives up
//! instead, and the host asks again where it may block.
//!
//! A question changes nothing, so it can be asked twice. What changes something is not tried, but for
//! the data of a file of an upper in memory: that is one call of the layer, made or not.

use crate::error::Result;
#[cfg(feature = "native")]
use crate::error::{Errno, Error};
#[cfg(feature = "native")]
use crate::sync::waiting;
use crate::sync::{RwLock, RwLockReadGuard};

/// Asks a question of a [`Dir`](crate::Dir) or a [`File`](crate::File) on a thread that must not
/// block. None if that would take a call of a layer that is not [in
/// memory](crate::layer::Layer::is_in_memory), or a wait for a thread that makes one: then nothing
/// has changed, and the same question can be asked where blocking is allowed.
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
/// What changes something gives none, but for data of a file that is open and in memory.
#[cfg(feature = "native")]
pub fn at_once<T>(ask: impl FnOnce() -> T) -> Option<T> {
    waiting::without(ask)
}

/// Whether this thread must not wait. A component's never has to hurry.
#[cfg(feature = "native")]
pub(crate) fn is_on() -> bool {
    !waiting::is_allowed()
}

/// Says that what comes may take a while.
///
/// # Errors
/// `would-block` if this thread must not wait. No caller sees the error: there is no answer then.
#[inline]
pub(crate) fn may_wait() -> Result<()> {
    #[cfg(feature = "native")]
    if is_on() {
        return Err(refused());
    }
    Ok(())
}

/// The lock, shared. Others may hold it while they call a layer.
///
/// # Errors
/// As [`may_wait`], if another thread holds it exclusively.
pub(crate) fn read<T: ?Sized>(lock: &RwLock<T>) -> Result<RwLockReadGuard<'_, T>> {
    #[cfg(feature = "native")]
    if is_on() {
        return lock.try_read().ok_or_else(refused);
    }
    Ok(lock.read())
}

/// Whether there will be no answer, whatever the call says.
pub(crate) fn gave_up() -> bool {
    #[cfg(feature = "native")]
    return waiting::gave_up();
    #[cfg(not(feature = "native"))]
    false
}

#[cfg(feature = "native")]
#[cold]
fn refused() -> Error {
    waiting::give_up();
    Errno::WouldBlock.into()
}
