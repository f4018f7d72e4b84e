//! The builder of an overlay.

use super::node::{Node, Number, Position};
use super::{Overlay, Shared};
use crate::budget::Budget;
use crate::cache::{Bound, ClockCache, KeyedCache, WeakMap};
use crate::error::{Errno, Error, Result};
use crate::hash::HashMap;
use crate::identity::IdentityKey;
use crate::layer::erased::{AnyLayer, AnyUpper, Erased};
use crate::layer::{Durability, MemoryLayer, Upper};
use crate::limits::{Limits, MAX_LAYERS};
use crate::meta::{Kind, Timestamp};
use crate::place::mounting::UpperInUse;
use crate::stack::{Lower, LowerStack};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::{Mutex, Rank, RwLock};
use std::sync::Arc;

/// How absolute symbolic links are resolved. Real root filesystems have such links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AbsoluteSymlinks {
    /// Following or reading one fails with `not-permitted`, as WASI demands.
    #[default]
    Refuse,
    /// They are resolved against the mount's root if the call is made on that root: never through a
    /// descriptor of a directory below it, and never into another mount. `..` in a link stays at that root, as
    /// it does in a container. In the path of a call it fails there as ever.
    Root,
}

/// Builds an [`Overlay`].
#[derive(Default)]
#[must_use]
pub struct OverlayBuilder {
    lowers: Vec<Lower>,
    stack: Option<Arc<LowerStack>>,
    upper: Option<Arc<dyn AnyUpper>>,
    /// Whether the builder made the upper, which then ends with the mount.
    is_ephemeral: bool,
    absolute_symlinks: AbsoluteSymlinks,
    volatile: bool,
    read_only: bool,
    obeys_modes: Option<bool>,
    clock: Option<fn() -> Timestamp>,
    limits: Limits,
}

impl OverlayBuilder {
    /// Adds a layer on top of the layers added before.
    pub fn lower(mut self, lower: Lower) -> Self {
        self.lowers.push(lower);
        self
    }

    /// Uses a stack that other overlays share, instead of layers of its own.
    pub fn stack(mut self, stack: Arc<LowerStack>) -> Self {
        self.stack = Some(stack);
        self
    }

    /// Stores changes in `upper`. `label` names it in messages to the embedder.
    pub fn upper(mut self, label: impl Into<String>, upper: impl Upper) -> Self {
        self.upper = Some(Arc::new(Erased::new(label.into(), upper)));
        self.is_ephemeral = false;
        self
    }

    /// Stores changes in a directory of the host, with whiteouts in OCI form. The directory is locked while
    /// it is mounted.
    #[cfg(feature = "dir")]
    pub fn upper_dir(self, label: impl Into<String>, dir: cap_std::fs::Dir) -> Self {
        let label = label.into();
        let plain = crate::plain::HostDir::new(dir, label.clone());
        self.upper(label, crate::whiteouts::Marked::upper(plain))
    }

    /// As [`upper_dir`](Self::upper_dir), for the directory at `path`, which also names it in messages.
    ///
    /// # Errors
    /// Those of opening the directory: `no-entry` if it does not exist.
    #[cfg(feature = "dir")]
    pub fn upper_path(self, path: impl AsRef<std::path::Path>) -> Result<Self> {
        let (label, dir) = crate::plain::dir::open_path(path.as_ref())?;
        Ok(self.upper_dir(label, dir))
    }

    /// Stores changes in memory, up to `max_bytes` of data. They end with the overlay: to inspect them from
    /// outside, or to reuse them, give [`upper`](Self::upper) a [`MemoryLayer`] and keep a clone.
    ///
    /// Only the overlay sees this memory, so renaming a directory of a lower layer copies nothing.
    pub fn upper_memory(self, max_bytes: u64) -> Self {
        let layer = MemoryLayer::for_one_mount(max_bytes);
        let mut builder = self.upper("memory", layer);
        builder.is_ephemeral = true;
        builder
    }

    /// Refuses changes with `read-only`, even if there is an upper.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Never waits for the disk. The state of the upper after a crash of the machine is then undefined; a
    /// crash of the process alone still loses nothing. Without this, a copy-up is on disk before it takes
    /// its name. On a filesystem that may report a full disk only when a file is closed (network and
    /// user-space filesystems), a copy is synced in any case.
    pub fn volatile(mut self, volatile: bool) -> Self {
        self.volatile = volatile;
        self
    }

    /// Sets how absolute symbolic links are resolved.
    pub fn absolute_symlinks(mut self, policy: AbsoluteSymlinks) -> Self {
        self.absolute_symlinks = policy;
        self
    }

    /// Sets whether permission bits apply to the guest as to the owner of a file. By default they do unless
    /// the process is root, as on a plain directory that the process owns.
    pub fn obey_modes(mut self, obey: bool) -> Self {
        self.obeys_modes = Some(obey);
        self
    }

    /// Sets the clock, by default [`Timestamp::now`]: for platforms without one
    /// (`wasm32-unknown-unknown`). The engine reads it where no layer stores the time, such as for
    /// the times of a removed file that is still open.
    pub fn clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets bounds on what guests can make the overlay hold. `open_handles` and `half_read_*` are limits per
    /// guest and have no effect here: the host sets them (`OverlayCtxBuilder::limits`).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Mounts the overlay.
    ///
    /// Blocks for the system calls of a mount. If the upper or a layer is the upper of another overlay of
    /// this process, and all clones of that overlay were dropped, this also waits until the last descriptors
    /// and calls of its guests are gone, for at most 5 seconds. So asynchronous code that mounts an upper
    /// again calls this on a thread that may block (`tokio::task::spawn_blocking`). As long as a clone of the
    /// other `Overlay` exists, this fails with `busy` at once.
    ///
    /// # Errors
    /// `invalid` for too many layers, for both layers and a shared stack, and for no layer at all; `busy`
    /// if another mount uses the upper, and if the upper shares storage with a layer of any overlay of this
    /// process (the same directory, one inside it, one that contains it, or one layer in memory as both);
    /// `mfile` if the process has no descriptor left; any error returned by a layer.
    pub fn build(self) -> Result<Overlay> {
        let stack = match (self.stack, self.lowers) {
            (Some(stack), lowers) if lowers.is_empty() => stack,
            (Some(_), _) => {
                let message = "an overlay has a shared stack or layers of its own, not both";
                return Err(Error::new(Errno::Invalid, message));
            }
            (None, lowers) => LowerStack::new(lowers, &self.limits)?,
        };
        if stack.len() + usize::from(self.upper.is_some()) > MAX_LAYERS {
            let message = format_args!(
                "{} layers and an upper are more than an overlay can have ({MAX_LAYERS})",
                stack.len()
            );
            return Err(Error::new(Errno::Invalid, message));
        }
        if stack.is_empty() && self.upper.is_none() {
            let message = "an overlay needs a layer or an upper";
            return Err(Error::new(Errno::Invalid, message));
        }
        let key = IdentityKey::new();
        let durability = if self.volatile {
            Durability::Volatile
        } else {
            Durability::Durable
        };
        let mut below = stack.root().cloned();
        let mut part = None;
        let mut in_use = match self.upper.as_deref() {
            Some(upper) => Some(UpperInUse::mount(upper, durability)?),
            None => None,
        };
        if let Some(upper) = &self.upper {
            match upper_root(&**upper, &key) {
                Ok((root, opaque)) => {
                    part = Some(root);
                    if opaque {
                        below = None;
                    }
                }
                Err(error) => {
                    if let Err(error) = upper.unmount() {
                        tracing::warn!(%error, "the upper could not be released after a failed mount");
                    }
                    return Err(error);
                }
            }
        }
        let (syncs_copies, keeps_no_order) = match &self.upper {
            Some(upper) if self.volatile => (upper.may_fail_at_close(), false),
            Some(upper) => (true, !upper.keeps_order()),
            None => (false, false),
        };
        let held = match (&mut in_use, &part) {
            // No mount ever waits for an upper that can be mounted only once.
            (Some(in_use), Some(root)) if !self.is_ephemeral => {
                let (device, inode) = root.number();
                Some(in_use.enter(device, inode))
            }
            _ => None,
        };
        let root = Node::new(Kind::Dir, Position::Root, below, part);
        let upper = self
            .upper
            .as_deref()
            .map(|upper| -> &dyn AnyLayer { upper });
        let handles = ClockCache::of_handles(self.limits.kept_handles, upper);
        let shared = Shared {
            stack,
            upper: self.upper,
            root: Arc::new(root),
            tree: RwLock::ranked(Rank::Tree, ()),
            key,
            handles,
            moves: AtomicU64::new(0),
            epochs: super::handle::Epochs::default(),
            objects: Mutex::ranked(Rank::Leaf, WeakMap::default()),
            origins: Mutex::ranked(Rank::Leaf, HashMap::default()),
            removed_dirs: Mutex::ranked(Rank::Leaf, super::RemovedDirs::default()),
            listings: ClockCache::new(Bound::entries(self.limits.kept_listings)),
            recent_dirs: KeyedCache::new(Bound::entries(self.limits.recent_dirs)),
            forgotten: super::sync::Unsynced::default(),
            names: AtomicUsize::new(0),
            names_swept: AtomicUsize::new(0),
            listing_bytes: Budget::new(self.limits.listing_bytes),
            limits: self.limits,
            absolute_symlinks: self.absolute_symlinks,
            volatile: self.volatile,
            syncs_copies,
            keeps_no_order,
            read_only: self.read_only,
            is_ephemeral: self.is_ephemeral,
            obeys_modes: self.obeys_modes.unwrap_or_else(default_obeys_modes),
            written_past: AtomicBool::new(false),
            clock: self.clock.unwrap_or(Timestamp::now),
            closed: AtomicBool::new(false),
            warned: crate::log::Warned::default(),
            in_use,
            changes: RwLock::ranked(Rank::Changes, ()),
        };
        Ok(Overlay {
            _held: held,
            shared: Arc::new(shared),
        })
    }
}

/// The upper's root, and whether it hides all lower layers.
fn upper_root(upper: &dyn AnyUpper, key: &IdentityKey) -> Result<(super::node::UpperPart, bool)> {
    let root = upper.root()?;
    let meta = upper.dir_meta(&root)?;
    let part = super::node::UpperPart {
        number: Number::of((meta.device, meta.inode)),
        identity: key.of(u32::MAX, meta.device, meta.inode),
    };
    Ok((part, upper.is_opaque(&root)?))
}

#[cfg(feature = "dir")]
fn default_obeys_modes() -> bool {
    !rustix::process::geteuid().is_root()
}

#[cfg(not(feature = "dir"))]
fn default_obeys_modes() -> bool {
    false
}
