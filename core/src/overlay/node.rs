//! A file of an overlay that somebody holds open, or that the upper has.
//!
//! What is only in lower layers and not open has no node: it is served from the shared stack.

use super::Shared;
use super::children::DirState;
use crate::at_once;
use crate::error::{Errno, Error, Result};
use crate::layer::WriteAt;
use crate::layer::erased::DirHandle;
use crate::meta::{Identity, Kind, Meta, SetTimes};
use crate::name::NameBuf;
use crate::stack::LowerNode;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, Rank, pause, yield_now};
use std::sync::{Arc, OnceLock};

/// A file of an overlay.
pub(crate) struct Node {
    pub(super) kind: Kind,
    /// Who it is as long as it is only in a lower layer, and after copy-up too, unless it had
    /// several names there. Found out when somebody asks: most who open a file do not.
    first_seen: OnceLock<Identity>,
    /// Where it hangs. Of a file with several names in the upper, one of them.
    /// Guard: its own lock, a leaf; changed under the directory lock of the parent.
    pub(super) position: Mutex<Position>,
    /// Whether `place` is [`Position::Removed`], for who does not want its lock. Set under that.
    removed: AtomicBool,
    /// A directory: what is merged below it, unless it has parted from that. Anything else: what
    /// it is copied up from.
    below: Option<Arc<LowerNode>>,
    /// Whether a directory has parted from what is below. Set under the tree lock, exclusive.
    is_detached: AtomicBool,
    /// What the upper has. Set once, under the directory lock of the parent.
    pub(super) upper: OnceLock<UpperPart>,
    /// The copy lock: who holds it may copy the file up.
    pub(super) copying: Mutex<()>,
    /// Of a directory only.
    pub(super) dir: Option<Box<DirState>>,
    /// Counts changes of what `stat` shows, so that a cached answer can be told to be old.
    pub(super) version: AtomicU64,
    /// Guard: its own lock, below the directory locks.
    pub(super) state: Mutex<State>,
}

/// Where a node hangs.
#[derive(Clone)]
pub(super) enum Position {
    /// It is the root.
    Root,
    /// Under this name in this directory.
    At(Arc<Node>, NameBuf),
    /// It was removed.
    Removed,
}

/// What the upper has of a node.
pub(super) struct UpperPart {
    pub(super) number: Number,
    pub(super) identity: Identity,
}

/// The device and inode number of a file, which change where a directory moves by a copy.
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

/// What changes about a node besides its names. Small, since most nodes have nothing of it: those
/// of lower files that are read.
#[derive(Default)]
pub(super) struct State {
    /// The upper's metadata, and the version of the node when it was read.
    meta: Option<Box<(u64, Meta)>>,
    /// How many files are open on the node.
    pub(super) opens: usize,
    /// The file in the upper, kept from copy-up on while `opens` is not 0: files that were
    /// opened before read and write through it.
    pub(super) copied: Option<Arc<dyn WriteAt>>,
    /// How many names a file of the upper has, once somebody counted. Only we change it.
    pub(super) names: Option<u64>,
    /// Times set through a handle, of a file that is removed and was only in a lower layer: ours, or the
    /// image's of the kernel's overlayfs.
    pub(super) ghost_times: Option<Box<SetTimes>>,
}

impl Node {
    /// A node that is only in lower layers.
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

    /// A directory: what is merged below it. Anything else: what it is copied up from.
    pub(super) fn below(&self) -> Option<&Arc<LowerNode>> {
        match self.is_detached.load(Ordering::Acquire) {
            true => None,
            false => self.below.as_ref(),
        }
    }

    /// Whether it was only in a lower layer once.
    pub(super) fn was_lower(&self) -> bool {
        self.below.is_some()
    }

    /// Says that nothing is merged below a directory any more: all its names are its own.
    ///
    /// Preconditions: the tree lock is held, exclusive.
    pub(super) fn detach_lower_locked(&self) {
        self.is_detached.store(true, Ordering::Release);
    }

    /// Puts the node elsewhere.
    pub(super) fn set_position(&self, position: Position) {
        // Whoever held the last reference to the parent takes the lock of its place: not below ours.
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

    /// `no-entry` for a directory that was removed.
    pub(super) fn check_not_removed(&self) -> Result<()> {
        match self.is_removed() {
            true => Err(Errno::NoEntry.into()),
            false => Ok(()),
        }
    }

    pub(super) fn parent(&self) -> Option<(Arc<Node>, NameBuf)> {
        match &*self.position.lock() {
            Position::At(parent, name) => Some((Arc::clone(parent), name.clone())),
            Position::Root | Position::Removed => None,
        }
    }

    /// The directory that it is in.
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

    /// Who it is, or was, as long as it is only in a lower layer.
    pub(super) fn first_seen(&self, shared: &Shared) -> Identity {
        *self.first_seen.get_or_init(|| match &self.below {
            Some(below) => shared.identity_of_lower(below),
            // The root of nothing.
            None => shared.key.of(0, 0, 0),
        })
    }

    /// Says that what `stat` shows changed.
    pub(super) fn touch(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Keeps what `stat` shows, read when the node had `version`, unless it changed meanwhile.
    pub(super) fn cache_meta(&self, version: u64, meta: Meta) {
        let mut state = self.state.lock();
        if self.version.load(Ordering::Acquire) == version {
            state.set_meta(version, meta);
        }
    }

    /// Says that a file has a name more. A [`remember`](Self::remember) of before is either seen
    /// here or sees the new version, so no old number stays in what `stat` shows.
    pub(super) fn link_added(&self) {
        self.touch();
        let mut state = self.state.lock();
        state.meta = None;
        state.names = state.names.map(|names| names.saturating_add(1));
    }

    /// As [`link_added`](Self::link_added), of a name less. Returns how many are left, where
    /// there were `before` if nobody counted yet.
    pub(super) fn link_removed(&self, before: u64) -> u64 {
        self.touch();
        let mut state = self.state.lock();
        state.meta = None;
        let left = state.names.unwrap_or(before).saturating_sub(1);
        state.names = Some(left);
        left
    }

    /// Says that names in this directory changed.
    pub(super) fn names_changed(&self) {
        if let Some(dir) = &self.dir {
            dir.listing.clear();
            dir.unsynced.mark();
        }
        self.touch();
    }

    /// The handle of the directory in the upper.
    ///
    /// Handles are evicted, so those of the ancestors may have to be opened first: up to the
    /// nearest that is kept, then down again, in two loops. Meanwhile a rename may put another
    /// directory in the way; then the walk begins anew. What is found is the right one if its
    /// inode number says so, and also if nothing moved: on some platforms that number changes
    /// with the directory's content.
    pub(super) fn handle(self: &Arc<Self>, shared: &Shared) -> Result<Arc<DirHandle>> {
        const TRIES: usize = 1024;
        const SPINS: u32 = 16;
        let (mut tries, mut last, mut waits) = (0, 0, 0_u32);
        while tries < TRIES {
            if let Some(handle) = self.try_handle(shared)? {
                return Ok(handle);
            }
            at_once::may_wait()?;
            // A rename is under way: it moved the directory, and has not said where yet. Its locks
            // cannot be waited for here, since the caller may hold some. It can, however long it
            // takes: what moves a directory waits for nobody then.
            let moves = shared.moves.load(Ordering::SeqCst);
            if moves.is_multiple_of(2) || moves != last {
                tries += 1;
                last = moves;
            }
            // A move by a copy may take seconds.
            waits += 1;
            match waits < SPINS || shared.copies().is_multiple_of(2) {
                true => yield_now(),
                false => pause(),
            }
        }
        Err(Error::new(
            Errno::Busy,
            "a directory moved at every attempt to open it",
        ))
    }

    fn try_handle(self: &Arc<Self>, shared: &Shared) -> Result<Option<Arc<DirHandle>>> {
        let upper = shared.upper_to_read()?;
        let moves = shared.moves.load(Ordering::SeqCst);
        let copies = shared.copies();
        let mut missing = Vec::new();
        let mut node = Arc::clone(self);
        let mut handle = loop {
            if let Some(handle) = node.dir()?.handle.get() {
                break handle;
            }
            let position = node.position.lock().clone();
            match position {
                Position::Root => {
                    let slot = node.dir()?.handle.slot();
                    break shared.handles.get(slot, || upper.root())?;
                }
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
            // One that was removed and made anew is another, too: then the node is dead.
            let stood_still = || {
                let now = shared.moves.load(Ordering::SeqCst);
                now == moves && moves.is_multiple_of(2) && !node.is_removed()
            };
            if (meta.device, meta.inode) != part.number() && !stood_still() {
                return Ok(None);
            }
            handle = Arc::new(opened);
            if copies.is_multiple_of(2) {
                handle = shared.handles.put(node.dir()?.handle.slot(), handle, 1);
                if shared.copies() != copies {
                    // It may be kept for a directory that was moved by a copy since.
                    shared.handles.clear();
                }
            }
        }
        Ok(Some(handle))
    }

    pub(super) fn upper_part(&self) -> Result<&UpperPart> {
        self.upper.get().ok_or_else(|| {
            debug_assert!(
                false,
                "a directory is asked of the upper before it is there"
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

    /// Keeps the upper's metadata, read when the node had `version`.
    pub(super) fn set_meta(&mut self, version: u64, meta: Meta) {
        match &mut self.meta {
            Some(kept) => **kept = (version, meta),
            None => self.meta = Some(Box::new((version, meta))),
        }
    }
}

/// A node holds its parents: a chain of them is let go in a loop, however deep it is.
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
