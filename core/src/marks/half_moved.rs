//! Moves by a copy that failed and could not be taken back at once.
//!
//! Lock order: `recovering`, which is held across calls of the tree; then the work folder's state.

use super::by_copy::recover;
use super::work::Folder;
use crate::error::Result;
use crate::plain::Plain;
use crate::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a move failed, and what was removed could not be put back: on a full disk, say.
///
/// It is put back before the next change: a name that a guest removes meanwhile would come back with the
/// others. And before the next directory is opened: it may be one of those that are missing.
#[derive(Debug, Default)]
pub(super) struct HalfMoved {
    is: AtomicBool,
    /// Held while it is put back.
    recovering: Mutex<()>,
}

impl HalfMoved {
    pub(super) fn note(&self) {
        self.is.store(true, Ordering::Release);
    }

    /// Puts back what a move left out.
    ///
    /// # Errors
    /// Those of the tree: the next change tries again.
    #[inline]
    pub(super) fn end<P: Plain>(
        &self,
        folder: impl FnOnce() -> Result<Arc<Folder<P>>>,
    ) -> Result<()> {
        match self.is.load(Ordering::Acquire) {
            true => self.put_back(&folder()?),
            false => Ok(()),
        }
    }

    #[cold]
    fn put_back<P: Plain>(&self, folder: &Arc<Folder<P>>) -> Result<()> {
        let _recovering = self.recovering.lock();
        if !self.is.load(Ordering::Acquire) {
            return Ok(());
        }
        let work = folder.begin_change()?;
        let site = work.site();
        recover(&site, || site.plain.root())?;
        site.drop_tree()?;
        self.is.store(false, Ordering::Release);
        Ok(())
    }
}
