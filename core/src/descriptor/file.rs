//! The methods of [`File`]: one for each WASI call on a file.

use super::{File, FileRepr, Named, failed};
#[cfg(feature = "dir")]
use crate::error::Error;
use crate::error::Result;
use crate::layer::Advice;
use crate::meta::{Identity, SetTimes, Stat};
use std::any::Any;

impl File {
    /// Reads at `offset` (bytes from the start); returns how many bytes were read, 0 only at or
    /// past the end or for an empty buffer.
    ///
    /// # Errors
    /// `bad-descriptor` if the file was not opened for reading; those of POSIX `pread`.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let answer = file!(self, file => file.read_at(buffer, offset));
        logged!(self, "read", Named::Nothing, answer)
    }

    /// As [`read_at`](Self::read_at), but returns at most `length` bytes in a new buffer, which need not
    /// be zeroed first.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    ///
    /// # Panics
    /// If a buffer of `length` bytes cannot be allocated: the caller must bound a length that a guest
    /// chose.
    pub fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        let answer = file!(self, file => file.read_vec_at(length, offset));
        logged!(self, "read", Named::Nothing, answer)
    }

    /// Writes at `offset` (bytes from the start); returns how many bytes were written.
    ///
    /// # Errors
    /// `bad-descriptor` if the file was not opened for writing; those of POSIX `pwrite`.
    pub fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let answer = file!(self, file => file.write_at(buffer, offset));
        logged!(self, "write", Named::Nothing, answer)
    }

    /// Writes at the end; returns how many bytes were written.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub fn append(&self, buffer: &[u8]) -> Result<usize> {
        let answer = file!(self, file => file.append(buffer));
        logged!(self, "append", Named::Nothing, answer)
    }

    /// `set-size`.
    ///
    /// # Errors
    /// `read-only`; `invalid` if the file was not opened for writing, as in POSIX `ftruncate`;
    /// `file-too-large`.
    pub fn set_size(&self, size: u64) -> Result<()> {
        let answer = file!(self, file => file.set_size(size));
        logged!(self, "set-size", Named::Nothing, answer)
    }

    /// `stat`.
    ///
    /// # Errors
    /// Any error returned by the layer.
    pub fn stat(&self) -> Result<Stat> {
        let answer = file!(self, file => file.stat());
        logged!(self, "stat", Named::Nothing, answer)
    }

    /// `metadata-hash`.
    ///
    /// # Errors
    /// Any error returned by the layer.
    pub fn identity(&self) -> Result<Identity> {
        let answer = file!(self, file => file.identity());
        logged!(self, "metadata-hash", Named::Nothing, answer)
    }

    /// `set-times`.
    ///
    /// # Errors
    /// Those of POSIX `futimens`; `read-only`.
    pub fn set_times(&self, times: SetTimes) -> Result<()> {
        let answer = change!(file!(self, file => file.set_times(times)));
        logged!(self, "set-times", Named::Nothing, answer)
    }

    /// `sync`, or `sync-data` with `data_only`.
    ///
    /// # Errors
    /// Those of POSIX `fsync`.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        let answer = change!(file!(self, file => file.sync(data_only)));
        logged!(self, "sync", Named::Nothing, answer)
    }

    /// `advise`.
    ///
    /// # Errors
    /// Those of POSIX `posix_fadvise`.
    pub fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let answer = change!(file!(self, file => file.advise(offset, length, advice)));
        logged!(self, "advise", Named::Nothing, answer)
    }

    /// The layer's own handle ([`native`](crate::layer::ReadAt::native)) to the file that reads go to
    /// now, for a host that can pass it on, for example as a stream. `None` where the layer has no such
    /// handle, and on a live mount.
    ///
    /// After a copy-up, reads go to another file: a handle from before still reads the lower file.
    ///
    /// # Errors
    /// `bad-descriptor` if the file was not opened for reading.
    pub fn native_reader(&self) -> Result<Option<&dyn Any>> {
        let answer = match &self.0 {
            FileRepr::Overlay(file) => file.native_reader(),
            #[cfg(feature = "dir")]
            FileRepr::Live(file) => or_bad_descriptor(file.is_readable(), "reading"),
        };
        logged!(self, "read-via-stream", Named::Nothing, answer)
    }

    /// The layer's own handle to the file that writes go to, for a host that can pass it on, for example
    /// as a stream. `None` where the layer has no such handle, and on a live mount.
    ///
    /// The engine does not see writes through this handle. So once it has returned one, it queries the
    /// upper at every `stat` of a file, for as long as the overlay is mounted. The call clears set-id
    /// bits, as the first write does.
    ///
    /// # Errors
    /// `bad-descriptor` if the file was not opened for writing; `io` after the mount was closed.
    pub fn native_writer(&self) -> Result<Option<&dyn Any>> {
        let answer = match &self.0 {
            FileRepr::Overlay(file) => file.native_writer(),
            #[cfg(feature = "dir")]
            FileRepr::Live(file) => or_bad_descriptor(file.is_writable(), "writing"),
        };
        logged!(self, "write-via-stream", Named::Nothing, answer)
    }

    /// Whether the file was opened for reading.
    pub fn is_readable(&self) -> bool {
        match &self.0 {
            FileRepr::Overlay(file) => file.is_readable(),
            #[cfg(feature = "dir")]
            FileRepr::Live(file) => file.is_readable(),
        }
    }

    /// Whether the file was opened for writing.
    pub fn is_writable(&self) -> bool {
        match &self.0 {
            FileRepr::Overlay(file) => file.is_writable(),
            #[cfg(feature = "dir")]
            FileRepr::Live(file) => file.is_writable(),
        }
    }
}

/// The native handle of a file on a live mount: always `None`, or an error if the file was not opened
/// for it.
#[cfg(feature = "dir")]
fn or_bad_descriptor<'a>(may: bool, what: &str) -> Result<Option<&'a dyn Any>> {
    if may {
        Ok(None)
    } else {
        Err(Error::not_open_for(what))
    }
}
