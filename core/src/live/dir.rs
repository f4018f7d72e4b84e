//! [`LiveDir`]: a directory of a live mount. Each method calls the file that has the operation.

use super::file::LiveFile;
use super::stat::{self, FileId};
use super::{Mount, change, from_io, list, open, read_only, times};
use crate::error::{Errno, Error, Result};
use crate::identity::IdentityKey;
use crate::listing::Listing;
use crate::meta::{Identity, Meta, SetTimes, Stat};
use crate::open_how::{FileOrDir, OpenHow};
use crate::plain::dir::errno::from_errno;
use crate::plain::dir::reopen;
use std::fs::File;
use std::sync::{Arc, OnceLock};

/// A directory of a live mount. A clone refers to the same directory.
#[derive(Clone, Debug)]
pub(crate) struct LiveDir(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The directory: a handle that can be listed, or an `O_PATH` handle.
    file: File,
    /// Its device and inode number, from the first query on.
    file_id: OnceLock<FileId>,
    mount: Arc<Mount>,
}

impl LiveDir {
    pub(super) fn new(file: File, file_id: Option<FileId>, mount: Arc<Mount>) -> Self {
        Self(Arc::new(Inner {
            file,
            file_id: file_id.map(OnceLock::from).unwrap_or_default(),
            mount,
        }))
    }

    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    pub(super) fn mount(&self) -> &Arc<Mount> {
        &self.0.mount
    }

    pub(super) fn key(&self) -> &IdentityKey {
        &self.0.mount.key
    }

    /// The device and inode number. They never change, even if the directory is renamed or removed.
    pub(super) fn file_id(&self) -> Result<FileId> {
        if let Some(file_id) = self.0.file_id.get() {
            return Ok(*file_id);
        }
        let file_id = FileId::of(&stat::of_file(self.file())?);
        Ok(*self.0.file_id.get_or_init(|| file_id))
    }

    pub(crate) fn is_writable(&self) -> bool {
        !self.0.mount.read_only
    }

    /// The path on the host, for a log.
    pub(crate) fn host_path(&self) -> Option<String> {
        super::host_path(self.file())
    }

    pub(crate) fn open_at(&self, path: &str, how: OpenHow) -> Result<FileOrDir<LiveFile, LiveDir>> {
        open::open_at(self, path, how)
    }

    pub(crate) fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        Ok(stat::to_stat(&self.meta_at(path, follow)?))
    }

    pub(crate) fn meta_at(&self, path: &str, follow: bool) -> Result<Meta> {
        stat::of_path(self.file(), path, follow)
    }

    pub(crate) fn stat_and_identity_at(
        &self,
        path: &str,
        follow: bool,
    ) -> Result<(Stat, Identity)> {
        let meta = stat::of_path(self.file(), path, follow)?;
        Ok((stat::to_stat(&meta), FileId::of(&meta).identity(self.key())))
    }

    pub(crate) fn identity_at(&self, path: &str, follow: bool) -> Result<Identity> {
        let meta = stat::of_path(self.file(), path, follow)?;
        Ok(FileId::of(&meta).identity(self.key()))
    }

    pub(crate) fn set_times_at(&self, path: &str, follow: bool, times: SetTimes) -> Result<()> {
        if times.is_noop() || !self.is_writable() {
            stat::of_path(self.file(), path, follow)?;
            return self.check_times_allowed(times);
        }
        times::of_path(self.file(), path, follow, times)
    }

    fn check_times_allowed(&self, times: SetTimes) -> Result<()> {
        if times.is_noop() || self.is_writable() {
            return Ok(());
        }
        Err(super::read_only_error())
    }

    pub(crate) fn create_directory_at(&self, path: &str) -> Result<()> {
        if !self.is_writable() {
            read_only::create_directory(self, path)?;
            return Err(super::read_only_error());
        }
        change::create_directory(self, path)
    }

    pub(crate) fn remove_directory_at(&self, path: &str) -> Result<()> {
        if !self.is_writable() {
            read_only::remove_directory(self, path)?;
            return Err(super::read_only_error());
        }
        change::remove_directory(self, path)
    }

    pub(crate) fn unlink_file_at(&self, path: &str) -> Result<()> {
        if !self.is_writable() {
            read_only::unlink_file(self, path)?;
            return Err(super::read_only_error());
        }
        change::unlink_file(self, path)
    }

    pub(crate) fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        if !self.is_writable() {
            read_only::symlink(self, target, path)?;
            return Err(super::read_only_error());
        }
        change::symlink(self, target, path)
    }

    pub(crate) fn readlink_at(&self, path: &str) -> Result<String> {
        let target = cap_primitives::fs::read_link(self.file(), path.as_ref()).map_err(from_io)?;
        target.into_os_string().into_string().map_err(|_| {
            Error::because(
                Errno::IllegalByteSequence,
                || "the link's target is not UTF-8",
            )
        })
    }

    pub(crate) fn link_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        if !self.is_writable() || !new_dir.is_writable() {
            read_only::link(self, path, new_dir, new_path)?;
            return Err(super::read_only_error());
        }
        change::link(self, path, new_dir, new_path)
    }

    pub(crate) fn rename_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        if !self.is_writable() || !new_dir.is_writable() {
            read_only::rename(self, path, new_dir, new_path)?;
            return Err(super::read_only_error());
        }
        change::rename(self, path, new_dir, new_path)
    }

    pub(crate) fn list(&self) -> Result<Arc<Listing>> {
        list::list(self)
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        let meta = stat::of_file(self.file())?;
        // WASI 0.1 asks for the identity next, which then takes no system call.
        self.0.file_id.get_or_init(|| FileId::of(&meta));
        Ok(stat::to_stat(&meta))
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(self.file_id()?.identity(self.key()))
    }

    pub(crate) fn set_times(&self, times: SetTimes) -> Result<()> {
        self.check_times_allowed(times)?;
        times::of_file(self.file(), times)
    }

    pub(crate) fn sync(&self, data_only: bool) -> Result<()> {
        let sync = |file: &File| {
            if data_only {
                rustix::fs::fdatasync(file)
            } else {
                rustix::fs::fsync(file)
            }
        };
        match sync(self.file()) {
            // An `O_PATH` handle.
            Err(rustix::io::Errno::BADF) => reopen(self.file())
                .and_then(|dir| sync(&dir.into()))
                .map_err(from_errno),
            result => result.map_err(from_errno),
        }
    }
}
