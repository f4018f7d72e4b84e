//! Looking at files: one system call for a name, three for a path.

use super::from_io;
use super::path::is_one_name;
use crate::error::Result;
use crate::identity::IdentityKey;
use crate::meta::{Identity, Kind, Stat, Timestamp};
use crate::plain::dir::errno::from_errno;
use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, FileType, OFlags};
use std::fs::File;

/// The place of a file on the host, which its identity is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Place {
    pub(super) fn of(raw: &rustix::fs::Stat) -> Self {
        Self {
            device: raw.st_dev,
            inode: raw.st_ino,
        }
    }

    pub(super) fn identity(self, key: &IdentityKey) -> Identity {
        key.of(0, self.device, self.inode)
    }
}

/// `fstat`.
pub(super) fn of_file(file: &File) -> Result<rustix::fs::Stat> {
    rustix::fs::fstat(file).map_err(from_errno)
}

/// What `path` is.
pub(super) fn of_path(start: &File, path: &str, follow: bool) -> Result<rustix::fs::Stat> {
    if is_one_name(path) {
        // A name that is no link is the file itself, whether links are followed or not.
        let raw = rustix::fs::statat(start, path, AtFlags::SYMLINK_NOFOLLOW).map_err(from_errno)?;
        if !follow || kind(&raw) != Kind::Symlink {
            return Ok(raw);
        }
    }
    of_file(&open_path(start, path, follow)?)
}

/// A handle on whatever `path` is. It cannot be read or written, and getting it neither blocks
/// nor asks for permissions on the file.
pub(super) fn open_path(start: &File, path: &str, follow: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(OFlags::PATH.bits() as i32)
        ._cap_fs_ext_follow(following(follow));
    cap_primitives::fs::open(start, path.as_ref(), &options).map_err(from_io)
}

pub(super) fn following(follow: bool) -> FollowSymlinks {
    if follow {
        FollowSymlinks::Yes
    } else {
        FollowSymlinks::No
    }
}

pub(super) fn kind(raw: &rustix::fs::Stat) -> Kind {
    // Linux has no eighth type.
    kind_of(FileType::from_raw_mode(raw.st_mode)).unwrap_or(Kind::CharDevice)
}

/// The type, unless it is not known.
pub(super) fn kind_of(file_type: FileType) -> Option<Kind> {
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

/// What a guest is told.
pub(super) fn shown(raw: &rustix::fs::Stat, key: &IdentityKey) -> Stat {
    // The widths of these fields differ between architectures.
    #![expect(clippy::unnecessary_cast, reason = "see above")]
    let time = |seconds, nanoseconds: u64| Timestamp {
        seconds,
        nanoseconds: nanoseconds as u32,
    };
    Stat {
        kind: kind(raw),
        size: raw.st_size as u64,
        links: raw.st_nlink as u64,
        accessed: time(raw.st_atime as i64, raw.st_atime_nsec as u64),
        modified: time(raw.st_mtime as i64, raw.st_mtime_nsec as u64),
        changed: time(raw.st_ctime as i64, raw.st_ctime_nsec as u64),
        identity: Place::of(raw).identity(key),
    }
}
