//! [`HalfMoved`]: a flag for a rename by copy that failed and could not be undone at once.
//!
//! Lock order: `recovering`, which is held across calls of the tree; then the work folder's state.

use super::by_copy::recover;
use super::work::Folder;
use crate::error::Result;
use crate::plain::Plain;
use crate::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a rename failed and the removed entries could not be restored, on a full disk for example.
///
/// They are restored before the next change: otherwise a name that a guest removes meanwhile would come
/// back with them. They are also restored before the next open of a directory, which may be a missing one.
#[derive(Debug, Default)]
pub(super) struct HalfMoved {
    is_set: AtomicBool,
    /// Held during the restoration.
    recovering: Mutex<()>,
}

impl HalfMoved {
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
    }

    /// Restores entries that a failed rename removed, if there are any.
    ///
    /// # Errors
    /// Any error returned by the tree: the next change tries again.
    #[inline]
    pub(super) fn restore<P: Plain>(
        &self,
        folder: impl FnOnce() -> Result<Arc<Folder<P>>>,
    ) -> Result<()> {
        if self.is_set.load(Ordering::Acquire) {
            self.restore_locked(&folder()?)
        } else {
            Ok(())
        }
    }

    #[cold]
    fn restore_locked<P: Plain>(&self, folder: &Arc<Folder<P>>) -> Result<()> {
        let _recovering = self.recovering.lock();
        if !self.is_set.load(Ordering::Acquire) {
            return Ok(());
        }
        let work = folder.begin_change()?;
        let folder = work.open_folder();
        recover(&folder, || folder.plain.root())?;
        folder.drop_tree()?;
        self.is_set.store(false, Ordering::Release);
        Ok(())
    }
}
