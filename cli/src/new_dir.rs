//! Directories that a run creates, and removes again if it fails before it uses them.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A directory that was just created. Dropping this removes it, unless it was [kept](Self::keep) or is not
/// empty.
#[must_use]
pub(crate) struct NewDir(Option<PathBuf>);

impl NewDir {
    /// Creates the directory at `path`, but not its ancestors.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o755).create(path)?;
        Ok(Self(Some(path.to_owned())))
    }

    /// Keeps the directory.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It stays if it is not empty: something else uses it.
            let _ = std::fs::remove_dir(path);
        }
    }
}
