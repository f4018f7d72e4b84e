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
//! Builds with debug assertions check it at every lock (`sync::rank`), and `proof/tests/schedules` tries
//! the orders in which threads can meet there.
//!
//! `tree` exclusive excludes every other holder of two directory locks, so rename takes its own
//! in any order. No lock is held while guest code runs, or across an `.await`: the engine calls
//! nothing but layers.

mod at_name;
mod builder;
mod by_copy;
mod children;
mod components;
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
mod handle;
mod identities;
mod link;
mod list;
mod lookup;
mod materialize;
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
pub(crate) use file::OverlayFile;

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
use handle::Epochs;
use node::{Node, Position};
use removed::RemovedDirs;
use std::fmt;
use std::sync::Arc;

/// Estimated bytes of memory of a name in the table of a directory: its node with its counts of references, and
/// its slot in a hash table that is three quarters full, twice with a name of 40 bytes.
const BYTES_PER_NAME: u64 =
    (size_of::<Node>() + 16 + (size_of::<(NameBuf, children::Child)>() + 1) * 4 / 3 + 2 * 40)
        as u64;

/// A mounted overlay. A clone is the same overlay.
///
/// ```
/// use wasi_overlay_core::{Lower, Overlay, layer::MemoryLayer};
/// # fn main() -> wasi_overlay_core::Result<()> {
/// let base = MemoryLayer::build().file("etc/motd", b"welcome\n").finish()?;
/// let overlay = Overlay::builder()
///     .lower(Lower::new("base", base)) // or Lower::path("rootfs")?
///     .upper_memory(64 << 20) // bytes, or upper_path("changes")?
///     .build()?;
/// let root = overlay.root();
/// root.write("etc/motd", b"changed\n")?;
/// assert_eq!(root.read("etc/motd", 64)?, b"changed\n");
/// overlay.close()?;
/// # Ok(())
/// # }
/// ```
///
/// The mount ends with [`close`](Self::close), or when the last clone and the last descriptor are
/// dropped. A call that a thread is still making holds a descriptor.
///
/// # Dropping
/// The last drop ends the mount on its own thread, with the system calls of an unmount. If the tree holds
/// more than a few hundred files in memory, a background thread frees them, unless a million files already
/// wait for that thread. Mounting a directory upper again waits for the end of the mount
/// ([`build`](OverlayBuilder::build)). A drop can only log a failure; `close` returns it.
#[derive(Clone)]
pub struct Overlay {
    /// Dropped before `shared`, so that a new mount of the upper knows that this one is about to end.
    _held: Option<Arc<Held>>,
    shared: Arc<Shared>,
}

/// State that all descriptors of an overlay share.
pub(crate) struct Shared {
    stack: Arc<LowerStack>,
    upper: Option<Arc<dyn AnyUpper>>,
    root: Arc<Node>,
    /// The tree lock: see the module.
    tree: RwLock<()>,
    key: IdentityKey,
    /// Handles of the upper's directories.
    handles: ClockCache,
    /// Incremented when a move of a directory begins and when it ends: odd during a move.
    moves: AtomicU64,
    /// Tells whether a cached handle is outdated.
    epochs: Epochs,
    /// Files of the upper with several names, by device and inode, so that all names find one
    /// node. Guard: its own lock, a leaf.
    objects: Mutex<WeakMap<(u64, u64), Node>>,
    /// Identities that files of the upper had before they were copied up, by device and inode. An entry
    /// is removed with the file's last name. Guard: its own lock, a leaf.
    origins: Mutex<HashMap<(u64, u64), Identity>>,
    /// Guard: its own lock, a leaf.
    removed_dirs: Mutex<RemovedDirs>,
    /// Listings of directories, in [`DirState::listing`](children::DirState).
    listings: ClockCache,
    /// Nodes of lower directories in which something was opened recently, by [`LowerNode::address`]. The
    /// cache may be all that holds such a node, and a program opens files in few directories at a time. A
    /// node keeps the table and the listing of its directory. An address is unique while its node is cached.
    recent_dirs: KeyedCache<usize, Node>,
    /// Directories whose nodes were dropped before their names were synced to disk.
    forgotten: sync::Unsynced,
    /// Approximate numbers of names: those added to the tables of directories since the last sweep, and
    /// those that the last sweep left.
    names: AtomicUsize,
    names_swept: AtomicUsize,
    /// Bytes that listings may hold: `Limits::listing_bytes`.
    listing_bytes: Budget,
    limits: Limits,
    absolute_symlinks: AbsoluteSymlinks,
    /// Whether the system decides when data reaches the disk.
    volatile: bool,
    /// Whether a copy is synced before it is published, so that it is whole after a crash of the machine,
    /// or to detect an error that the upper reports only when a file is closed.
    syncs_copies: bool,
    /// Whether a crash of the machine may lose a change of names but keep a later one. Then names are
    /// synced before a rename that relies on them. Never set for a volatile upper.
    keeps_no_order: bool,
    /// Whether the upper ends with the mount and only this overlay ever reads it, because the builder made it
    /// ([`OverlayBuilder::upper_memory`]). Then a rename of a directory copies nothing: the node remembers
    /// the lower directory that the moved directory merges with, which the upper alone does not record.
    is_ephemeral: bool,
    /// Whether changes are refused though there is an upper.
    read_only: bool,
    /// Whether permission bits are enforced: by default, unless the process is root.
    obeys_modes: bool,
    /// Whether a native handle was handed out, through which the host writes without the engine's
    /// knowledge. Then cached metadata of a file may be stale. Never unset, since a handle may outlive its
    /// file.
    written_past: AtomicBool,
    /// Returns the current time.
    clock: fn() -> Timestamp,
    closed: AtomicBool,
    /// Kinds of failure for which a warning was logged.
    warned: Warned,
    in_use: Option<UpperInUse>,
    /// Held shared by calls that change the upper without the tree lock, so that `close` waits for
    /// them. The first lock in the order.
    changes: RwLock<()>,
}

/// A change of the upper in progress: `close` waits until it is dropped.
struct Changing<'a> {
    _changes: crate::sync::RwLockReadGuard<'a, ()>,
}

impl Shared {
    /// The upper, for reading: also after the mount was closed.
    ///
    /// # Errors
    /// `read-only` if there is none.
    fn upper_to_read(&self) -> Result<&dyn AnyUpper> {
        self.upper.as_deref().ok_or_else(|| Errno::ReadOnly.into())
    }

    /// The upper, for changes. A change of names calls this with the tree lock held: `close` takes that
    /// lock before it releases the upper, so a change that had to wait for `close` fails here.
    ///
    /// # Errors
    /// `read-only` if there is none; `io` after the mount was closed.
    fn upper(&self) -> Result<&dyn AnyUpper> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(Errno::Io, "the overlay was closed"));
        }
        self.upper_to_read()
    }

    /// Checks that this thread may call a file of the upper.
    ///
    /// # Errors
    /// `would-block` if the call may take a while, and this thread must not wait.
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

    /// The approximate number of files that the overlay keeps in memory.
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
        // Checked with the lock held: from here on, `close` waits.
        self.upper()?;
        Ok(changing)
    }

    /// Ends the mount, once. A second call waits until the first has ended it.
    fn close(&self) -> Result<()> {
        let Some(upper) = &self.upper else {
            return Ok(());
        };
        let is_first = !self.closed.swap(true, Ordering::AcqRel);
        // Wait until no change is in progress, then release the upper.
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

/// Ends the mount. The tree in memory is freed here or [by a background thread](freeing).
impl Drop for Shared {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the upper could not be closed cleanly; it is repaired at the next mount");
        }
        let tree = freeing::UnmountedTree::of(Arc::clone(&self.root));
        tree.free(self.kept_files(), || {
            // An upper on disk is dropped here, by this thread.
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

    /// Syncs all changes to disk.
    ///
    /// # Errors
    /// Any error returned by the upper.
    pub fn sync(&self) -> Result<()> {
        match self.shared.upper {
            Some(_) => self.shared.upper()?.sync_all(),
            None => Ok(()),
        }
    }

    /// How much the upper holds, and its quota. None if it has no quota of its own. The bookkeeping includes
    /// what this overlay keeps for its [names](Self::kept_names).
    pub fn usage(&self) -> Option<Usage> {
        let mut usage = self.shared.upper.as_ref()?.usage()?;
        let names = self.shared.kept_names() as u64;
        usage.bookkeeping =
            (usage.bookkeeping).saturating_add(names.saturating_mul(BYTES_PER_NAME));
        Some(usage)
    }

    /// An upper bound on the number of names that the overlay keeps in memory: names of its upper, and of
    /// lower files that were opened. Unused ones are dropped each time [`Limits::kept_nodes`] were added,
    /// except the names of an upper in memory.
    pub fn kept_names(&self) -> usize {
        self.shared.kept_names()
    }

    /// Ends the mount: removes staged files and releases the upper. The tree can still be read through
    /// open descriptors and from the [root](Self::root), so that an embedder can inspect what a guest
    /// wrote; every change fails with `io`.
    ///
    /// Reads are correct until something else changes the upper, such as another mount of it. After that
    /// their results are undefined, as for a lower layer that changes.
    ///
    /// Waits for changes that other threads are making, such as a copy-up or a write of a cancelled guest:
    /// after this returns, nothing changes the upper. In asynchronous code use `wasi_overlay::close_async`.
    ///
    /// # Errors
    /// Any error returned by the upper; the mount has ended in any case.
    pub fn close(&self) -> Result<()> {
        self.shared.close()
    }

    /// Whether the mount was [closed](Self::close). A mount without an upper has nothing to release, and
    /// is never closed.
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

/// The path of `node` from the mount's root, for the embedder's log. None after its removal.
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
