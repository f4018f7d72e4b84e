//! [`FileData`]: the sparse content of a file. Sequential reads and writes take little more time than a
//! copy.
//!
//! A file is a map of chunks of 64 KiB. A chunk exists only where something was written, and stores only
//! the bytes up to the last one written: the rest reads as zeroes. So a small file takes the pages that it
//! fills, a large one few allocations, and a byte written at 2^40 one chunk.

use super::quota::Quota;
use crate::error::{Errno, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a chunk. Large enough that the lookup costs little beside the copy, and below the size
/// from which the usual allocators request every block from the system.
const CHUNK: usize = 64 * 1024;

/// The unit in bytes in which storage is charged and allocated.
const PAGE: usize = 4096;

/// The maximum size of a file in bytes: the largest `off_t`, as on Linux's tmpfs.
pub(super) const MAX_FILE_SIZE: u64 = i64::MAX as u64;

/// The content of one file.
#[derive(Debug)]
pub(super) struct FileData {
    /// By offset divided by [`CHUNK`]. No chunk is empty, and none reaches past `size`.
    chunks: BTreeMap<u64, Chunk>,
    size: u64,
    /// The sum of all `stored`.
    allocated: u64,
    quota: Arc<Quota>,
}

#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Bytes charged to the quota: whole pages, at least `bytes.len()`.
    stored: usize,
}

impl FileData {
    pub(super) fn new(quota: Arc<Quota>) -> Self {
        Self {
            chunks: BTreeMap::new(),
            size: 0,
            allocated: 0,
            quota,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Reads into `buffer`. Returns the number of bytes read.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let rest = self.size.saturating_sub(offset);
        let length = buffer
            .len()
            .min(usize::try_from(rest).unwrap_or(usize::MAX));
        if length == 0 {
            return 0;
        }
        let buffer = &mut buffer[..length];
        let last = offset + (length as u64 - 1);
        let mut done = 0;
        for (&index, chunk) in self.chunks.range(index(offset)..=index(last)) {
            let start = index * CHUNK as u64;
            let skip = offset.saturating_sub(start) as usize;
            let at = start.saturating_sub(offset) as usize;
            let Some(bytes) = chunk.bytes.get(skip..) else {
                continue;
            };
            let count = bytes.len().min(length - at);
            buffer[done..at].fill(0);
            buffer[at..at + count].copy_from_slice(&bytes[..count]);
            done = at + count;
        }
        buffer[done..].fill(0);
        length
    }

    /// Writes `buffer`, or as much of it as the quota allows, from its start.
    pub(super) fn write(&mut self, buffer: &[u8], offset: u64) -> Result<usize> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > MAX_FILE_SIZE) {
            return Err(Errno::FileTooLarge.into());
        }
        let mut done = 0;
        let mut step = CHUNK;
        while done < buffer.len() {
            let at = offset + done as u64;
            let left = step - (at % step as u64) as usize;
            let part = &buffer[done..buffer.len().min(done + left)];
            match self.write_chunk(at, part) {
                Ok(()) => done += part.len(),
                // The last pages of the quota may have room for a part of it.
                Err(_) if step == CHUNK => step = PAGE,
                Err(error) if done == 0 => return Err(error),
                // As on a disk that fills up: the call returns the bytes written so far, and the next
                // call gets the error.
                Err(_) => break,
            }
        }
        if done > 0 {
            self.size = self.size.max(offset + done as u64);
        }
        Ok(done)
    }

    /// Writes all of `part`, which lies in one chunk, or nothing.
    fn write_chunk(&mut self, at: u64, part: &[u8]) -> Result<()> {
        let skip = (at % CHUNK as u64) as usize;
        let end = skip + part.len();
        if let Some(chunk) = self.chunks.get_mut(&index(at)) {
            self.allocated += chunk.reserve(end, &self.quota)?;
            chunk.write(skip, part);
        } else {
            let mut chunk = Chunk::default();
            self.allocated += chunk.reserve(end, &self.quota)?;
            chunk.write(skip, part);
            self.chunks.insert(index(at), chunk);
        }
        Ok(())
    }

    /// Truncates or extends. Extending takes no storage.
    pub(super) fn set_size(&mut self, size: u64) -> Result<()> {
        if size > MAX_FILE_SIZE {
            return Err(Errno::FileTooLarge.into());
        }
        if size < self.size {
            let past = self.chunks.split_off(&size.div_ceil(CHUNK as u64));
            let mut freed: usize = past.values().map(|chunk| chunk.stored).sum();
            if let Some(last) = self.chunks.get_mut(&index(size)) {
                freed += last.truncate((size % CHUNK as u64) as usize);
            }
            self.allocated -= freed as u64;
            self.quota.return_bytes(freed as u64);
        }
        self.size = size;
        Ok(())
    }

    /// The next range of stored bytes at or after `offset`.
    pub(super) fn next_data(&self, offset: u64) -> Option<Range<u64>> {
        let mut stretch: Option<Range<u64>> = None;
        for (&index, chunk) in self.chunks.range(index(offset)..) {
            let start = index * CHUNK as u64;
            let end = start + chunk.bytes.len() as u64;
            match &mut stretch {
                None if end > offset => stretch = Some(start.max(offset)..end),
                None => {}
                Some(stretch) if stretch.end == start => stretch.end = end,
                Some(_) => break,
            }
        }
        stretch
    }
}

impl Drop for FileData {
    fn drop(&mut self) {
        self.quota.return_bytes(self.allocated);
    }
}

impl Chunk {
    /// Reserves storage up to `end`. Returns the number of bytes newly charged to the quota.
    fn reserve(&mut self, end: usize, quota: &Quota) -> Result<u64> {
        if end <= self.stored {
            return Ok(0);
        }
        let exact = end.next_multiple_of(PAGE);
        // Doubling keeps reallocations few for a file that grows in small pieces. A file written in
        // large pieces, such as a copy, takes no more than it needs; nor does one in a full layer.
        let ample = exact.max(self.stored * 2).min(CHUNK);
        let mut more = ample - self.stored;
        if let Err(full) = quota.charge_bytes(more as u64) {
            if ample == exact {
                return Err(full);
            }
            more = exact - self.stored;
            quota.charge_bytes(more as u64)?;
        }
        let room = self.stored + more - self.bytes.len();
        if self.bytes.try_reserve_exact(room).is_err() {
            quota.return_bytes(more as u64);
            return Err(Errno::InsufficientMemory.into());
        }
        self.stored += more;
        Ok(more as u64)
    }

    /// Writes into storage that [`reserve`](Self::reserve) has reserved.
    fn write(&mut self, skip: usize, part: &[u8]) {
        if self.bytes.len() < skip {
            self.bytes.resize(skip, 0);
        }
        let overlap = part.len().min(self.bytes.len() - skip);
        let (over, after) = part.split_at(overlap);
        self.bytes[skip..skip + overlap].copy_from_slice(over);
        self.bytes.extend_from_slice(after);
    }

    /// Truncates to `length`. Returns the number of bytes to return to the quota.
    fn truncate(&mut self, length: usize) -> usize {
        self.bytes.truncate(length);
        let keep = self.bytes.len().next_multiple_of(PAGE);
        let freed = self.stored - keep;
        if freed > 0 {
            self.bytes.shrink_to(keep);
            self.stored = keep;
        }
        freed
    }
}

fn index(offset: u64) -> u64 {
    offset / CHUNK as u64
}
