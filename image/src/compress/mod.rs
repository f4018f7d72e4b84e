//! Decompression of layers: the format by its magic, and one pass from a compressed blob to a plain tar
//! with both digests and an index.

mod gzip;
mod pipeline;
mod zstd;

pub(crate) use pipeline::{Input, Sink, Unpacked, unpack};

use crate::error::{Error, Result};
use std::io;

/// How a layer is compressed. Determined by its first bytes: media types are often wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not compressed.
    Plain,
    /// gzip, of any number of members.
    Gzip,
    /// zstd, of any number of frames.
    Zstd,
}

/// First bytes that are enough to detect the format.
pub(crate) const HEAD: usize = 8;

/// Formats that are recognised only to name them in an error.
const OTHERS: [(&[u8], &str, &str); 5] = [
    (b"\xfd7zXZ\0", "xz", "xz -d"),
    (b"BZh", "bzip2", "bzip2 -d"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -d"),
    (b"LZIP", "lzip", "lzip -d"),
    (b"PK\x03\x04", "zip", "unzip"),
];

impl Format {
    /// The format of `what`, which begins with `head`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a format of compression that is not supported.
    pub fn detect(what: &str, head: &[u8]) -> Result<Self> {
        if head.starts_with(b"\x1f\x8b") {
            return Ok(Self::Gzip);
        }
        if head.starts_with(b"\x28\xb5\x2f\xfd") || is_skippable_frame(head) {
            return Ok(Self::Zstd);
        }
        match OTHERS.iter().find(|(magic, ..)| head.starts_with(magic)) {
            // A tar begins with the name of its first file, which may begin with a short magic.
            Some((magic, ..)) if magic.len() < 4 && !head.starts_with(b"BZh91AY&") => {
                Ok(Self::Plain)
            }
            Some((_, name, command)) => Err(Error::unsupported(
                what,
                format_args!(
                    "it is compressed with {name}; decompress it (`{command}`), and use gzip or zstd if it has to be small"
                ),
            )),
            None => Ok(Self::Plain),
        }
    }
}

/// Whether zstd data begins with a skippable frame, as chunked layers may.
fn is_skippable_frame(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Decodes a stream, in any pieces.
trait Decode {
    /// Decodes from `input` into `output`; returns how many bytes were read and written. Both are 0 only
    /// if `input` is empty and nothing is left to write.
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize)>;

    /// Whether the stream may end here.
    fn is_complete(&self) -> bool;
}

/// The stream of a plain tar: its bytes are copied.
struct Copy;

impl Decode for Copy {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize)> {
        let length = input.len().min(output.len());
        output[..length].copy_from_slice(&input[..length]);
        Ok((length, length))
    }

    fn is_complete(&self) -> bool {
        true
    }
}

/// The decoder of a format.
fn decoder(format: Format) -> io::Result<Box<dyn Decode>> {
    Ok(match format {
        Format::Plain => Box::new(Copy),
        Format::Gzip => Box::new(gzip::Gzip::new()),
        Format::Zstd => Box::new(zstd::Zstd::new()?),
    })
}
