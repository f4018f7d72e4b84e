//! A decoder of gzip with any number of members, as `gzip -d` reads them.

use super::Decode;
use flate2::{Decompress, FlushDecompress, Status};
use std::io;

/// The window of deflate: 32 KiB.
const WINDOW_BITS: u8 = 15;

pub(super) struct Gzip {
    inflate: Decompress,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first member.
    Start,
    /// In a member.
    Inside,
    /// After a member: another one, zeros or the end may follow.
    Between,
    /// In the zeros that pad the last member, as on a tape.
    Padding,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            inflate: Decompress::new_gzip(WINDOW_BITS),
            state: State::Start,
        }
    }
}

impl Decode for Gzip {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize)> {
        match (self.state, input.first()) {
            (State::Start, Some(_)) => self.state = State::Inside,
            (State::Between, Some(0x1f)) => {
                self.inflate.reset(true);
                self.state = State::Inside;
            }
            (State::Between | State::Padding, Some(0)) => {
                self.state = State::Padding;
                let zeros = input.iter().take_while(|&&b| b == 0).count();
                return Ok((zeros, 0));
            }
            (State::Between | State::Padding, Some(_)) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "there is other data after the end of the gzip data",
                ));
            }
            (State::Start | State::Between | State::Padding, None) => return Ok((0, 0)),
            (State::Inside, _) => {}
        }
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, output, FlushDecompress::None)
            .map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the gzip data is damaged ({error})"),
                )
            })?;
        if status == Status::StreamEnd {
            self.state = State::Between;
        }
        // Both are at most the lengths of the slices.
        let read = (self.inflate.total_in() - read) as usize;
        let written = (self.inflate.total_out() - written) as usize;
        Ok((read, written))
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, State::Between | State::Padding)
    }
}
