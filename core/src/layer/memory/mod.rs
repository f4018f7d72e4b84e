//! [`MemoryLayer`]: a layer in memory, as an upper or as a tree built in code.
//!
//! Whiteouts and opaque directories are part of the tree itself, so a change of names is one
//! step under a lock and a mount has nothing to repair. Data is sparse ([`file_data`]), and a quota
//! counts everything that a guest can grow ([`quota`]).
//!
//! There are no users in memory: modes and owners are stored and shown, but never enforced. Reading
//! does not update `accessed`, as on a host mounted `noatime`.
//!
//! # Lock order
//! ```text
//!   Tree::names            the parents of directories: moving and removing them
//!     └─ Body::Dir entries   one at a time without `names`; with it, several in any order
//!          └─ Body::File data
//!               └─ Node::attrs, Body::Dir parent
//! ```
//! No lock is held while a caller's closure runs.

mod attributes;
mod builder;
mod entries;
mod file;
mod file_data;
#[cfg(test)]
mod file_data_tests;
mod node;
mod quota;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use builder::MemoryBuilder;
pub use file::MemoryFile;
pub use write::MemoryStaged;

use crate::error::{Errno, Result};
use crate::layer::{New, Usage};
use crate::meta::Kind;
use crate::place::Place;
use crate::sync::{Mutex, Rank, RwLock};
use entries::Entries;
use file_data::FileData;
use node::{Body, Node};
use quota::{Charge, Quota};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Bytes of data for which [`MemoryLayer::with_capacity`] allows one inode.
///
/// A file with data takes at least one page of this size, so such files use up the bytes first. Only
/// empty files, directories, links and whiteouts can use up the inodes. Each takes a few
/// hundred bytes; with the overlay's node and a name of 255 bytes, up to 1.7 KiB (`tests/exhaustion`).
/// Usual names add about an eighth to the requested memory, the longest two fifths.
const BYTES_PER_INODE: u64 = 4096;

/// Inodes that even the smallest layer has: enough for a tree of directories.
const MIN_INODES: u64 = 1024;

/// The maximum length in bytes of a symbolic link's target, as on Linux (`PATH_MAX` without the final
/// NUL).
const MAX_TARGET: usize = 4095;

/// A tree of files in memory, with a quota.
///
/// Past the quota, calls fail with `insufficient-space`. A clone is the same tree: keep one to
/// inspect what an overlay wrote, to mount it again, or to use it as a layer of other overlays once
/// that overlay is closed. As with an upper in a directory, the overlay always shows this tree on top of
/// the lowers. So renaming a directory of a lower copies up everything in it, which counts against the
/// quota; an upper that ends with its mount
/// ([`OverlayBuilder::upper_memory`](crate::OverlayBuilder::upper_memory)) needs no such copy.
///
/// ```
/// use wasi_overlay_core::layer::{Layer, MemoryLayer};
/// use wasi_overlay_core::Name;
///
/// # fn main() -> wasi_overlay_core::Result<()> {
/// let layer = MemoryLayer::build().file("etc/hosts", b"127.0.0.1 localhost\n").finish()?;
/// let etc = layer.open_dir(&layer.root()?, Name::new(b"etc")?)?;
/// layer.open_file(&etc, Name::new(b"hosts")?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryLayer(Arc<Tree>);

struct Tree {
    root: Arc<Node>,
    quota: Arc<Quota>,
    device: u64,
    /// `None` for a tree of a single overlay, which nothing else can use.
    place: Option<Place>,
    next_inode: AtomicU64,
    mounted: AtomicBool,
    /// Whether it cannot be mounted a second time.
    for_one_mount: bool,
    /// Guards the parents of directories, and lets its holder lock several directories.
    names: Mutex<()>,
}

/// A directory of a [`MemoryLayer`].
#[derive(Clone)]
pub struct MemoryDir(Arc<Node>);

impl MemoryLayer {
    /// An empty tree that holds up to `max_bytes` of data, link targets and extended attributes,
    /// and up to `max_inodes` files, directories, links and whiteouts, its root included.
    ///
    /// Data is counted in pages of 4 KiB.
    pub fn new(max_bytes: u64, max_inodes: u64) -> Self {
        Self::with(max_bytes, max_inodes, false)
    }

    fn with(max_bytes: u64, max_inodes: u64, for_one_mount: bool) -> Self {
        // Outside the range of the host's device numbers, since host directories may be layers too.
        static NEXT_DEVICE: AtomicU64 = AtomicU64::new(1 << 63);
        let device = NEXT_DEVICE.fetch_add(1, Ordering::Relaxed);
        let quota = Arc::new(Quota::new(max_bytes, max_inodes));
        let root = Node::new(1, device, &quota, Charge::force(&quota), empty_dir(false));
        root.attrs.lock().links = 1;
        Self(Arc::new(Tree {
            root: Arc::new(root),
            quota,
            device,
            place: (!for_one_mount).then(Place::unique),
            next_inode: AtomicU64::new(2),
            mounted: AtomicBool::new(false),
            for_one_mount,
            names: Mutex::ranked(Rank::MemoryNames, ()),
        }))
    }

    /// An empty tree that holds up to `max_bytes`, and one inode for every 4 KiB of them, but at
    /// least 1024 inodes.
    pub fn with_capacity(max_bytes: u64) -> Self {
        Self::new(max_bytes, inodes_for(max_bytes))
    }

    /// As [`with_capacity`](Self::with_capacity), for one mount: it cannot be mounted again.
    ///
    /// The overlay must hold the only clone: the content of a renamed directory may not be in this tree.
    pub(crate) fn for_one_mount(max_bytes: u64) -> Self {
        Self::with(max_bytes, inodes_for(max_bytes), true)
    }

    /// Begins a tree that is built in code.
    pub fn build() -> MemoryBuilder {
        MemoryBuilder::new()
    }

    fn usage(&self) -> Usage {
        self.0.quota.usage()
    }

    fn new_node(&self, new: New<'_>) -> Result<Arc<Node>> {
        let quota = &self.0.quota;
        let charge = Charge::take(quota)?;
        let body = match new {
            New::File => Body::File(RwLock::ranked(
                Rank::MemoryData,
                FileData::new(Arc::clone(quota)),
            )),
            New::Dir { opaque } => empty_dir(opaque),
            New::Symlink(target) => {
                if target.is_empty() {
                    return Err(Errno::NoEntry.into());
                }
                if target.len() > MAX_TARGET {
                    return Err(Errno::NameTooLong.into());
                }
                quota.charge_bytes(target.len() as u64)?;
                Body::Symlink(target.into())
            }
        };
        Ok(self.node(charge, body))
    }

    fn new_special(&self, kind: Kind, rdev: u64) -> Result<Arc<Node>> {
        let charge = Charge::take(&self.0.quota)?;
        Ok(self.node(charge, Body::Special { kind, rdev }))
    }

    fn node(&self, charge: Charge, body: Body) -> Arc<Node> {
        let inode = self.0.next_inode.fetch_add(1, Ordering::Relaxed);
        let node = Node::new(inode, self.0.device, &self.0.quota, charge, body);
        Arc::new(node)
    }
}

fn inodes_for(max_bytes: u64) -> u64 {
    (max_bytes / BYTES_PER_INODE).max(MIN_INODES)
}

fn empty_dir(opaque: bool) -> Body {
    Body::Dir {
        entries: RwLock::ranked(Rank::MemoryEntries, Entries::new(opaque)),
        parent: Mutex::ranked(Rank::MemoryLeaf, Weak::new()),
    }
}

impl fmt::Debug for MemoryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLayer")
            .field("device", &self.0.device)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDir")
            .field("inode", &self.0.inode)
            .finish_non_exhaustive()
    }
}
