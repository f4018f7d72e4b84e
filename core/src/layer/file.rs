//! Open files of a layer.

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
    /// Those of the layer.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// [`read_at`](Self::read_at) of at most `length` bytes into a buffer of its own, which a file
    /// that can need not fill with zeroes first.
    ///
    /// # Errors
    /// Those of the layer.
    ///
    /// # Panics
    /// Where there is no room for all of `length`.
    fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let read = self.read_at(&mut buffer, offset)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// What is known of the file now.
    ///
    /// # Errors
    /// Those of the layer.
    fn meta(&self) -> Result<Meta>;

    /// The next stretch at or after `offset` that may hold data; none if only a hole is left.
    ///
    /// # Errors
    /// Those of the layer.
    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let size = self.meta()?.size;
        Ok((offset < size).then_some(offset..size))
    }

    /// Says how the file will be read. A hint, by default ignored.
    ///
    /// # Errors
    /// Those of the layer.
    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let _ = (offset, length, advice); // Named for those who implement it.
        Ok(())
    }

    /// The file as what it is: for a layer of the same kind that can copy from it cheaply, and
    /// for a host that can hand it on ([`File::native_reader`](crate::File::native_reader)).
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
    /// `file-too-large` where `offset + buffer.len()` is more than the layer can hold; those
    /// of the layer.
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize>;

    /// Writes at the end, in one step with finding it.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn append(&self, buffer: &[u8]) -> Result<usize>;

    /// Cuts the file, or extends it with zeroes.
    ///
    /// # Errors
    /// `file-too-large`; those of the layer.
    fn set_size(&self, size: u64) -> Result<()>;

    /// Sets times.
    ///
    /// # Errors
    /// Those of the layer.
    fn set_times(&self, times: SetTimes) -> Result<()>;

    /// Sets the permission bits.
    ///
    /// # Errors
    /// Those of the layer. One that has no such bits succeeds and does nothing.
    fn set_mode(&self, mode: u32) -> Result<()>;

    /// Brings the data to disk, and unless `data_only` everything else about the file.
    ///
    /// # Errors
    /// Those of the layer.
    fn sync(&self, data_only: bool) -> Result<()>;

    /// Copies `range` of `from` to the same place here by a way cheaper than reading and
    /// writing (a reflink, a copy inside the kernel). Returns how many bytes from the start of
    /// `range` are done; the caller copies the rest.
    ///
    /// # Errors
    /// Those that reading and writing would meet too, such as a full disk. That there is no
    /// cheaper way is `Ok(0)`.
    fn copy_from(&self, from: &dyn ReadAt, range: Range<u64>) -> Result<u64> {
        let _ = (from, range); // Named for those who implement it.
        Ok(0)
    }
}
