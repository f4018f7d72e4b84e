//! [`ReadAt`] and [`WriteAt`]: the traits for open files of a layer.

use crate::error::Result;
use crate::meta::{Meta, SetTimes};
use std::any::Any;
use std::ops::Range;

/// A regular file that can be read.
pub trait ReadAt: Send + Sync + 'static {
    /// Reads at `offset` (bytes from the start) into `buffer`; returns how many bytes were
    /// read, 0 only at or past the end or for an empty buffer.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// As [`read_at`](Self::read_at), but returns at most `length` bytes in a new buffer. An implementation
    /// may avoid zeroing the buffer first.
    ///
    /// # Errors
    /// Any error returned by the layer.
    ///
    /// # Panics
    /// If a buffer of `length` bytes cannot be allocated.
    fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let read = self.read_at(&mut buffer, offset)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// The current metadata of the file.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn meta(&self) -> Result<Meta>;

    /// The next range at or after `offset` that may hold data. `None` if only a hole is left.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let size = self.meta()?.size;
        Ok((offset < size).then_some(offset..size))
    }

    /// Advises how the file will be read. A hint, ignored by default.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let _ = (offset, length, advice); // Named for implementers.
        Ok(())
    }

    /// The file as its concrete type: for a layer of the same type that can copy from it cheaply, and
    /// for a host that can pass it on ([`File::native_reader`](crate::File::native_reader)).
    fn native(&self) -> Option<&dyn Any> {
        None
    }
}

/// How a file will be read (`posix_fadvise`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// No advice.
    Normal,
    /// From lower to higher offsets.
    Sequential,
    /// In random order.
    Random,
    /// Soon.
    WillNeed,
    /// Not soon.
    DontNeed,
    /// Once.
    NoReuse,
}

/// A regular file that can be read and written.
pub trait WriteAt: ReadAt {
    /// Writes at `offset`; returns how many bytes were written, 0 only for an empty buffer.
    /// A gap between the old end and `offset` reads as zeroes.
    ///
    /// # Errors
    /// `file-too-large` if `offset + buffer.len()` exceeds the maximum file size of the layer; any error
    /// returned by the layer.
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize>;

    /// Finds the end and writes there, in one atomic step.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn append(&self, buffer: &[u8]) -> Result<usize>;

    /// Truncates the file, or extends it with zeroes.
    ///
    /// # Errors
    /// `file-too-large`; any error returned by the layer.
    fn set_size(&self, size: u64) -> Result<()>;

    /// Sets times.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn set_times(&self, times: SetTimes) -> Result<()>;

    /// Sets the permission bits.
    ///
    /// # Errors
    /// Any error returned by the layer. A layer without permission bits does nothing and succeeds.
    fn set_mode(&self, mode: u32) -> Result<()>;

    /// Syncs the data to disk, and unless `data_only` all metadata.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn sync(&self, data_only: bool) -> Result<()>;

    /// Copies `range` of `from` to the same offset in this file if there is a cheaper way than reading and
    /// writing (a reflink, a copy inside the kernel). Returns the number of bytes copied from the start of
    /// `range`; the caller copies the rest.
    ///
    /// # Errors
    /// Those that reading and writing would return too, such as a full disk. If there is no cheaper way,
    /// it returns `Ok(0)`.
    fn copy_from(&self, from: &dyn ReadAt, range: Range<u64>) -> Result<u64> {
        let _ = (from, range); // Named for implementers.
        Ok(0)
    }
}
