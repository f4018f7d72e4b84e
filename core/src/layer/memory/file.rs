//! [`MemoryFile`]: an open file of a memory layer.

use super::file_data::MAX_FILE_SIZE;
use super::node::Node;
use crate::error::{Errno, Result};
use crate::layer::{ReadAt, WriteAt};
use crate::meta::{Meta, SetTimes};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// An open regular file of a [`MemoryLayer`](super::MemoryLayer).
#[derive(Clone)]
pub struct MemoryFile {
    node: Arc<Node>,
    writable: bool,
}

impl MemoryFile {
    pub(super) fn open(node: Arc<Node>, writable: bool) -> Result<Self> {
        node.file()?;
        Ok(Self { node, writable })
    }

    /// The node, if the file was opened for writing.
    fn writable(&self) -> Result<&Node> {
        if !self.writable {
            return Err(Errno::BadDescriptor.into());
        }
        Ok(&self.node)
    }
}

impl ReadAt for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        Ok(self.node.file()?.read().read(buffer, offset))
    }

    fn meta(&self) -> Result<Meta> {
        Ok(self.node.meta())
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        Ok(self.node.file()?.read().next_data(offset))
    }
}

impl WriteAt for MemoryFile {
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let node = self.writable()?;
        let mut data = node.file()?.write();
        let done = data.write(buffer, offset)?;
        if done > 0 {
            node.data_changed();
        }
        Ok(done)
    }

    fn append(&self, buffer: &[u8]) -> Result<usize> {
        let node = self.writable()?;
        let mut data = node.file()?.write();
        let end = data.size();
        // As on a disk: a write that fits in part is short, and only a write at the limit fails.
        let room = usize::try_from(MAX_FILE_SIZE.saturating_sub(end)).unwrap_or(usize::MAX);
        let fits = match room {
            0 => buffer.len(),
            room => buffer.len().min(room),
        };
        let done = data.write(&buffer[..fits], end)?;
        if done > 0 {
            node.data_changed();
        }
        Ok(done)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        let node = self.writable()?;
        let mut data = node.file()?.write();
        data.set_size(size)?;
        node.data_changed();
        Ok(())
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.node.set_times(times);
        Ok(())
    }

    fn set_mode(&self, mode: u32) -> Result<()> {
        self.node.set_mode(mode);
        Ok(())
    }

    fn sync(&self, _data_only: bool) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile")
            .field("inode", &self.node.inode)
            .finish_non_exhaustive()
    }
}
