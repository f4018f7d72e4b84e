//! The merge: a lower stack and an optional upper as one tree.
//!
//! # Invariants
//! - Lower layers never change.
//! - [`Node::upper`] is set once and never unset. A node is in the upper only if its ancestors are.
//! - A file has one node as long as anybody holds it, whatever its names. In its directory's
//!   `children` a name that the upper has leads to that node.
//! - A call acts on the file that its walk found, or walks again.
//! - Nothing appears at its final name before it is whole.
//! - What a guest saw of a file's identity does not change while the overlay is mounted.
//! - "Exists below" is asked of the lower stack at the time of a change, never read off a node.
//!
//! # Lock order
//! ```text
//! Shared::changes           shared: copy up, change data; exclusive: close
//! └─ Node::copying          held while one file is copied up; then those of its ancestors, one at a time
//!    └─ Shared::tree        shared: change names in one directory; exclusive: rename, link, close
//!       └─ DirState::names  exclusive: change names; shared: ask the upper, list. Parent before child
//!          ├─ DirState::children     never held while a layer is called
//!          ├─ Node::state            never held while a layer is called
//!          └─ leaves: Node::position, Shared::{objects, origins, removed_dirs}, the locks of the caches
//! ```
//! Builds with debug assertions check it at every lock (`sync::rank`), and `tests/schedules` tries
//! the orders in which threads can meet there.
//!
//! `tree` exclusive excludes every other holder of two directory locks, so rename takes its own
//! in any order. No lock is held while guest code runs, or across an `.await`: the engine calls
//! nothing but layers.

mod builder;
mod by_copy;
mod children;
mod copy_data;
mod copy_tree;
mod copy_up;
mod create;
mod depth;
mod dir;
mod explain;
mod fast_walk;
mod file;
mod forget;
mod freeing;
mod link;
mod list;
mod lookup;
mod node;
mod open;
mod readlink;
mod remove;
mod removed;
mod rename;
mod resolve;
mod stat;
mod sync;
#[cfg(test)]
mod tests;
mod xattr;

pub use builder::{AbsoluteSymlinks, OverlayBuilder};
pub use dir::OverlayDir;
pub use file::OverlayFile;

use crate::at_once;
use crate::budget::Budget;
use crate::cache::{ClockCache, KeyedCache, WeakMap};
use crate::error::{Errno, Error, Result};
use crate::hash::HashMap;
use crate::identity::IdentityKey;
use crate::layer::Usage;
use crate::layer::erased::AnyUpper;
use crate::limits::Limits;
use crate::log::Warned;
use crate::meta::{Identity, Timestamp};
use crate::name::NameBuf;
use crate::place::mounting::{Held, UpperInUse};
use crate::stack::LowerStack;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, RwLock};
use node::{Node, Position};
use removed::RemovedDirs;
use std::fmt;
use std::sync::Arc;

/// A mounted overlay. A clone is the same overlay.
///
/// The mount ends with [`close`](Self::close), or when the last clone and the last descriptor are
/// dropped. A call that a thread is still making holds a descriptor.
///
/// # Dropping
/// The last drop ends the mount where it happens, by the system calls of an unmount. What is kept of the
/// tree in memory is freed by a thread of the process if it is more than a few hundred files, unless a
/// million of them wait for that already. Mounting a directory upper again waits for the end of the mount
/// ([`build`](OverlayBuilder::build)). A failure can only be logged; `close` returns it.
#[derive(Clone)]
pub struct Overlay {
    /// Dropped before `shared`: then a drop that takes time is known to be under way.
    _held: Option<Arc<Held>>,
    shared: Arc<Shared>,
}

/// What all descriptors of an overlay share.
pub(crate) struct Shared {
    stack: Arc<LowerStack>,
    upper: Option<Arc<dyn AnyUpper>>,
    root: Arc<Node>,
    /// The tree lock: see the module.
    tree: RwLock<()>,
    key: IdentityKey,
    /// Handles of the upper's directories.
    handles: ClockCache,
    /// Counts when a directory begins to move and when it has moved: odd while one does.
    moves: AtomicU64,
    /// Counts when a move by a copy begins and ends: odd while there is one. A handle that was opened
    /// meanwhile may be of the directory of before.
    copies: AtomicU64,
    /// Files of the upper with several names, by device and inode, so that all names find one
    /// node. Guard: its own lock, a leaf.
    objects: Mutex<WeakMap<(u64, u64), Node>>,
    /// Who a file of the upper was before it was copied up, by device and inode. Removed with
    /// the file's last name. Guard: its own lock, a leaf.
    origins: Mutex<HashMap<(u64, u64), Identity>>,
    /// Guard: its own lock, a leaf.
    removed_dirs: Mutex<RemovedDirs>,
    /// Listings of directories, in [`DirState::listing`](children::DirState).
    listings: ClockCache,
    /// Nodes of lower directories in which something was opened lately, by [`LowerNode::address`]: nothing
    /// else may hold such a node, and a program opens files in few directories at a time. A node keeps the
    /// table and the listing of its directory. An address is unique while the node over it is cached.
    recent_dirs: KeyedCache<usize, Node>,
    /// Directories whose nodes were forgotten before their names were brought to disk.
    forgotten: sync::Unsynced,
    /// About how many names the directories were given to keep since they were last swept, and how many
    /// they kept then.
    names: AtomicUsize,
    names_swept: AtomicUsize,
    /// What listings may hold: `Limits::listing_bytes`.
    listing_bytes: Budget,
    limits: Limits,
    absolute_symlinks: AbsoluteSymlinks,
    /// Whether to leave it to the system when data reaches the disk.
    volatile: bool,
    /// Whether a copy is synced before it is published: so that a crash of the machine shows it whole,
    /// or to learn of an error that the upper reports only when a file is closed.
    syncs_copies: bool,
    /// Whether a crash of the machine may keep a change of names and lose an earlier one, so that names
    /// are synced before a rename that relies on them. Never on a volatile upper.
    keeps_no_order: bool,
    /// Whether the upper ends with the mount and nothing but this overlay ever reads it: the builder made it
    /// ([`OverlayBuilder::upper_memory`]). Then a rename need not write what memory can hold: a moved
    /// directory still shows its lower directory, which the upper alone does not have.
    is_ephemeral: bool,
    /// Whether changes are refused though there is an upper.
    read_only: bool,
    /// Whether permission bits bind us: not root.
    obeys_modes: bool,
    /// Whether a handle that writes past us was given out: then what is known of a file's data
    /// may be old. Never unset, since a handle may outlive the file that it was asked of.
    written_past: AtomicBool,
    /// What time it is.
    clock: fn() -> Timestamp,
    closed: AtomicBool,
    /// Kinds of failure that were warned of.
    warned: Warned,
    in_use: Option<UpperInUse>,
    /// Held shared by calls that change the upper without the tree lock, so that a close waits for
    /// them. Guard: its own lock, the first in the order.
    changes: RwLock<()>,
}

/// A change of the upper for which a close waits.
struct Changing<'a> {
    _changes: crate::sync::RwLockReadGuard<'a, ()>,
}

impl Shared {
    /// The upper, to read it: also after the mount was closed.
    ///
    /// # Errors
    /// `read-only` where there is none.
    fn upper_to_read(&self) -> Result<&dyn AnyUpper> {
        self.upper.as_deref().ok_or_else(|| Errno::ReadOnly.into())
    }

    /// The upper, to change it. A change of names asks with the tree lock held: `close` takes that
    /// before it gives the upper back, so a change that had to wait for it does not go on.
    ///
    /// # Errors
    /// `read-only` where there is none; `io` after the mount was closed.
    fn upper(&self) -> Result<&dyn AnyUpper> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(Errno::Io, "the overlay was closed"));
        }
        self.upper_to_read()
    }

    /// Says that what comes calls a file of the upper.
    ///
    /// # Errors
    /// `would-block` if that may take a while, and this thread must not wait.
    fn check_may_call_upper(&self) -> Result<()> {
        if at_once::is_on()
            && !self
                .upper
                .as_ref()
                .is_some_and(|upper| upper.is_in_memory())
        {
            return at_once::may_wait();
        }
        Ok(())
    }

    /// How often a move by a copy began or ended.
    fn copies(&self) -> u64 {
        self.copies.load(Ordering::SeqCst)
    }

    /// About how many files the overlay keeps in memory.
    fn kept_files(&self) -> usize {
        let usage = match &self.upper {
            Some(upper) if self.is_ephemeral => upper.usage(),
            Some(_) | None => None,
        };
        let stored = usage.map_or(0, |usage| {
            usize::try_from(usage.inodes).unwrap_or(usize::MAX)
        });
        self.kept_names().saturating_add(stored)
    }

    /// Whether changes are refused.
    fn is_read_only(&self) -> bool {
        self.upper.is_none() || self.read_only
    }

    /// Begins a change of the upper that is made without the tree lock.
    ///
    /// # Errors
    /// As [`upper`](Self::upper).
    fn begin_change(&self) -> Result<Changing<'_>> {
        self.check_may_call_upper()?;
        let changing = Changing {
            _changes: at_once::read(&self.changes)?,
        };
        // Only now: after this, a close waits.
        self.upper()?;
        Ok(changing)
    }

    /// Ends the mount, once. A second call waits until the first has ended it.
    fn close(&self) -> Result<()> {
        let Some(upper) = &self.upper else {
            return Ok(());
        };
        let is_first = !self.closed.swap(true, Ordering::AcqRel);
        // No change is under way when the upper is given away.
        let _changes = self.changes.write();
        let _tree = self.tree.write();
        if !is_first {
            return Ok(());
        }
        let unmounted = upper.unmount();
        if let Some(in_use) = &self.in_use {
            in_use.release();
        }
        unmounted
    }
}

/// The mount ends here; what was kept is freed here or [later](freeing).
impl Drop for Shared {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the upper could not be closed cleanly; the next mount mends it");
        }
        let tree = freeing::UnmountedTree::of(Arc::clone(&self.root));
        tree.free(self.kept_files(), || {
            // A tree on a disk is given back now.
            self.is_ephemeral.then(|| self.upper.take()).flatten()
        });
    }
}

impl Overlay {
    /// Begins an overlay.
    pub fn builder() -> OverlayBuilder {
        OverlayBuilder::default()
    }

    pub(crate) fn root_dir(&self, read_only: bool) -> OverlayDir {
        let read_only = read_only || self.shared.is_read_only();
        OverlayDir::new(&self.shared, &self.shared.root, read_only)
    }

    /// Brings all changes to disk.
    ///
    /// # Errors
    /// Those of the upper.
    pub fn sync(&self) -> Result<()> {
        match self.shared.upper {
            Some(_) => self.shared.upper()?.sync_all(),
            None => Ok(()),
        }
    }

    /// How much the upper holds, against its quota; none where it has no quota of its own.
    pub fn usage(&self) -> Option<Usage> {
        self.shared.upper.as_ref()?.usage()
    }

    /// Names that the overlay keeps something of in memory, at most: those of its upper, and of lower
    /// files that were opened. What is not in use is forgotten when [`Limits::kept_nodes`] were added; the
    /// names of an upper in memory are not.
    pub fn kept_names(&self) -> usize {
        self.shared.kept_names()
    }

    /// Ends the mount: what was staged is removed and the upper is given back. The tree can be read
    /// as before, by descriptors that are open and from the [root](Self::root), so that an embedder
    /// can look at what a guest wrote; every change is `io`.
    ///
    /// What is read is right until something else changes the upper, such as another mount of it:
    /// then it is undefined, as for a lower layer that changes.
    ///
    /// Waits for changes that other threads are making, such as a copy-up or a write of a guest that
    /// was cancelled: after this returns, nothing changes the upper. In asynchronous code use
    /// `wasi_overlay::close_async`.
    ///
    /// # Errors
    /// Those of the upper; the mount has ended all the same.
    pub fn close(&self) -> Result<()> {
        self.shared.close()
    }

    /// Whether the mount was [closed](Self::close). One without an upper has nothing to give back,
    /// and is not.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upper = self.shared.upper.as_ref().map(|upper| upper.label());
        f.debug_struct("Overlay")
            .field("lower", &self.shared.stack)
            .field("upper", &upper)
            .finish_non_exhaustive()
    }
}

/// The path of `node` from the mount's root, for the embedder's log; none once it is removed.
fn path_of(node: &Arc<Node>) -> Option<Vec<u8>> {
    let mut names: Vec<NameBuf> = Vec::new();
    let mut node = Arc::clone(node);
    loop {
        let position = node.position.lock().clone();
        match position {
            Position::Root => break,
            Position::Removed => return None,
            Position::At(parent, name) => {
                names.push(name);
                node = parent;
            }
        }
    }
    let names: Vec<_> = names
        .iter()
        .rev()
        .map(|name| name.as_name().as_bytes())
        .collect();
    Some(names.join(&b'/'))
}
