//! [`Adding`]: a pull in progress, whose blobs are not collected although no image names them yet.

use super::Store;
use super::files::{TEMP, Temp, try_lock};
use super::gc::Prune;
use crate::error::Result;
use rustix::fs::FlockOperation;
use std::time::{Duration, SystemTime};

/// Prevents the collection of blobs that any process adds, or [finds](Store::has), after its creation and
/// before it is dropped. It ends with the process.
pub struct Adding {
    /// An empty temporary file. Its time is that of the creation, and its lock shows that it is in use.
    _file: Temp,
}

impl Store {
    /// Begins to add an image that may take longer than [`Prune::min_age`](super::Prune::min_age). Drop the
    /// result after [`add_image`](Self::add_image).
    ///
    /// # Errors
    /// [`Error::ReadOnlyStore`](crate::Error::ReadOnlyStore), [`Error::NoSpace`](crate::Error::NoSpace),
    /// [`Error::Io`](crate::Error::Io).
    pub fn adding(&self) -> Result<Adding> {
        self.files.check_writable(|| "add an image".to_owned())?;
        // What a process left that was interrupted may be as large as an image. If it cannot be removed now,
        // `prune` reports it.
        let _ = self.remove_remains(&Prune::default());
        let file = self.files.create_temp()?;
        Ok(Adding { _file: file })
    }

    /// The time of the youngest blobs that may be collected: `min_age` before now, or before the oldest work
    /// in progress began.
    pub(super) fn cutoff(&self, min_age: Duration) -> Result<SystemTime> {
        let mut oldest = SystemTime::now();
        for name in self.files.list(TEMP)? {
            let Some(file) = self.files.open_file(&format!("{TEMP}/{name}"))? else {
                continue;
            };
            let is_free = try_lock(&file, FlockOperation::NonBlockingLockExclusive);
            let modified = file.metadata().and_then(|meta| meta.modified());
            if let (Ok(false), Ok(modified)) = (is_free, modified) {
                oldest = oldest.min(modified);
            }
        }
        Ok(oldest
            .checked_sub(min_age)
            .unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

impl std::fmt::Debug for Adding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Adding")
    }
}
