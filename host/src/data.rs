//! One step of a stream of bytes, from a file or to one. Every step goes through the [`File`], so
//! a stream that was opened on a lower file goes on in the upper after a copy-up.

use crate::convert::guest_code;
use wasi_overlay_core::{Errno, File};

/// Most bytes that one read or write of a guest makes the host hold. wasmtime-wasi's own bound
/// for reads and for the permits of its streams.
pub(crate) const STREAM_BYTES: usize = 64 * 1024;

/// Where the next byte goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this offset, in bytes from the start.
    At(u64),
    /// At the end, wherever that is then.
    End,
}

impl Place {
    /// Writes nothing, which fails where something could not be written.
    pub(crate) fn check(self, file: &File) -> Result<(), Errno> {
        uninterrupted(|| match self {
            Self::At(offset) => file.write_at(&[], offset),
            Self::End => file.append(&[]),
        })
        .map(drop)
    }

    /// Writes some of `bytes`, which is not empty; returns how many. Goes on behind them.
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

/// Reads some bytes at `position` into `buffer`; none at the end, and into an empty one.
pub(crate) fn read_some(file: &File, buffer: &mut [u8], position: u64) -> Result<usize, Errno> {
    uninterrupted(|| file.read_at(buffer, position))
}

/// Reads some bytes at `position`, `length` at most, which is not none; none at the end.
pub(crate) fn read_some_new(file: &File, length: usize, position: u64) -> Result<Vec<u8>, Errno> {
    uninterrupted(|| file.read_vec_at(length, position))
}

fn uninterrupted<T>(mut call: impl FnMut() -> wasi_overlay_core::Result<T>) -> Result<T, Errno> {
    loop {
        match call() {
            Ok(answer) => return Ok(answer),
            Err(error) if error.errno() == Errno::Interrupted => {}
            Err(error) => return Err(guest_code(&error)),
        }
    }
}
