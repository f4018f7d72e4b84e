//! Cache of the data of small lower files, which are then opened and read without a system call.
//!
//! The first read of a file reads it whole: that is one system call, as the read itself would have been.
//! The bytes are copied. A layer's file is never mapped, since truncating a mapped file would crash the
//! process.

use super::LowerStack;
use super::node::LowerNode;
use super::packed_meta::PackedMeta;
use crate::at_once;
use crate::cache::{Bound, ClockCache, Slot};
use crate::error::Result;
use crate::layer::ReadAt;
use crate::meta::Meta;
use std::sync::Arc;

/// Bytes of the largest file whose data is cached. For larger files the reads cost more than the system
/// calls.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Approximate bytes of memory that a cached file takes besides its data.
const OVERHEAD: usize = 256;

/// The cached data of the files of a stack.
pub(super) struct DataCache {
    cache: ClockCache,
    /// The maximum number of bytes of all files.
    max_bytes: usize,
}

/// The data of a file.
pub(crate) struct Data {
    bytes: Box<[u8]>,
    meta: Meta,
}

impl DataCache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            cache: ClockCache::new(Bound::weight(max_bytes)),
            max_bytes,
        }
    }

    /// Whether the data of a file may be cached. Not that of a sparse file, since a copy needs to know its
    /// holes, and not that of an empty one, since files of procfs report size 0 but have data.
    fn admits(&self, packed: &PackedMeta) -> bool {
        (1..=MAX_FILE_BYTES).contains(&packed.size)
            && !packed.is_sparse()
            && weight(packed.size as usize) <= self.max_bytes
    }
}

fn weight(bytes: usize) -> usize {
    bytes + OVERHEAD
}

impl LowerStack {
    /// The data of `node`, whose open file is `file`. Reads it whole if it is not cached in `slot`. None if
    /// it may not be cached, and if reading failed: then a read of `file` returns the error.
    pub(super) fn data_of(
        &self,
        node: &LowerNode,
        slot: &Slot<Data>,
        file: &dyn ReadAt,
    ) -> Option<Arc<Data>> {
        if !self.data.admits(&node.packed) {
            return None;
        }
        if let Some(data) = slot.get() {
            return Some(data);
        }
        if self.layer(node.layer()).is_in_memory() {
            return None;
        }
        at_once::may_wait().ok()?;
        let size = usize::try_from(node.packed.size).ok()?;
        // One byte more than the size, to detect a file that is longer.
        let mut bytes = vec![0; size + 1];
        let mut done = 0;
        loop {
            let read = file.read_at(&mut bytes[done..], done as u64).ok()?;
            let is_all = done == 0 && read == size;
            done += read;
            if read == 0 || is_all || done > size {
                break;
            }
        }
        // The layer was changed, or the file is one of sysfs, or its file server reports a wrong size.
        if done != size {
            return None;
        }
        bytes.truncate(size);
        let data = Arc::new(Data {
            bytes: bytes.into(),
            meta: node.meta(),
        });
        Some(self.data.cache.put(slot, data, weight(done)))
    }
}

impl Data {
    /// At max_bytes `length` bytes at `offset`.
    fn bytes_at(&self, length: usize, offset: u64) -> &[u8] {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get(offset..))
            .unwrap_or_default();
        &rest[..rest.len().min(length)]
    }
}

impl ReadAt for Data {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let bytes = self.bytes_at(buffer.len(), offset);
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        Ok(self.bytes_at(length, offset).to_vec())
    }

    fn meta(&self) -> Result<Meta> {
        Ok(self.meta)
    }
}
