//! Names on disk.

use super::Shared;
use super::node::Node;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Shared {
    /// Brings to disk the names that lead to `node`, as far as they changed.
    pub(super) fn sync_names_above(&self, node: &Arc<Node>) -> Result<()> {
        let mut above = node.parent();
        while let Some((dir, _)) = above {
            self.sync_names(&dir)?;
            above = dir.parent();
        }
        Ok(())
    }

    /// Brings to disk the names in `dir`, if they changed since that was last done.
    pub(super) fn sync_names(&self, dir: &Arc<Node>) -> Result<()> {
        let Some(state) = &dir.dir else { return Ok(()) };
        if dir.upper.get().is_none() || !state.dirty.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let synced = dir
            .handle(self)
            .and_then(|handle| self.upper()?.sync_dir(&handle));
        if synced.is_err() {
            state.dirty.store(true, Ordering::Relaxed);
        }
        synced
    }
}
