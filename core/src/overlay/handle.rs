//! Handles of the upper's directories, and the moves that outdate them.
//!
//! Handles are evicted, and opened again by the names that lead to the directory. Most handles stay valid when
//! their directory moves. A move *outdates* handles if the directory is a copy afterwards
//! ([`by_copy`](super::by_copy)), or if the upper's handles do not follow a rename. A cached handle therefore
//! carries the epoch in which it was opened: a thread that is slow to cache one cannot pass an outdated
//! handle on to others.

use super::Shared;
use super::node::{Node, Position};
use crate::at_once;
use crate::error::{Errno, Error, Result};
use crate::layer::erased::DirHandle;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{pause, yield_now};
use std::ops::Deref;
use std::sync::Arc;

/// A handle of a directory in the upper.
pub(super) struct UpperHandle {
    handle: DirHandle,
    /// When it was opened.
    epoch: Epoch,
}

impl Deref for UpperHandle {
    type Target = DirHandle;

    fn deref(&self) -> &DirHandle {
        &self.handle
    }
}

/// How many moves that outdate handles began or ended. Odd during such a move: a handle that is opened then
/// may be of the directory before or after the move, and is not cached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Epoch {
    /// Whether no move was in progress.
    pub(super) fn is_quiet(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// The last epoch in which no move was in progress. Its handles are valid until the move ends.
    fn last_quiet(self) -> Self {
        Self(self.0 & !1)
    }
}

/// The epoch of a mount.
#[derive(Default)]
pub(super) struct Epochs(AtomicU64);

impl Epochs {
    pub(super) fn now(&self) -> Epoch {
        Epoch(self.0.load(Ordering::SeqCst))
    }
}

/// A move that outdates handles, in progress. There is one at a time: the tree lock is held, exclusive.
pub(super) struct Outdating<'a>(&'a Shared);

impl<'a> Outdating<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        shared.epochs.0.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

/// Also after a failure: the directory may have been removed and put back.
impl Drop for Outdating<'_> {
    fn drop(&mut self) {
        self.0.handles.clear();
        self.0.epochs.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Node {
    /// The handle of the directory in the upper.
    ///
    /// Handles are evicted, so those of the ancestors may have to be opened first: one loop goes up to the
    /// nearest cached handle, a second one down again. Meanwhile a rename may put another directory on the
    /// path; then the walk starts over. The directory is the right one if its inode number matches, and
    /// also if nothing moved: on some platforms the number changes with the directory's content.
    ///
    /// During a move by copying, and to a caller that does not hold the directory lock, the handle may be that
    /// of the directory that is being removed.
    pub(super) fn handle(self: &Arc<Self>, shared: &Shared) -> Result<Arc<UpperHandle>> {
        const TRIES: usize = 1024;
        const SPINS: u32 = 16;
        let (mut tries, mut last, mut waits) = (0, 0, 0_u32);
        while tries < TRIES {
            if let Some(handle) = self.try_handle(shared)? {
                return Ok(handle);
            }
            at_once::may_wait()?;
            // A rename is in progress: it moved the directory, and has not updated the nodes yet. This
            // thread cannot wait for the locks of the rename, since the caller may hold some. It can
            // retry, however long the rename takes: during a move, a rename waits for no other thread.
            let moves = shared.moves.load(Ordering::SeqCst);
            if moves.is_multiple_of(2) || moves != last {
                tries += 1;
                last = moves;
            }
            // A move by copying may take seconds.
            waits += 1;
            if waits < SPINS || shared.epochs.now().is_quiet() {
                yield_now();
            } else {
                pause();
            }
        }
        Err(Error::new(
            Errno::Busy,
            "a directory moved at every attempt to open it",
        ))
    }

    fn try_handle(self: &Arc<Self>, shared: &Shared) -> Result<Option<Arc<UpperHandle>>> {
        let upper = shared.upper_to_read()?;
        let moves = shared.moves.load(Ordering::SeqCst);
        let epoch = shared.epochs.now();
        let mut missing = Vec::new();
        let mut node = Arc::clone(self);
        let mut handle = loop {
            if let Some(cached) = node.dir()?.handle.get()
                && cached.epoch == epoch.last_quiet()
            {
                break cached;
            }
            let position = node.position.lock().clone();
            match position {
                // The root does not move.
                Position::Root => break shared.cache_handle(&node, upper.root()?, epoch)?,
                Position::At(parent, name) => {
                    missing.push((node, name));
                    node = parent;
                }
                Position::Removed => return Err(Errno::NoEntry.into()),
            }
        };
        while let Some((node, name)) = missing.pop() {
            let part = node.upper_part()?;
            let opened = match upper.open_dir(&handle, name.as_name()) {
                Ok(opened) => opened,
                Err(error) if matches!(error.errno(), Errno::NoEntry | Errno::NotDirectory) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let meta = upper.dir_meta(&opened)?;
            // A directory that was removed and created again is another one, too: then the node is dead.
            let stood_still = || {
                let now = shared.moves.load(Ordering::SeqCst);
                now == moves && moves.is_multiple_of(2) && !node.is_removed()
            };
            if (meta.device, meta.inode) != part.number() && !stood_still() {
                return Ok(None);
            }
            handle = shared.cache_handle(&node, opened, epoch)?;
        }
        Ok(Some(handle))
    }
}

impl Shared {
    /// Caches the handle of `node`, if no move was in progress in `epoch`, when its opening began.
    fn cache_handle(
        &self,
        node: &Node,
        handle: DirHandle,
        epoch: Epoch,
    ) -> Result<Arc<UpperHandle>> {
        let handle = Arc::new(UpperHandle { handle, epoch });
        if epoch.is_quiet() {
            Ok(self.handles.put(node.dir()?.handle.slot(), handle, 1))
        } else {
            Ok(handle)
        }
    }
}
