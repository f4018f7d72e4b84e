//! Syncs of names to disk.

use super::Shared;
use super::dir::OverlayDir;
use super::node::Node;
use crate::error::Result;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Counts of the changes that were made, and of those that are certainly on disk.
///
/// A flag would not suffice: a thread that finds it cleared could not tell whether the thread that cleared
/// it has finished its sync, and would report changes as durable that are not.
#[derive(Default)]
pub(super) struct Unsynced {
    changes: AtomicU64,
    synced: AtomicU64,
}

impl Unsynced {
    /// Records a change that was made.
    pub(super) fn mark(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    pub(super) fn is_empty(&self) -> bool {
        let changes = self.changes.load(Ordering::Acquire);
        self.synced.load(Ordering::Acquire) >= changes
    }

    /// Calls `sync` if any change is not on disk yet.
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
    /// Syncs the directory and the names that lead to it. Names are the data of a directory, so `sync-data`
    /// does the same.
    pub(crate) fn sync(&self, _data_only: bool) -> Result<()> {
        if self.shared.volatile || self.node.is_removed() {
            return Ok(());
        }
        self.shared.sync_names(&self.node)?;
        self.shared.sync_names_above(&self.node)
    }
}

impl Shared {
    /// Syncs the names that lead to `node`, where they changed.
    pub(super) fn sync_names_above(&self, node: &Arc<Node>) -> Result<()> {
        self.forgotten.sync_with(|| self.upper()?.sync_all())?;
        // From the root down: an evicted handle is opened from the directory above it, whose handle was used
        // last.
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

    /// Syncs the names in `dir`, if they changed since the last sync.
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
