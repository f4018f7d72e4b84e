//! [`Quota`]: the counts of bytes and inodes of a memory layer, and their limits.

use super::entries::Slot;
use super::node::Node;
use crate::error::{Errno, Error, Result};
use crate::layer::Usage;
use crate::log::Warning;
use crate::name::NameBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Estimated bytes of memory of a file besides its data: the node with its counts of references, and its entry in
/// a B-tree that is three quarters full, with a name of 40 bytes.
const BYTES_PER_INODE: u64 =
    (size_of::<Node>() + 16 + (size_of::<NameBuf>() + size_of::<Slot>()) * 4 / 3 + 40) as u64;

/// Counts storage against a limit. The counts order no other memory, so they are relaxed.
///
/// A full layer returns `insufficient-space`, not `quota`: to a guest the layer is a disk, and programs
/// handle a full disk (`ENOSPC`) far more often than a user's quota.
#[derive(Debug)]
pub(super) struct Quota {
    bytes: AtomicU64,
    max_bytes: u64,
    inodes: AtomicU64,
    max_inodes: u64,
}

impl Quota {
    pub(super) fn new(max_bytes: u64, max_inodes: u64) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            max_bytes,
            inodes: AtomicU64::new(0),
            max_inodes,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            bytes: self.bytes.load(Relaxed),
            max_bytes: self.max_bytes,
            inodes: self.inodes.load(Relaxed),
            max_inodes: self.max_inodes,
            bookkeeping: self.inodes.load(Relaxed) * BYTES_PER_INODE,
        }
    }

    pub(super) fn charge_bytes(&self, count: u64) -> Result<()> {
        take(&self.bytes, count, self.max_bytes)
            .map(|_| ())
            .ok_or_else(|| full(self.max_bytes, "bytes"))
    }

    pub(super) fn return_bytes(&self, count: u64) {
        self.bytes.fetch_sub(count, Relaxed);
    }
}

fn take(held: &AtomicU64, count: u64, max: u64) -> Option<u64> {
    held.fetch_update(Relaxed, Relaxed, |held| {
        held.checked_add(count).filter(|&sum| sum <= max)
    })
    .ok()
}

fn full(max: u64, what: &str) -> Error {
    Error::new(
        Errno::InsufficientSpace,
        format_args!("the upper in memory is full: it may hold {max} {what}"),
    )
    .with_remedy(|| {
        "give it more (`--upper memory:SIZE`; `memory=SIZE` of `--mount`; `--tmpfs PATH:size=SIZE`), or keep \
         changes in a directory"
    })
    .with_warning(Warning::FullUpper)
}

/// One inode charged to the quota, returned on drop.
#[derive(Debug)]
pub(super) struct Charge(Arc<Quota>);

impl Charge {
    /// Charges one inode.
    pub(super) fn take(quota: &Arc<Quota>) -> Result<Self> {
        take(&quota.inodes, 1, quota.max_inodes)
            .map(|_| Self(Arc::clone(quota)))
            .ok_or_else(|| full(quota.max_inodes, "files, directories and links"))
    }

    /// Charges one inode even if none is left: for an entry or whiteout that replaces another, whose own
    /// inode is returned once its last handle is gone. If this were refused, nothing could be deleted from
    /// a full layer.
    pub(super) fn force(quota: &Arc<Quota>) -> Self {
        quota.inodes.fetch_add(1, Relaxed);
        Self(Arc::clone(quota))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.inodes.fetch_sub(1, Relaxed);
    }
}
