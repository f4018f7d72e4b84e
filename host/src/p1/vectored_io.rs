//! Vectored reads and writes (`fd_read`, `fd_write` and their kin) between files and guest memory.
//!
//! On a thread that may block, and for calls that need not wait, the file reads into and writes from guest
//! memory directly. Another thread cannot borrow guest memory, and even a system call cannot borrow shared
//! memory, which other threads of the guest may change at the same time: in these cases the data goes
//! through a buffer of bounded size.
//!
//! A call transfers all of its buffers, and not only the first as in wasmtime-wasi: C libraries write in
//! two pieces, and would need a second call for the second piece.

use super::convert;
use super::types::{Ciovec, Errno, Error, Iovec};
use crate::blocking::Blocking;
use crate::stream_io::WritePosition;
use wasi_overlay_core::{self as core, File};
use wiggle::{GuestMemory, GuestPtr, GuestType};

/// The most bytes that one trip to the pool transfers. The trip takes some 20 µs, and copying this much
/// data takes about as long.
const POOL_BUFFER_BYTES: u32 = 256 * 1024;

/// The most buffers that one call transfers (Linux's `IOV_MAX`); the guest needs another call for the rest.
const MAX_BUFFERS: u32 = 1024;

/// One element of a guest's array of buffers.
pub(super) trait Buffer: GuestType + Sized {
    /// The guest memory that the element describes.
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

/// A cursor over the non-empty buffers of a call. It reads each array element from guest memory only when
/// it gets there.
struct BufferCursor<B> {
    array: GuestPtr<[B]>,
    next: u32,
    /// The rest of the current buffer.
    rest: GuestPtr<[u8]>,
    /// How many more buffers the call may transfer.
    buffers: u32,
    /// How many more bytes the call may transfer: the sum has to fit into the answer.
    bytes: u32,
}

impl<B> Clone for BufferCursor<B> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<B: Buffer> BufferCursor<B> {
    fn new(array: GuestPtr<[B]>) -> Self {
        Self {
            array,
            next: 0,
            rest: GuestPtr::new((0, 0)),
            buffers: MAX_BUFFERS,
            bytes: u32::MAX,
        }
    }

    /// Returns the next piece, of at most `max` bytes; `None` at the end.
    fn next_piece(
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
                // The whole buffer has to lie in guest memory, even if the call needs only a piece.
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
        // No pointer can point past the last byte of the address space.
        self.rest = if left == 0 {
            GuestPtr::new((0, 0))
        } else {
            start.add(length)?.as_array(left)
        };
        self.bytes -= length;
        Ok(Some(start.as_array(length)))
    }
}

/// The state of a vectored transfer: how many bytes are done, and whether to continue.
struct Progress {
    done: u32,
    more: bool,
}

impl Progress {
    /// Adds the outcome of a transfer of `requested` bytes.
    ///
    /// # Errors
    /// The file's error, unless earlier bytes of the call were transferred: then the call reports those
    /// bytes and the guest sees the error at its next call, as in POSIX.
    fn add(&mut self, requested: u32, outcome: core::Result<usize>) -> Result<u32, Error> {
        match outcome {
            Ok(count) => {
                let count = u32::try_from(count).map_or(requested, |count| count.min(requested));
                self.done += count;
                self.more = count == requested;
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

/// Reads at `offset`; returns how many bytes were read: 0 only at the end of the file, or if the buffers
/// are empty.
pub(super) async fn read(
    blocking: Blocking,
    memory: &mut GuestMemory<'_>,
    file: &File,
    iovs: GuestPtr<[Iovec]>,
    offset: u64,
) -> Result<u32, Error> {
    let mut cursor = BufferCursor::new(iovs);
    let mut progress = Progress {
        done: 0,
        more: true,
    };
    let direct = !memory.is_shared_memory();
    let mut buffer = Vec::new();
    while progress.more {
        // Past the largest offset there is only the end of the file.
        let Some(at) = offset.checked_add(progress.done.into()) else {
            break;
        };
        if direct {
            let mut ahead = cursor.clone();
            let Some(span) = ahead.next_piece(memory, u32::MAX)? else {
                break;
            };
            let target = memory.as_slice_mut(span)?.ok_or(Errno::Fault)?;
            if let Some(outcome) = blocking.try_inline(|| file.read_at(target, at)) {
                cursor = ahead;
                progress.add(span.len(), outcome)?;
                blocking.consume_budget().await;
                continue;
            }
        }
        let requested = next_pool_transfer(&cursor, memory)?;
        if requested == 0 {
            break;
        }
        buffer.resize(requested as usize, 0);
        let file = file.clone();
        let (filled, outcome) = blocking
            .run_once(move || {
                let outcome = file.read_at(&mut buffer, at);
                (buffer, outcome)
            })
            .await;
        let count = progress.add(requested, outcome)?;
        scatter(memory, &mut cursor, &filled[..count as usize])?;
        buffer = filled;
    }
    if progress.done == 0 && progress.more {
        // All buffers are empty, but the call still has to fail if the file cannot be read.
        let read = move |file: &File| file.read_at(&mut [], offset);
        blocking.run_on(file, read).await.map_err(convert::error)?;
    }
    Ok(progress.done)
}

/// Writes a piece of a call that began at `start` and has written `done` bytes so far.
fn write_piece(file: &File, start: WritePosition, done: u32, data: &[u8]) -> core::Result<usize> {
    match start {
        WritePosition::End => file.append(data),
        WritePosition::At(offset) => match offset.checked_add(done.into()) {
            Some(at) => file.write_at(data, at),
            None => Err(core::Errno::FileTooLarge.into()),
        },
    }
}

/// Writes at `start`; returns how many bytes were written.
pub(super) async fn write(
    blocking: Blocking,
    memory: &GuestMemory<'_>,
    file: &File,
    ciovs: GuestPtr<[Ciovec]>,
    start: WritePosition,
) -> Result<u32, Error> {
    let mut cursor = BufferCursor::new(ciovs);
    let mut progress = Progress {
        done: 0,
        more: true,
    };
    let direct = !memory.is_shared_memory();
    let mut buffer = Vec::new();
    while progress.more {
        let done = progress.done;
        if direct {
            let mut ahead = cursor.clone();
            let Some(span) = ahead.next_piece(memory, u32::MAX)? else {
                break;
            };
            let data = memory.as_slice(span)?.ok_or(Errno::Fault)?;
            if let Some(outcome) = blocking.try_inline(|| write_piece(file, start, done, data)) {
                cursor = ahead;
                progress.add(span.len(), outcome)?;
                blocking.consume_budget().await;
                continue;
            }
        }
        gather(memory, &mut cursor, &mut buffer)?;
        if buffer.is_empty() {
            break;
        }
        let file = file.clone();
        let (written, outcome) = blocking
            .run_once(move || {
                let outcome = write_piece(&file, start, done, &buffer);
                (buffer, outcome)
            })
            .await;
        // `gather` stops at POOL_BUFFER_BYTES.
        progress.add(written.len() as u32, outcome)?;
        buffer = written;
    }
    if progress.done == 0 && progress.more {
        let write = move |file: &File| write_piece(file, start, 0, &[]);
        blocking.run_on(file, write).await.map_err(convert::error)?;
    }
    Ok(progress.done)
}

/// How many bytes the next trip to the pool transfers at most.
fn next_pool_transfer<B: Buffer>(
    cursor: &BufferCursor<B>,
    memory: &GuestMemory<'_>,
) -> Result<u32, Error> {
    let mut ahead = cursor.clone();
    let mut length = 0;
    while length < POOL_BUFFER_BYTES {
        match ahead.next_piece(memory, POOL_BUFFER_BYTES - length)? {
            Some(span) => length += span.len(),
            None => break,
        }
    }
    Ok(length)
}

/// Copies `data` into the guest's buffers.
fn scatter<B: Buffer>(
    memory: &mut GuestMemory<'_>,
    cursor: &mut BufferCursor<B>,
    mut data: &[u8],
) -> Result<(), Error> {
    while !data.is_empty() {
        let max = u32::try_from(data.len()).unwrap_or(u32::MAX);
        // Another thread of the guest may have shortened the buffers since `next_pool_transfer`.
        let Some(span) = cursor.next_piece(memory, max)? else {
            break;
        };
        let (now, later) = data.split_at(span.len() as usize);
        memory.copy_from_slice(now, span)?;
        data = later;
    }
    Ok(())
}

/// Fills `buffer` with the next bytes of the guest's buffers.
fn gather<B: Buffer>(
    memory: &GuestMemory<'_>,
    cursor: &mut BufferCursor<B>,
    buffer: &mut Vec<u8>,
) -> Result<(), Error> {
    buffer.clear();
    while buffer.len() < POOL_BUFFER_BYTES as usize {
        // The length is below POOL_BUFFER_BYTES, so it fits.
        let Some(span) = cursor.next_piece(memory, POOL_BUFFER_BYTES - buffer.len() as u32)? else {
            break;
        };
        buffer.extend_from_slice(&memory.as_cow(span)?);
    }
    Ok(())
}
