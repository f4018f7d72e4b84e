//! Open files of a memory layer.

use super::node::Node;
use crate::error::Result;
use crate::layer::{ReadAt, WriteAt};
use crate::meta::{Meta, SetTimes};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A regular file of a [`MemoryLayer`](super::MemoryLayer), open for reading.
#[derive(Clone)]
pub struct MemoryFile(Arc<Node>);

/// A regular file of a [`MemoryLayer`](super::MemoryLayer), open for reading and writing.
#[derive(Clone, Debug)]
pub struct MemoryWritable(MemoryFile);

impl MemoryFile {
    pub(super) fn open(node: Arc<Node>) -> Result<Self> {
        node.file()?;
        Ok(Self(node))
    }
}

impl MemoryWritable {
    pub(super) fn open(node: Arc<Node>) -> Result<Self> {
        MemoryFile::open(node).map(Self)
    }

    fn node(&self) -> &Node {
        &self.0.0
    }
}

impl ReadAt for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        Ok(self.0.file()?.read().read(buffer, offset))
    }

    fn meta(&self) -> Result<Meta> {
        Ok(self.0.meta())
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        Ok(self.0.file()?.read().next_data(offset))
    }
}

impl ReadAt for MemoryWritable {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn meta(&self) -> Result<Meta> {
        self.0.meta()
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.0.next_data(offset)
    }
}

impl WriteAt for MemoryWritable {
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let mut data = self.node().file()?.write();
        let done = data.write(buffer, offset)?;
        if done > 0 {
            self.node().touch();
        }
        Ok(done)
    }

    fn append(&self, buffer: &[u8]) -> Result<usize> {
        let mut data = self.node().file()?.write();
        let end = data.size();
        let done = data.write(buffer, end)?;
        if done > 0 {
            self.node().touch();
        }
        Ok(done)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        let mut data = self.node().file()?.write();
        data.set_size(size)?;
        self.node().touch();
        Ok(())
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.node().set_times(times);
        Ok(())
    }

    fn set_mode(&self, mode: u32) -> Result<()> {
        self.node().set_mode(mode);
        Ok(())
    }

    fn sync(&self, _data_only: bool) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile")
            .field("inode", &self.0.inode)
            .finish_non_exhaustive()
    }
}
