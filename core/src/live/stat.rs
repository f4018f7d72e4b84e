//! `stat` on a live mount: one system call for a name, three for a path.

use super::from_io;
use super::path::is_single_name;
use crate::error::Result;
use crate::identity::IdentityKey;
use crate::meta::{Identity, Kind, Meta, Stat};
use crate::name::Name;
use crate::plain::dir::stat::meta;
use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use std::fs::File;
use std::os::fd::AsFd;

/// The device and inode number of a file on the host, from which its identity is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(meta: &Meta) -> Self {
        Self {
            device: meta.device,
            inode: meta.inode,
        }
    }

    pub(super) fn identity(self, key: &IdentityKey) -> Identity {
        key.of(0, self.device, self.inode)
    }
}

/// The metadata of an open file.
pub(super) fn of_file(file: &File) -> Result<Meta> {
    meta(file.as_fd(), None)
}

/// The metadata of the file at `path`.
pub(super) fn of_path(start: &File, path: &str, follow: bool) -> Result<Meta> {
    if is_single_name(path) {
        // If it is not a symbolic link, following links makes no difference.
        let meta = meta(start.as_fd(), Some(Name::new(path.as_bytes())?))?;
        if !follow || meta.kind != Kind::Symlink {
            return Ok(meta);
        }
    }
    of_file(&open_path(start, path, follow)?)
}

/// Opens the file at `path`, of any type, as an `O_PATH` handle. It cannot be read or written; opening it
/// neither blocks nor needs permissions on the file.
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

/// The metadata that a guest sees.
pub(super) fn to_stat(meta: &Meta) -> Stat {
    Stat {
        kind: meta.kind,
        size: meta.size,
        links: meta.links,
        accessed: meta.accessed,
        modified: meta.modified,
        changed: meta.changed,
    }
}
