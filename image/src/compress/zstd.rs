//! A decoder of zstd with any number of frames, skippable ones included.

use super::Decode;
use crate::limits::ZSTD_WINDOW_LOG;
use std::io;
use zstd::stream::raw::{DParameter, Decoder, Operation};

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    /// Whether the last frame ended, and all of its data was written.
    is_complete: bool,
}

impl Zstd {
    pub(super) fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
        Ok(Self {
            decoder,
            is_complete: false,
        })
    }
}

impl Decode for Zstd {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize)> {
        if input.is_empty() && self.is_complete {
            return Ok((0, 0));
        }
        let status = self
            .decoder
            .run_on_buffers(input, output)
            .map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "the zstd data is damaged, or needs a window of more than {} MiB ({error})",
                        (1_u64 << ZSTD_WINDOW_LOG) >> 20
                    ),
                )
            })?;
        self.is_complete = status.remaining == 0;
        Ok((status.bytes_read, status.bytes_written))
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}
