//! [`FaultyFile`]: an open file of a faulty tree.

use super::Faults;
use crate::error::Result;
use crate::layer::{Advice, ReadAt, WriteAt};
use crate::meta::{Meta, SetTimes};
use std::any::Any;
use std::ops::Range;

/// An open file whose calls fail when its [`Faults`] say so.
#[derive(Debug)]
pub struct FaultyFile<F> {
    pub(super) file: F,
    pub(super) faults: Faults,
}

impl<F: WriteAt> ReadAt for FaultyFile<F> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.faults.query("read")?;
        self.file.read_at(buffer, offset)
    }

    fn meta(&self) -> Result<Meta> {
        self.faults.query("fstat")?;
        self.file.meta()
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.faults.query("seek")?;
        self.file.next_data(offset)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.faults.query("advise")?;
        self.file.advise(offset, length, advice)
    }

    fn native(&self) -> Option<&dyn Any> {
        self.file.native()
    }
}

impl<F: WriteAt> WriteAt for FaultyFile<F> {
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        self.faults.change("write")?;
        self.file.write_at(buffer, offset)
    }

    fn append(&self, buffer: &[u8]) -> Result<usize> {
        self.faults.change("append")?;
        self.file.append(buffer)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.faults.change("truncate")?;
        self.file.set_size(size)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.faults.change("futimens")?;
        self.file.set_times(times)
    }

    fn set_mode(&self, mode: u32) -> Result<()> {
        self.faults.change("fchmod")?;
        self.file.set_mode(mode)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        self.faults.change("fsync")?;
        self.file.sync(data_only)
    }

    fn copy_from(&self, from: &dyn ReadAt, range: Range<u64>) -> Result<u64> {
        self.faults.change("copy")?;
        self.file.copy_from(from, range)
    }
}
