//! [`HostFile`]: an open regular file of the host.

use super::errno::from_errno;
use super::{copy, open, stat};
use crate::error::{Errno, Error, Result};
use crate::layer::{Advice, ReadAt, WriteAt};
use crate::meta::{Kind, Meta, SetTimes};
use crate::name::Name;
use crate::plain::Access;
use crate::sync::Mutex;
use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, SeekFrom};
use rustix::io::{Errno as Os, ReadWriteFlags, retry_on_intr};
use std::any::Any;
use std::io::IoSlice;
use std::num::NonZeroU64;
use std::ops::Range;

/// The maximum size of a file on the system.
const MAX_SIZE: u64 = i64::MAX as u64;

/// An open regular file of the host: one descriptor and nothing else.
#[derive(Debug)]
pub struct HostFile(OwnedFd);

/// The flags to open a file with. With `O_NONBLOCK` and `O_NOCTTY` the open is harmless even if another
/// type of file has taken the name: it neither waits for the other end of a fifo nor makes a terminal the
/// controlling one.
pub(super) fn open_flags(access: Access) -> OFlags {
    let how = match access {
        Access::Read => OFlags::RDONLY,
        Access::ReadWrite => OFlags::RDWR,
    };
    how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

/// The error of opening a file that is neither a regular file nor a directory.
pub(crate) fn unsupported() -> Error {
    Error::because(
        Errno::Unsupported,
        || "FIFOs, sockets and devices cannot be opened",
    )
}

impl HostFile {
    /// The result of an open with these [`open_flags`], if it is a regular file.
    ///
    /// The type is read from the descriptor, since another file may have taken the name before the open.
    pub(super) fn from_open(opened: Result<OwnedFd, Os>) -> Result<Self> {
        let fd = opened.map_err(|os| match os {
            // A socket, or a device without a driver.
            Os::NXIO | Os::NODEV => unsupported(),
            os => from_errno(os),
        })?;
        match stat::meta(fd.as_fd(), None)?.kind {
            Kind::File => Ok(Self(fd)),
            Kind::Dir => Err(Errno::IsDirectory.into()),
            Kind::Symlink => Err(Errno::Loop.into()),
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => Err(unsupported()),
        }
    }

    /// Creates an empty file. Fails if the name exists.
    pub(super) fn create(dir: BorrowedFd<'_>, name: Name<'_>, mode: u32) -> Result<Self> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open::at(dir, name.as_bytes(), flags, stat::mode(mode))
            .map(Self)
            .map_err(from_errno)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The part of `length` bytes at `offset` that can be requested: the system refuses a range that ends past
/// the maximum file size. No file has data there.
fn readable_length(length: usize, offset: u64) -> usize {
    let room = MAX_SIZE.saturating_sub(offset);
    usize::try_from(room).map_or(length, |room| length.min(room))
}

/// `pread` into `buffer`. Returns 0 for an offset that no file can have.
pub(crate) fn read_at(file: impl AsFd, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let length = readable_length(buffer.len(), offset);
    let buffer = &mut buffer[..length];
    if buffer.is_empty() {
        return Ok(0);
    }
    retry_on_intr(|| rustix::io::pread(&file, &mut *buffer, offset)).map_err(from_errno)
}

/// `posix_fadvise`.
pub(crate) fn advise(file: impl AsFd, offset: u64, length: u64, advice: Advice) -> Result<()> {
    let advice = match advice {
        Advice::Normal => rustix::fs::Advice::Normal,
        Advice::Sequential => rustix::fs::Advice::Sequential,
        Advice::Random => rustix::fs::Advice::Random,
        Advice::WillNeed => rustix::fs::Advice::WillNeed,
        Advice::DontNeed => rustix::fs::Advice::DontNeed,
        Advice::NoReuse => rustix::fs::Advice::NoReuse,
    };
    rustix::fs::fadvise(file, offset, NonZeroU64::new(length), advice).map_err(from_errno)
}

/// `pread` of at most `length` bytes (at least 1) into a new buffer that is not zeroed first.
pub(crate) fn read_vec_at(file: impl AsFd, length: usize, offset: u64) -> Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(length);
    retry_on_intr(|| rustix::io::pread(&file, spare_capacity(&mut buffer), offset))
        .map_err(from_errno)?;
    // The capacity of a vector may exceed the requested one.
    buffer.truncate(length);
    Ok(buffer)
}

impl ReadAt for HostFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        read_at(&self.0, buffer, offset)
    }

    fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        match readable_length(length, offset) {
            0 => Ok(Vec::new()),
            length => read_vec_at(&self.0, length, offset),
        }
    }

    fn meta(&self) -> Result<Meta> {
        stat::meta(self.0.as_fd(), None)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        if offset > MAX_SIZE {
            return Ok(None);
        }
        // The calls move the descriptor's file position, which nothing else here uses.
        let start = match rustix::fs::seek(&self.0, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Os::NXIO) => return Ok(None),
            // A filesystem that does not report holes.
            Err(Os::INVAL | Os::OPNOTSUPP) => {
                let size = self.meta()?.size;
                return Ok((offset < size).then_some(offset..size));
            }
            Err(os) => return Err(from_errno(os)),
        };
        match rustix::fs::seek(&self.0, SeekFrom::Hole(start)) {
            Ok(end) if end > start => Ok(Some(start..end)),
            // Truncated or punched meanwhile.
            Ok(_) | Err(Os::NXIO) => Ok(None),
            Err(os) => Err(from_errno(os)),
        }
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        advise(&self.0, offset, length, advice)
    }

    fn native(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl WriteAt for HostFile {
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > MAX_SIZE) {
            return Err(Errno::FileTooLarge.into());
        }
        retry_on_intr(|| rustix::io::pwrite(&self.0, buffer, offset)).map_err(from_errno)
    }

    fn append(&self, buffer: &[u8]) -> Result<usize> {
        // RWF_APPEND (Linux 4.16) finds the end and writes there under the inode's lock.
        let slices = [IoSlice::new(buffer)];
        match retry_on_intr(|| rustix::io::pwritev2(&self.0, &slices, 0, ReadWriteFlags::APPEND)) {
            Err(Os::OPNOTSUPP | Os::NOSYS | Os::INVAL) => self.append_locked(buffer),
            other => other.map_err(from_errno),
        }
    }

    fn set_size(&self, size: u64) -> Result<()> {
        if size > MAX_SIZE {
            return Err(Errno::FileTooLarge.into());
        }
        retry_on_intr(|| rustix::fs::ftruncate(&self.0, size)).map_err(from_errno)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        rustix::fs::futimens(&self.0, &stat::timestamps(times)?).map_err(from_errno)
    }

    fn set_mode(&self, mode: u32) -> Result<()> {
        rustix::fs::fchmod(&self.0, stat::mode(mode)).map_err(from_errno)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        if data_only {
            rustix::fs::fdatasync(&self.0)
        } else {
            rustix::fs::fsync(&self.0)
        }
        .map_err(from_errno)
    }

    fn copy_from(&self, from: &dyn ReadAt, range: Range<u64>) -> Result<u64> {
        match from.native().and_then(|file| file.downcast_ref::<Self>()) {
            Some(from) => copy::copy(from, self, range),
            None => Ok(0),
        }
    }
}

impl HostFile {
    /// Appends on a system that has no call for it. One lock for all files suffices: such old systems are
    /// rare, and no other process writes to an upper.
    pub(super) fn append_locked(&self, buffer: &[u8]) -> Result<usize> {
        static APPENDING: Mutex<()> = Mutex::new(());
        let _appending = APPENDING.lock();
        let end = self.meta()?.size;
        self.write_at(buffer, end)
    }
}
