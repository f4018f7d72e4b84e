//! [`LiveFile`]: an open file of a live mount. Each method is one system call on the caller's buffer.

use super::stat::{self, FileId};
use super::{Mount, times};
use crate::error::{Error, Result};
use crate::host_descriptors::guests::Handle;
use crate::layer::Advice;
use crate::meta::{Identity, SetTimes, Stat};
use crate::plain::dir::errno::from_errno;
use crate::plain::dir::{file, open};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno as Os, ReadWriteFlags, retry_on_intr};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// An open file of a live mount. A clone refers to the same open file.
#[derive(Clone, Debug)]
pub(crate) struct LiveFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    file_id: FileId,
    mount: Arc<Mount>,
    readable: bool,
    writable: bool,
    /// Its entry in the count of the guest's open handles.
    handle: Option<Handle>,
}

impl LiveFile {
    pub(super) fn new(
        file: File,
        file_id: FileId,
        mount: Arc<Mount>,
        readable: bool,
        writable: bool,
    ) -> Self {
        Self(Arc::new(Inner {
            file,
            file_id,
            mount,
            readable,
            writable,
            handle: None,
        }))
    }

    /// Attaches `handle`, which counts for as long as the file is open.
    ///
    /// Preconditions: the file was just opened, so it has no other holder.
    pub(crate) fn attach_handle(&mut self, handle: Handle) {
        let inner = Arc::get_mut(&mut self.0);
        debug_assert!(inner.is_some(), "the file is shared already");
        if let Some(inner) = inner {
            inner.handle = Some(handle);
        }
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        retry_on_intr(|| rustix::io::pread(&self.0.file, &mut *buffer, offset)).map_err(from_errno)
    }

    pub(crate) fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        if length == 0 {
            // Nothing to read, but the system still reports what is wrong with the file.
            self.read_at(&mut [], offset)?;
            return Ok(Vec::new());
        }
        file::read_vec_at(&self.0.file, length, offset)
    }

    pub(crate) fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        retry_on_intr(|| rustix::io::pwrite(&self.0.file, buffer, offset)).map_err(from_errno)
    }

    pub(crate) fn append(&self, buffer: &[u8]) -> Result<usize> {
        let slices = [IoSlice::new(buffer)];
        let append = || rustix::io::pwritev2(&self.0.file, &slices, 0, ReadWriteFlags::APPEND);
        match retry_on_intr(append) {
            // gVisor has the call, but not the flag.
            Err(Os::NOSYS | Os::OPNOTSUPP) => self.append_reopened(buffer),
            result => result.map_err(from_errno),
        }
    }

    /// Appends through a second descriptor of the file. Setting `O_APPEND` on the first for a moment, as
    /// wasmtime-wasi does, would make the writes of other threads append too.
    fn append_reopened(&self, buffer: &[u8]) -> Result<usize> {
        if !self.0.writable {
            return Err(Error::not_open_for("writing"));
        }
        let path = format!("/proc/self/fd/{}", self.0.file.as_raw_fd());
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
        open::at(CWD, path.as_str(), flags, Mode::empty())
            .and_then(|file| rustix::io::write(&file, buffer))
            .map_err(from_errno)
    }

    pub(crate) fn set_size(&self, size: u64) -> Result<()> {
        if self.0.mount.read_only {
            return Err(super::read_only_error());
        }
        rustix::fs::ftruncate(&self.0.file, size).map_err(from_errno)
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        Ok(stat::to_stat(&stat::of_file(&self.0.file)?))
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(self.0.file_id.identity(&self.0.mount.key))
    }

    pub(crate) fn set_times(&self, times: SetTimes) -> Result<()> {
        if self.0.mount.read_only && !times.is_noop() {
            return Err(super::read_only_error());
        }
        times::of_file(&self.0.file, times)
    }

    pub(crate) fn sync(&self, data_only: bool) -> Result<()> {
        if data_only {
            rustix::fs::fdatasync(&self.0.file).map_err(from_errno)
        } else {
            rustix::fs::fsync(&self.0.file).map_err(from_errno)
        }
    }

    pub(crate) fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        file::advise(&self.0.file, offset, length, advice)
    }

    /// The path on the host, for a log.
    pub(crate) fn host_path(&self) -> Option<String> {
        super::host_path(&self.0.file)
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.0.readable
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.0.writable
    }
}
