//! [`Source`]: random access to the bytes of an archive.

use crate::error::Result;
use crate::layer::Advice;
#[cfg(feature = "dir")]
use crate::{
    error::{Errno, Error},
    meta::Kind,
    plain::dir::{file, stat},
};
#[cfg(feature = "dir")]
use std::os::fd::AsFd;
use std::sync::Arc;

/// The bytes of an archive: a file, a buffer, a descriptor of WASI.
///
/// Methods may run concurrently. The bytes must not change while a layer uses them: if they do, reads
/// return wrong data or errors, never undefined behaviour.
pub trait Source: Send + Sync + 'static {
    /// Reads at `offset` (bytes from the start) into `buffer`; returns how many bytes were read, 0 only at
    /// or past the end or for an empty buffer.
    ///
    /// # Errors
    /// Any error of the storage.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// As [`read_at`](Self::read_at), but returns at most `length` bytes in a new buffer. An implementation
    /// may avoid zeroing the buffer first.
    ///
    /// # Errors
    /// Any error of the storage.
    fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let read = self.read_at(&mut buffer, offset)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// The number of bytes.
    ///
    /// # Errors
    /// Any error of the storage.
    fn size(&self) -> Result<u64>;

    /// Advises how a range will be read. A hint, ignored by default.
    ///
    /// # Errors
    /// Any error of the storage.
    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let _ = (offset, length, advice); // Named for implementers.
        Ok(())
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        (**self).read_at(buffer, offset)
    }

    fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        (**self).read_vec_at(length, offset)
    }

    fn size(&self) -> Result<u64> {
        (**self).size()
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        (**self).advise(offset, length, advice)
    }
}

impl Source for &'static [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        Ok(copy_at(self, buffer, offset))
    }

    fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }
}

impl Source for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        Ok(copy_at(self, buffer, offset))
    }

    fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }
}

/// A file of the host. Its position is neither used nor moved.
#[cfg(feature = "dir")]
impl Source for std::fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        file::read_at(self, buffer, offset)
    }

    fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        file::read_vec_at(self, length, offset)
    }

    fn size(&self) -> Result<u64> {
        let meta = stat::meta(self.as_fd(), None)?;
        if meta.kind != Kind::File {
            return Err(Error::new(
                Errno::Invalid,
                "it is not a regular file, so it cannot be an archive",
            ));
        }
        Ok(meta.size)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        file::advise(self, offset, length, advice)
    }
}

fn copy_at(bytes: &[u8], buffer: &mut [u8], offset: u64) -> usize {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..))
        .unwrap_or_default();
    let length = rest.len().min(buffer.len());
    buffer[..length].copy_from_slice(&rest[..length]);
    length
}
