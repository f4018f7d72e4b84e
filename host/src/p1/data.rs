//! Data between files and guest memory.
//!
//! On a thread that may block, and where nothing has to be waited for, a file reads and writes guest
//! memory itself. Guest memory cannot be lent to another thread, and a shared one not even to a system
//! call, since other threads of the guest may change it meanwhile: there the data goes through a buffer
//! of bounded size.
//!
//! All buffers of a call are served, not only the first as in wasmtime-wasi: C libraries write
//! in two pieces and would come back for the second.

use super::convert;
use super::types::{Ciovec, Errno, Error, Iovec};
use crate::blocking::Blocking;
use wasi_overlay_core::{self as core, File};
use wiggle::{GuestMemory, GuestPtr, GuestType};

/// Bytes that are on their way between threads at once. One trip takes some 20 µs, and this
/// much data about as long.
const STAGE_BYTES: u32 = 256 * 1024;

/// Buffers that one call serves (Linux's `IOV_MAX`); the guest comes back for the others.
const MAX_BUFFERS: u32 = 1024;

/// One element of a guest's list of buffers.
pub(super) trait Buffer: GuestType + Sized {
    fn span(self) -> GuestPtr<[u8]>;
}

impl Buffer for Iovec {
    fn span(self) -> GuestPtr<[u8]> {
        self.buf.as_array(self.buf_len)
    }
}

impl Buffer for Ciovec {
    fn span(self) -> GuestPtr<[u8]> {
        self.buf.as_array(self.buf_len)
    }
}

/// The buffers of a call one after the other, without the empty ones. They are read from guest
/// memory only as they are reached.
struct Spans<B> {
    array: GuestPtr<[B]>,
    next: u32,
    /// What is left of the buffer reached last.
    rest: GuestPtr<[u8]>,
    /// How many more buffers are served.
    buffers: u32,
    /// How many more bytes are served: the sum has to fit the answer.
    bytes: u32,
}

impl<B> Clone for Spans<B> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<B: Buffer> Spans<B> {
    fn new(array: GuestPtr<[B]>) -> Self {
        Self {
            array,
            next: 0,
            rest: GuestPtr::new((0, 0)),
            buffers: MAX_BUFFERS,
            bytes: u32::MAX,
        }
    }

    /// The next piece, of `max` bytes at most; none at the end.
    fn take(
        &mut self,
        memory: &GuestMemory<'_>,
        max: u32,
    ) -> Result<Option<GuestPtr<[u8]>>, Error> {
        while self.rest.len() == 0 {
            if self.next == self.array.len() || self.buffers == 0 {
                return Ok(None);
            }
            let element = self.array.as_ptr().add(self.next)?;
            self.next += 1;
            let span = memory.read(element)?.span();
            if span.len() > 0 {
                // The whole of it has to be memory, even if only a piece is needed.
                memory.as_slice(span)?;
                self.rest = span;
                self.buffers -= 1;
            }
        }
        let length = self.rest.len().min(max).min(self.bytes);
        if length == 0 {
            return Ok(None);
        }
        let start = self.rest.as_ptr();
        let left = self.rest.len() - length;
        // Past the last byte of the address space there is nothing to point to.
        self.rest = match left {
            0 => GuestPtr::new((0, 0)),
            _ => start.add(length)?.as_array(left),
        };
        self.bytes -= length;
        Ok(Some(start.as_array(length)))
    }
}

/// What came of one transfer: how many bytes, and whether to go on.
struct Progress {
    done: u32,
    more: bool,
}

impl Progress {
    /// Adds the outcome of a transfer of `asked` bytes.
    ///
    /// # Errors
    /// That of the file, unless something was transferred before: then the guest is told of
    /// that, and meets the error at its next call, as POSIX has it.
    fn add(&mut self, asked: u32, outcome: core::Result<usize>) -> Result<u32, Error> {
        match outcome {
            Ok(count) => {
                let count = u32::try_from(count).map_or(asked, |count| count.min(asked));
                self.done += count;
                self.more = count == asked;
                Ok(count)
            }
            Err(_) if self.done > 0 => {
                self.more = false;
                Ok(0)
            }
            Err(error) => Err(convert::error(error)),
        }
    }
}

/// Reads at `offset`; returns how many bytes were read, 0 only at the end.
pub(super) async fn read(
    blocking: Blocking,
    memory: &mut GuestMemory<'_>,
    file: &File,
    iovs: GuestPtr<[Iovec]>,
    offset: u64,
) -> Result<u32, Error> {
    let mut spans = Spans::new(iovs);
    let mut progress = Progress {
        done: 0,
        more: true,
    };
    let direct = !memory.is_shared_memory();
    let mut buffer = Vec::new();
    while progress.more {
        // Past the last offset there is an end too.
        let Some(at) = offset.checked_add(progress.done.into()) else {
            break;
        };
        if direct {
            let mut ahead = spans.clone();
            let Some(span) = ahead.take(memory, u32::MAX)? else {
                break;
            };
            let target = memory.as_slice_mut(span)?.ok_or(Errno::Fault)?;
            if let Some(outcome) = blocking.here(|| file.read_at(target, at)) {
                spans = ahead;
                progress.add(span.len(), outcome)?;
                blocking.take_turns().await;
                continue;
            }
        }
        let asked = length_ahead(&spans, memory)?;
        if asked == 0 {
            break;
        }
        buffer.resize(asked as usize, 0);
        let file = file.clone();
        let (filled, outcome) = blocking
            .run_once(move || {
                let outcome = file.read_at(&mut buffer, at);
                (buffer, outcome)
            })
            .await;
        let count = progress.add(asked, outcome)?;
        scatter(memory, &mut spans, &filled[..count as usize])?;
        buffer = filled;
    }
    if progress.done == 0 && progress.more {
        // No buffers: the file still says whether it can be read.
        let read = move |file: &File| file.read_at(&mut [], offset);
        blocking.run_on(file, read).await.map_err(convert::error)?;
    }
    Ok(progress.done)
}

/// Where to write.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// At this offset, in bytes from the start.
    At(u64),
    /// At the end, wherever that is.
    End,
}

impl Place {
    fn write(self, file: &File, data: &[u8], done: u32) -> core::Result<usize> {
        match self {
            Self::End => file.append(data),
            Self::At(offset) => match offset.checked_add(done.into()) {
                Some(at) => file.write_at(data, at),
                None => Err(core::Errno::FileTooLarge.into()),
            },
        }
    }
}

/// Writes at `place`; returns how many bytes were written.
pub(super) async fn write(
    blocking: Blocking,
    memory: &GuestMemory<'_>,
    file: &File,
    ciovs: GuestPtr<[Ciovec]>,
    place: Place,
) -> Result<u32, Error> {
    let mut spans = Spans::new(ciovs);
    let mut progress = Progress {
        done: 0,
        more: true,
    };
    let direct = !memory.is_shared_memory();
    let mut buffer = Vec::new();
    while progress.more {
        let done = progress.done;
        if direct {
            let mut ahead = spans.clone();
            let Some(span) = ahead.take(memory, u32::MAX)? else {
                break;
            };
            let data = memory.as_slice(span)?.ok_or(Errno::Fault)?;
            if let Some(outcome) = blocking.here(|| place.write(file, data, done)) {
                spans = ahead;
                progress.add(span.len(), outcome)?;
                blocking.take_turns().await;
                continue;
            }
        }
        gather(memory, &mut spans, &mut buffer)?;
        if buffer.is_empty() {
            break;
        }
        let file = file.clone();
        let (written, outcome) = blocking
            .run_once(move || {
                let outcome = place.write(&file, &buffer, done);
                (buffer, outcome)
            })
            .await;
        // `gather` stops at STAGE_BYTES.
        progress.add(written.len() as u32, outcome)?;
        buffer = written;
    }
    if progress.done == 0 && progress.more {
        let write = move |file: &File| place.write(file, &[], 0);
        blocking.run_on(file, write).await.map_err(convert::error)?;
    }
    Ok(progress.done)
}

/// How many bytes the next stage can take.
fn length_ahead<B: Buffer>(spans: &Spans<B>, memory: &GuestMemory<'_>) -> Result<u32, Error> {
    let mut ahead = spans.clone();
    let mut length = 0;
    while length < STAGE_BYTES {
        match ahead.take(memory, STAGE_BYTES - length)? {
            Some(span) => length += span.len(),
            None => break,
        }
    }
    Ok(length)
}

/// Copies `data` into the buffers.
fn scatter<B: Buffer>(
    memory: &mut GuestMemory<'_>,
    spans: &mut Spans<B>,
    mut data: &[u8],
) -> Result<(), Error> {
    while !data.is_empty() {
        let max = u32::try_from(data.len()).unwrap_or(u32::MAX);
        // Another thread of the guest may have shortened its list since it was measured.
        let Some(span) = spans.take(memory, max)? else {
            break;
        };
        let (now, later) = data.split_at(span.len() as usize);
        memory.copy_from_slice(now, span)?;
        data = later;
    }
    Ok(())
}

/// Fills `buffer` with what comes next.
fn gather<B: Buffer>(
    memory: &GuestMemory<'_>,
    spans: &mut Spans<B>,
    buffer: &mut Vec<u8>,
) -> Result<(), Error> {
    buffer.clear();
    while buffer.len() < STAGE_BYTES as usize {
        // Below STAGE_BYTES, so it fits.
        let Some(span) = spans.take(memory, STAGE_BYTES - buffer.len() as u32)? else {
            break;
        };
        buffer.extend_from_slice(&memory.as_cow(span)?);
    }
    Ok(())
}
