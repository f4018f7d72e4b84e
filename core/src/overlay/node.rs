//! Nodes: files of an overlay that are open or that the upper has.
//!
//! A file that is only in lower layers and not open has no node: the shared stack serves it.

use super::Shared;
use super::children::DirState;
use crate::error::{Errno, Error, Result};
use crate::layer::WriteAt;
use crate::meta::{Identity, Kind, Meta, SetTimes};
use crate::name::NameBuf;
use crate::stack::LowerNode;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, Rank};
use std::sync::{Arc, OnceLock};

/// A file of an overlay.
pub(crate) struct Node {
    pub(super) kind: Kind,
    /// The file's identity while it is only in a lower layer, and after copy-up too, unless it had
    /// several names there. Computed on first use: most opens of a file do not need it.
    first_seen: OnceLock<Identity>,
    /// The directory and name of the node. If a file has several names in the upper, one of them.
    /// Guard: its own lock, a leaf; changed under the directory lock of the parent.
    pub(super) position: Mutex<Position>,
    /// Whether `position` is [`Position::Removed`], to read without a lock. Set under that lock.
    removed: AtomicBool,
    /// A directory: what is merged below it, unless it is detached. Any other file: the lower file that it
    /// is copied up from.
    below: Option<Arc<LowerNode>>,
    /// Whether a directory no longer merges with `below`. Set under the tree lock, exclusive.
    is_detached: AtomicBool,
    /// The file in the upper. Set once, under the directory lock of the parent.
    pub(super) upper: OnceLock<UpperPart>,
    /// The copy lock: its holder may copy the file up.
    pub(super) copying: Mutex<()>,
    /// Of a directory only.
    pub(super) dir: Option<Box<DirState>>,
    /// Incremented by each change that `stat` shows, so that a stale cached answer is recognized.
    pub(super) version: AtomicU64,
    /// Guard: its own lock, below the directory locks.
    pub(super) state: Mutex<State>,
}

/// Where a node is in the merged tree.
#[derive(Clone)]
pub(super) enum Position {
    /// The root.
    Root,
    /// Under this name in this directory.
    At(Arc<Node>, NameBuf),
    /// Nowhere: the file was removed.
    Removed,
}

/// The file in the upper of a node.
pub(super) struct UpperPart {
    pub(super) number: Number,
    pub(super) identity: Identity,
}

/// The device and inode number of a file, which change when a directory moves by copying.
pub(super) struct Number(AtomicU64, AtomicU64);

impl Number {
    pub(super) fn of((device, inode): (u64, u64)) -> Self {
        Self(AtomicU64::new(device), AtomicU64::new(inode))
    }
}

impl UpperPart {
    /// Device and inode number.
    pub(super) fn number(&self) -> (u64, u64) {
        let Number(device, inode) = &self.number;
        (
            device.load(Ordering::Relaxed),
            inode.load(Ordering::Relaxed),
        )
    }

    /// Preconditions: the tree lock is held, exclusive.
    pub(super) fn set_number(&self, (device, inode): (u64, u64)) {
        self.number.0.store(device, Ordering::Relaxed);
        self.number.1.store(inode, Ordering::Relaxed);
    }
}

/// Mutable state of a node besides its names. Small, since most nodes are of lower files that are only
/// read, and use none of it.
#[derive(Default)]
pub(super) struct State {
    /// The upper's metadata, and the version of the node when it was read.
    meta: Option<Box<(u64, Meta)>>,
    /// How many open files refer to the node.
    pub(super) opens: usize,
    /// The file in the upper, held open from copy-up on while `opens` is not 0: files that were
    /// opened before the copy-up read and write through it.
    pub(super) copied: Option<Arc<dyn WriteAt>>,
    /// How many names a file of the upper has, once they were counted. Only this overlay changes it.
    pub(super) names: Option<u64>,
    /// Times set through a handle of a removed file that was only in a lower layer: one of this overlay, or
    /// one of the kernel's overlayfs in an image.
    pub(super) ghost_times: Option<Box<SetTimes>>,
}

impl Node {
    /// The node of a file that is only in lower layers.
    #[inline]
    pub(super) fn lower(position: Position, below: &Arc<LowerNode>) -> Self {
        let below = Arc::clone(below);
        Self::new(below.kind(), position, Some(below), None)
    }

    #[inline]
    pub(super) fn new(
        kind: Kind,
        position: Position,
        below: Option<Arc<LowerNode>>,
        upper: Option<UpperPart>,
    ) -> Self {
        Self {
            kind,
            first_seen: OnceLock::new(),
            position: Mutex::ranked(Rank::Leaf, position),
            removed: AtomicBool::new(false),
            below,
            is_detached: AtomicBool::new(false),
            upper: upper.map(OnceLock::from).unwrap_or_default(),
            copying: Mutex::ranked(Rank::Copying, ()),
            dir: (kind == Kind::Dir).then(Box::default),
            version: AtomicU64::new(0),
            state: Mutex::ranked(Rank::State, State::default()),
        }
    }

    pub(super) fn dir(&self) -> Result<&DirState> {
        self.dir
            .as_deref()
            .ok_or_else(|| Errno::NotDirectory.into())
    }

    /// A directory: what is merged below it. Any other file: the lower file that it is copied up from.
    pub(super) fn below(&self) -> Option<&Arc<LowerNode>> {
        if self.is_detached.load(Ordering::Acquire) {
            None
        } else {
            self.below.as_ref()
        }
    }

    /// Whether the node began as a lower file.
    pub(super) fn was_lower(&self) -> bool {
        self.below.is_some()
    }

    /// Whether `lower` is the file that this node began as: the one that was copied up, or that a directory
    /// of the upper merges with.
    pub(super) fn began_as(&self, lower: &LowerNode) -> bool {
        let below = self.below.as_ref();
        below
            .is_some_and(|below| (below.layer(), below.number()) == (lower.layer(), lower.number()))
    }

    /// Detaches a directory from its lower part: from here on nothing is merged below it.
    ///
    /// Preconditions: the tree lock is held, exclusive.
    pub(super) fn detach_lower_locked(&self) {
        self.is_detached.store(true, Ordering::Release);
    }

    /// Changes where the node is.
    pub(super) fn set_position(&self, position: Position) {
        // Dropping the last reference to the old parent takes that parent's `position` lock: release this
        // one first.
        let mut now = self.position.lock();
        let is_removed = matches!(position, Position::Removed);
        let before = std::mem::replace(&mut *now, position);
        self.removed.store(is_removed, Ordering::Release);
        drop(now);
        drop(before);
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// # Errors
    /// `no-entry` if the directory was removed.
    pub(super) fn check_not_removed(&self) -> Result<()> {
        if self.is_removed() {
            Err(Errno::NoEntry.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn parent(&self) -> Option<(Arc<Node>, NameBuf)> {
        match &*self.position.lock() {
            Position::At(parent, name) => Some((Arc::clone(parent), name.clone())),
            Position::Root | Position::Removed => None,
        }
    }

    /// The directory that contains this node.
    pub(super) fn above(&self) -> Option<Arc<Node>> {
        match &*self.position.lock() {
            Position::At(parent, _) => Some(Arc::clone(parent)),
            Position::Root | Position::Removed => None,
        }
    }

    pub(super) fn identity(&self, shared: &Shared) -> Identity {
        match self.upper.get() {
            Some(upper) => upper.identity,
            None => self.first_seen(shared),
        }
    }

    /// The identity that the file has, or had, while it is only in a lower layer.
    pub(super) fn first_seen(&self, shared: &Shared) -> Identity {
        *self.first_seen.get_or_init(|| match &self.below {
            Some(below) => shared.identity_of_lower(below),
            // The root of an overlay without lower layers.
            None => shared.key.of(0, 0, 0),
        })
    }

    /// Invalidates cached metadata, after a change that `stat` shows.
    pub(super) fn touch(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Caches metadata that was read when the node had `version`, unless the node changed since.
    pub(super) fn cache_meta(&self, version: u64, meta: Meta) {
        let mut state = self.state.lock();
        if self.version.load(Ordering::Acquire) == version {
            state.set_meta(version, meta);
        }
    }

    /// Counts a new name of a file. A concurrent [`cache_meta`](Self::cache_meta) either comes before this
    /// and is cleared here, or sees the new version, so `stat` never keeps an old number of links.
    pub(super) fn link_added(&self) {
        self.touch();
        let mut state = self.state.lock();
        state.meta = None;
        state.names = state.names.map(|names| names.saturating_add(1));
    }

    /// As [`link_added`](Self::link_added), for a removed name. Returns how many names are left; `before`
    /// is how many there were, if they were not counted yet.
    pub(super) fn link_removed(&self, before: u64) -> u64 {
        self.touch();
        let mut state = self.state.lock();
        state.meta = None;
        let left = state.names.unwrap_or(before).saturating_sub(1);
        state.names = Some(left);
        left
    }

    /// Invalidates cached state of this directory, after a change of its names.
    pub(super) fn names_changed(&self) {
        if let Some(dir) = &self.dir {
            dir.listing.clear();
            dir.unsynced.mark();
        }
        self.touch();
    }

    pub(super) fn upper_part(&self) -> Result<&UpperPart> {
        self.upper.get().ok_or_else(|| {
            debug_assert!(
                false,
                "the upper part of a directory is used before copy-up"
            );
            Error::new(Errno::Io, "a directory is not in the upper")
        })
    }
}

impl State {
    /// The upper's metadata, and the version of the node when it was read.
    pub(super) fn meta(&self) -> Option<(u64, Meta)> {
        self.meta.as_deref().copied()
    }

    /// Caches the upper's metadata, read when the node had `version`.
    pub(super) fn set_meta(&mut self, version: u64, meta: Meta) {
        match &mut self.meta {
            Some(kept) => **kept = (version, meta),
            None => self.meta = Some(Box::new((version, meta))),
        }
    }
}

/// A node holds its parent: a chain of them is dropped in a loop, since the guest chose its depth.
impl Drop for Node {
    fn drop(&mut self) {
        let mut position = std::mem::replace(self.position.get_mut(), Position::Removed);
        while let Position::At(parent, _) = position {
            position = match Arc::into_inner(parent) {
                Some(mut parent) => std::mem::replace(parent.position.get_mut(), Position::Removed),
                None => return,
            };
        }
    }
}
