//! [`TarFile`]: an open file of an archive.

use super::extras::{self, Chunk};
use super::index::TarIndex;
use super::node::{Node, NodeFlags};
use super::source::Source;
use crate::error::{Errno, Error, Result};
use crate::layer::{Advice, ReadAt};
use crate::meta::Meta;
use std::ops::Range;
use std::sync::Arc;

/// A file of a [`TarLayer`](super::TarLayer). It holds no descriptor of its own.
pub struct TarFile {
    source: Arc<dyn Source>,
    /// Where the data begins, in an archive that holds all of it.
    data: u64,
    meta: Meta,
    /// The parts that have data, in ascending order, of a file with holes.
    chunks: Option<Box<[Chunk]>>,
}

impl TarFile {
    pub(super) fn new(source: Arc<dyn Source>, index: &TarIndex, number: u32, node: &Node) -> Self {
        let is_sparse = node.flags.contains(NodeFlags::SPARSE);
        Self {
            source,
            data: node.data,
            meta: node.meta(number, index.extras()),
            chunks: is_sparse.then(|| extras::chunks(index.extras(), node).collect()),
        }
    }

    /// How many of `length` bytes at `offset` lie in the file.
    fn length_at(&self, length: usize, offset: u64) -> usize {
        let rest = self.meta.size.saturating_sub(offset);
        usize::try_from(rest).map_or(length, |rest| length.min(rest))
    }

    /// Reads data of the archive, at least one byte.
    fn read_data(&self, buffer: &mut [u8], position: u64) -> Result<usize> {
        match self.source.read_at(buffer, position)? {
            0 => Err(truncated()),
            read => Ok(read),
        }
    }

    /// The first chunk that ends after `offset`.
    fn chunk_at(chunks: &[Chunk], offset: u64) -> Option<&Chunk> {
        let at = chunks.partition_point(|chunk| chunk.offset + chunk.length <= offset);
        chunks.get(at)
    }
}

fn truncated() -> Error {
    Error::new(
        Errno::Io,
        "the archive ends before the data of the file: it was changed while it was in use",
    )
}

impl ReadAt for TarFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let length = self.length_at(buffer.len(), offset);
        let buffer = &mut buffer[..length];
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(chunks) = &self.chunks else {
            return self.read_data(buffer, self.data + offset);
        };
        match Self::chunk_at(chunks, offset) {
            Some(chunk) if chunk.offset <= offset => {
                let into = offset - chunk.offset;
                let rest = usize::try_from(chunk.length - into).unwrap_or(usize::MAX);
                let length = buffer.len().min(rest);
                self.read_data(&mut buffer[..length], chunk.data + into)
            }
            next => {
                let hole = next.map_or(u64::MAX, |chunk| chunk.offset) - offset;
                let length = usize::try_from(hole).map_or(length, |hole| length.min(hole));
                buffer[..length].fill(0);
                Ok(length)
            }
        }
    }

    fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        let length = self.length_at(length, offset);
        if length == 0 {
            return Ok(Vec::new());
        }
        if self.chunks.is_some() {
            let mut buffer = vec![0; length];
            let read = self.read_at(&mut buffer, offset)?;
            buffer.truncate(read);
            return Ok(buffer);
        }
        let bytes = self.source.read_vec_at(length, self.data + offset)?;
        if bytes.is_empty() {
            return Err(truncated());
        }
        Ok(bytes)
    }

    fn meta(&self) -> Result<Meta> {
        Ok(self.meta)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        if offset >= self.meta.size {
            return Ok(None);
        }
        let Some(chunks) = &self.chunks else {
            return Ok(Some(offset..self.meta.size));
        };
        Ok(Self::chunk_at(chunks, offset)
            .map(|chunk| chunk.offset.max(offset)..chunk.offset + chunk.length))
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        if self.chunks.is_some() {
            return Ok(());
        }
        let rest = self.meta.size.saturating_sub(offset);
        // 0 is to the end of the file.
        let length = if length == 0 { rest } else { length.min(rest) };
        if length == 0 {
            return Ok(());
        }
        self.source.advise(self.data + offset, length, advice)
    }
}
