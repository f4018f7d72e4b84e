//! Names on disk.

use super::Shared;
use super::dir::OverlayDir;
use super::node::Node;
use crate::error::Result;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Counts changes, and how many of them are known to be on disk.
///
/// A flag would not do: who finds it cleared by another cannot know whether that one is done, and
/// would report changes as safe that are still on their way.
#[derive(Default)]
pub(super) struct Unsynced {
    changes: AtomicU64,
    synced: AtomicU64,
}

impl Unsynced {
    /// Takes note of a change that was made.
    pub(super) fn mark(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    pub(super) fn is_empty(&self) -> bool {
        let changes = self.changes.load(Ordering::Acquire);
        self.synced.load(Ordering::Acquire) >= changes
    }

    /// Calls `sync` if there is anything to bring to disk.
    fn sync_with(&self, sync: impl FnOnce() -> Result<()>) -> Result<()> {
        let changes = self.changes.load(Ordering::Acquire);
        if self.synced.load(Ordering::Acquire) >= changes {
            return Ok(());
        }
        sync()?;
        self.synced.fetch_max(changes, Ordering::Release);
        Ok(())
    }
}

impl OverlayDir {
    /// Names are the data of a directory, so `sync-data` does the same.
    pub(crate) fn sync(&self, _data_only: bool) -> Result<()> {
        if self.shared.volatile || self.node.is_removed() {
            return Ok(());
        }
        self.shared.sync_names(&self.node)?;
        self.shared.sync_names_above(&self.node)
    }
}

impl Shared {
    /// Brings to disk the names that lead to `node`, as far as they changed.
    pub(super) fn sync_names_above(&self, node: &Arc<Node>) -> Result<()> {
        self.forgotten.sync_with(|| self.upper()?.sync_all())?;
        // From the root down: a handle that was evicted is opened from the directory above it, which was
        // the last that was used.
        let mut dirs = Vec::new();
        let mut above = node.above();
        while let Some(dir) = above {
            above = dir.above();
            dirs.push(dir);
        }
        while let Some(dir) = dirs.pop() {
            self.sync_names(&dir)?;
        }
        Ok(())
    }

    /// Brings to disk the names in `dir`, if they changed since that was last done.
    pub(super) fn sync_names(&self, dir: &Arc<Node>) -> Result<()> {
        let Some(state) = &dir.dir else { return Ok(()) };
        if dir.upper.get().is_none() {
            return Ok(());
        }
        state
            .unsynced
            .sync_with(|| self.upper()?.sync_dir(&*dir.handle(self)?))
    }
}
