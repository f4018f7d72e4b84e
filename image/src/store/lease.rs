//! [`Lease`]: a blob that is not collected while it is in use.

use super::files::lock;
use super::{Store, blob_name};
use crate::digest::Digest;
use crate::error::{Error, Result};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use wasi_overlay_core::layer::Advice;
use wasi_overlay_core::tar::Source;

/// An open blob. Until it is dropped, or the process ends, no process collects the blob: it holds a shared
/// lock on the file.
#[derive(Debug)]
pub struct Lease {
    file: File,
    digest: Digest,
}

impl Lease {
    /// The digest of the blob.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Store {
    /// Opens a blob and prevents its collection. `None` if the store does not have it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn lease(&self, digest: &Digest) -> Result<Option<Lease>> {
        let name = blob_name(digest);
        let what = || format!("cannot use {}", self.blob_path(digest).display());
        loop {
            let Some(file) = self.files.open_file(&name)? else {
                return Ok(None);
            };
            lock(&file, FlockOperation::LockShared).map_err(|error| Error::io(what(), error))?;
            let meta = file.metadata().map_err(|error| Error::io(what(), error))?;
            // Collected between the two calls: another may have taken its name since.
            if meta.nlink() > 0 {
                return Ok(Some(Lease {
                    file,
                    digest: *digest,
                }));
            }
        }
    }
}

impl Source for Lease {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> wasi_overlay_core::Result<usize> {
        Source::read_at(&self.file, buffer, offset)
    }

    fn read_vec_at(&self, length: usize, offset: u64) -> wasi_overlay_core::Result<Vec<u8>> {
        Source::read_vec_at(&self.file, length, offset)
    }

    fn size(&self) -> wasi_overlay_core::Result<u64> {
        Source::size(&self.file)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> wasi_overlay_core::Result<()> {
        Source::advise(&self.file, offset, length, advice)
    }
}
