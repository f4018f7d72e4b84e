//! The data of small files, kept so that they are opened and read without a call to the system.
//!
//! A file is read whole where somebody first reads of it: that is one call, as the read itself
//! would have been. The bytes are copied; no layer's file is ever mapped, since one that is cut
//! meanwhile would take the process with it.

use super::LowerStack;
use super::node::{FileHandle, LowerNode};
use crate::error::Result;
use crate::keep::{Keep, Slot};
use crate::layer::{Advice, ReadAt};
use crate::meta::Meta;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of the largest file whose data is kept. What a larger one costs is reading it, rather
/// than the calls.
const SMALL: u64 = 64 * 1024;

/// What a kept file takes beside its bytes, about.
const BESIDE: usize = 256;

/// What a stack keeps of the data of its files.
pub(super) struct Kept {
    keep: Keep,
    /// Most bytes of all files.
    most: usize,
}

/// The data of a file.
pub(super) struct Data {
    bytes: Box<[u8]>,
    meta: Meta,
}

impl Kept {
    pub(super) fn new(most: usize) -> Self {
        Self {
            keep: Keep::new(most),
            most,
        }
    }

    /// Whether the data of a file would be kept. Not that of one with holes, which a copy is to
    /// have too, and not where nothing seems to be in it: a file of procfs says so of itself.
    fn takes(&self, node: &LowerNode) -> bool {
        let meta = node.meta();
        let sparse = meta.allocated.is_some_and(|bytes| bytes < meta.size);
        (1..=SMALL).contains(&meta.size) && !sparse && weight(meta.size as usize) <= self.most
    }
}

fn weight(bytes: usize) -> usize {
    bytes + BESIDE
}

impl LowerStack {
    /// A file that was opened by `handle`, and whose data is kept once it is read.
    pub(super) fn reader(
        self: &Arc<Self>,
        node: &Arc<LowerNode>,
        slot: &Slot<Data>,
        handle: Arc<FileHandle>,
    ) -> Arc<dyn ReadAt> {
        if !self.data.takes(node) || self.layer(node.layer()).is_in_memory() {
            return handle.0.clone();
        }
        Arc::new(Reader {
            stack: Arc::clone(self),
            meta: node.meta(),
            slot: slot.clone(),
            handle,
        })
    }
}

/// A small file that was opened before its data was kept.
struct Reader {
    stack: Arc<LowerStack>,
    meta: Meta,
    slot: Slot<Data>,
    handle: Arc<FileHandle>,
}

impl Reader {
    /// The whole data, read now if it is not kept. None where it cannot be had: then the read
    /// itself says why.
    fn data(&self) -> Option<Arc<Data>> {
        if let Some(data) = self.slot.get() {
            return Some(data);
        }
        let mut bytes = vec![0; usize::try_from(self.meta.size).ok()?];
        let mut done = 0;
        while done < bytes.len() {
            match self.handle.0.read_at(&mut bytes[done..], done as u64) {
                // It is shorter than it was: the layer was changed.
                Ok(0) | Err(_) => return None,
                Ok(read) => done += read,
            }
        }
        let data = Arc::new(Data {
            bytes: bytes.into(),
            meta: self.meta,
        });
        let keep = &self.stack.data.keep;
        Some(keep.put(&self.slot, data, weight(done)))
    }
}

impl ReadAt for Reader {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        match self.data() {
            Some(data) => data.read_at(buffer, offset),
            None => self.handle.0.read_at(buffer, offset),
        }
    }

    fn meta(&self) -> Result<Meta> {
        self.handle.0.meta()
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.handle.0.next_data(offset)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.handle.0.advise(offset, length, advice)
    }

    fn native(&self) -> Option<&dyn Any> {
        self.handle.0.native()
    }
}

impl ReadAt for Data {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get(offset..))
            .unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn meta(&self) -> Result<Meta> {
        Ok(self.meta)
    }
}
