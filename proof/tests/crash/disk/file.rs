//! Open files.

use super::{Shared, meta_of};
use std::any::Any;
use std::sync::Arc;
use wasi_overlay_core::layer::{ReadAt, WriteAt};
use wasi_overlay_core::{Errno, Meta, Result, SetTimes};

/// Bytes of the longest file.
const MAX_SIZE: u64 = 1 << 30;

#[derive(Debug)]
pub(crate) struct DiskFile {
    pub(super) shared: Arc<Shared>,
    pub(super) inode: u64,
    pub(super) writable: bool,
    pub(super) _open: Arc<()>,
}

impl DiskFile {
    fn write(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        if !self.writable {
            return Err(Errno::BadDescriptor.into());
        }
        self.shared.journal().change(&[], |names, files| {
            let content = files.entry(self.inode).or_default();
            write(Arc::make_mut(&mut content.now));
            content.is_written |= content.is_published;
            names.inode_mut(self.inode)?.touch();
            Ok(())
        })
    }
}

fn put(data: &mut Vec<u8>, buffer: &[u8], offset: usize) {
    let end = offset + buffer.len();
    data.resize(data.len().max(end), 0);
    data[offset..end].copy_from_slice(buffer);
}

impl ReadAt for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let data = self.shared.journal().now().content(self.inode);
        let from = usize::try_from(offset).map_or(data.len(), |offset| offset.min(data.len()));
        let length = buffer.len().min(data.len() - from);
        buffer[..length].copy_from_slice(&data[from..from + length]);
        Ok(length)
    }

    fn meta(&self) -> Result<Meta> {
        meta_of(self.shared.journal().now(), self.inode)
    }

    fn native(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl WriteAt for DiskFile {
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let end = offset.checked_add(buffer.len() as u64);
        let fits = end.is_some_and(|end| end <= MAX_SIZE);
        let offset = usize::try_from(offset).map_err(|_| Errno::FileTooLarge)?;
        if !fits {
            return Err(Errno::FileTooLarge.into());
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        self.write(|data| put(data, buffer, offset))?;
        Ok(buffer.len())
    }

    fn append(&self, buffer: &[u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.write(|data| data.extend_from_slice(buffer))?;
        Ok(buffer.len())
    }

    fn set_size(&self, size: u64) -> Result<()> {
        if size > MAX_SIZE {
            return Err(Errno::FileTooLarge.into());
        }
        let size = usize::try_from(size).map_err(|_| Errno::FileTooLarge)?;
        self.write(|data| data.resize(size, 0))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.shared.journal().change(&[], |names, _| {
            names.inode_mut(self.inode)?.set(times);
            Ok(())
        })
    }

    fn set_mode(&self, mode: u32) -> Result<()> {
        self.shared.journal().change(&[], |names, _| {
            names.inode_mut(self.inode)?.mode = mode;
            Ok(())
        })
    }

    fn sync(&self, _data_only: bool) -> Result<()> {
        self.shared.journal().sync_file(self.inode);
        Ok(())
    }
}
