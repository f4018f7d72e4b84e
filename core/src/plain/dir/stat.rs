//! Reading of metadata with `statx`, and setting of times and modes.

use super::errno::from_errno;
use super::{name_or_dot, name_or_empty};
use crate::error::{Errno, Result};
use crate::meta::{Kind, Meta, SetTime, SetTimes, Timestamp};
use crate::name::Name;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, StatxTimestamp, Timespec, Timestamps,
    UTIME_NOW, UTIME_OMIT,
};

/// The metadata of `name`, or of the file behind `fd` itself.
pub(crate) fn meta(fd: BorrowedFd<'_>, name: Option<Name<'_>>) -> Result<Meta> {
    let (path, flags) = name_or_empty(name);
    let flags = flags | AtFlags::NO_AUTOMOUNT;
    let statx = rustix::fs::statx(fd, path, flags, StatxFlags::BASIC_STATS).map_err(from_errno)?;
    from_statx(&statx)
}

fn from_statx(statx: &Statx) -> Result<Meta> {
    let file_type = FileType::from_raw_mode(statx.stx_mode.into());
    // No file has any other type: the layer is damaged.
    let kind = kind(file_type).ok_or(Errno::Io)?;
    Ok(Meta {
        kind,
        size: statx.stx_size,
        // Always in blocks of 512 bytes.
        allocated: Some(statx.stx_blocks.saturating_mul(512)),
        links: statx.stx_nlink.into(),
        accessed: timestamp(statx.stx_atime),
        modified: timestamp(statx.stx_mtime),
        changed: timestamp(statx.stx_ctime),
        device: rustix::fs::makedev(statx.stx_dev_major, statx.stx_dev_minor),
        inode: statx.stx_ino,
        mode: Some(u32::from(statx.stx_mode) & 0o7777),
        owner: Some((statx.stx_uid, statx.stx_gid)),
        rdev: rustix::fs::makedev(statx.stx_rdev_major, statx.stx_rdev_minor),
        implied: false,
    })
}

/// The type. `None` if the system did not report it.
pub(super) fn kind(file_type: FileType) -> Option<Kind> {
    Some(match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => return None,
    })
}

fn timestamp(time: StatxTimestamp) -> Timestamp {
    Timestamp {
        seconds: time.tv_sec,
        nanoseconds: time.tv_nsec,
    }
}

/// The times as `utimensat` takes them.
pub(crate) fn timestamps(times: SetTimes) -> Result<Timestamps> {
    Ok(Timestamps {
        last_access: timespec(times.accessed)?,
        last_modification: timespec(times.modified)?,
    })
}

fn timespec(time: SetTime) -> Result<Timespec> {
    let (tv_sec, tv_nsec) = match time {
        SetTime::Keep => (0, UTIME_OMIT),
        SetTime::Now => (0, UTIME_NOW),
        // UTIME_NOW and UTIME_OMIT are in this range too.
        SetTime::To(time) if time.nanoseconds >= 1_000_000_000 => {
            return Err(Errno::Invalid.into());
        }
        SetTime::To(time) => (time.seconds, time.nanoseconds.into()),
    };
    Ok(Timespec { tv_sec, tv_nsec })
}

/// The permission bits as the system takes them.
pub(super) fn mode(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}

/// `fchmodat` without following symbolic links. Linux has it only since 6.6, so the file is opened first.
///
/// A directory must be searchable for this, a file readable. The mode of any other type has no effect, and
/// is left unchanged.
pub(super) fn set_mode(
    dir: BorrowedFd<'_>,
    name: Option<Name<'_>>,
    bits: u32,
    open: impl FnOnce(&[u8], OFlags) -> rustix::io::Result<OwnedFd>,
) -> Result<()> {
    let path = name_or_dot(name);
    let bits = mode(bits);
    match meta(dir, name)?.kind {
        Kind::Dir => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            open(path, flags)
                .and_then(|fd| rustix::fs::chmodat(fd.as_fd(), ".", bits, AtFlags::empty()))
                .map_err(from_errno)
        }
        Kind::File => {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            open(path, flags)
                .and_then(|fd| rustix::fs::fchmod(fd, bits))
                .map_err(from_errno)
        }
        Kind::Symlink | Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => Ok(()),
    }
}
