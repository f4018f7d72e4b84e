//! Single reads and writes of a byte stream on a file.
//!
//! Each one goes through the [`File`], so a stream that was opened on a lower file continues in the
//! upper after a copy-up.

use crate::convert::guest_code;
use wasi_overlay_core::{Errno, File};

/// The most bytes that the host buffers for one read or write of a guest. wasmtime-wasi has the same bound
/// for reads and for what `check-write` permits.
pub(crate) const STREAM_BYTES: usize = 64 * 1024;

/// Where a stream writes its next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WritePosition {
    /// At this offset, in bytes from the start.
    At(u64),
    /// At the end of the file at the time of each write.
    End,
}

impl WritePosition {
    /// Checks that the file can be written, by a write of no bytes.
    pub(crate) fn check_writable(self, file: &File) -> Result<(), Errno> {
        retry_interrupted(|| match self {
            Self::At(offset) => file.write_at(&[], offset),
            Self::End => file.append(&[]),
        })
        .map(drop)
    }

    /// Writes some of `bytes`, which must not be empty; returns how many, and moves past them.
    pub(crate) fn write_some(&mut self, file: &File, bytes: &[u8]) -> Result<usize, Errno> {
        loop {
            let written = match *self {
                Self::At(offset) => file.write_at(bytes, offset),
                Self::End => file.append(bytes),
            };
            match written {
                Ok(0) => return Err(Errno::Io),
                Ok(written) => {
                    if let Self::At(offset) = self {
                        *offset = offset.saturating_add(written as u64);
                    }
                    return Ok(written);
                }
                Err(error) if error.errno() == Errno::Interrupted => {}
                Err(error) => return Err(guest_code(&error)),
            }
        }
    }
}

/// Reads some bytes at `position` into `buffer`; returns 0 at the end of the file, and for an empty
/// buffer.
pub(crate) fn read_some(file: &File, buffer: &mut [u8], position: u64) -> Result<usize, Errno> {
    retry_interrupted(|| file.read_at(buffer, position))
}

/// Reads up to `length` bytes at `position` into a new buffer, which is empty at the end of the file.
/// `length` must not be 0.
pub(crate) fn read_some_vec(file: &File, length: usize, position: u64) -> Result<Vec<u8>, Errno> {
    retry_interrupted(|| file.read_vec_at(length, position))
}

/// Repeats `call` while a signal interrupts it.
fn retry_interrupted<T>(
    mut call: impl FnMut() -> wasi_overlay_core::Result<T>,
) -> Result<T, Errno> {
    loop {
        match call() {
            Ok(answer) => return Ok(answer),
            Err(error) if error.errno() == Errno::Interrupted => {}
            Err(error) => return Err(guest_code(&error)),
        }
    }
}
