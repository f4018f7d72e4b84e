//! [`HostDir`]: a directory tree of the host, with one system call for each method where possible.
//!
//! The embedder passes a `cap_std::fs::Dir` as the capability. Below it, calls are made with rustix on
//! descriptors: every name was checked before and no call follows a symbolic link, so a sandboxed path
//! walk would only add system calls, and it would refuse links with absolute targets, which a layer may
//! contain.
//!
//! Only this folder and `live` name cap-std or rustix.

mod copy;
pub(crate) mod errno;
pub(crate) mod file;
pub(crate) mod list;
pub(crate) mod location;
pub(crate) mod lock;
mod mounts;
pub(crate) mod open;
pub(crate) mod stat;
mod storage;
mod xattr;

pub use file::HostFile;

use crate::error::{Errno, Error, Result};
use crate::host_descriptors::is_exhausted;
use crate::layer::XattrNames;
use crate::meta::{Kind, Meta, SetTimes};
use crate::name::Name;
use crate::place::Place;
use crate::plain::{Access, Guarantees, Plain};
use crate::sync::Mutex;
use cap_std::ambient_authority;
use errno::from_errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, StatxFlags, Uid};
use rustix::io::Errno as Os;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Opens the directory at a path of the host, for an embedder that mounts it. Returns the path as a label.
///
/// # Errors
/// Those of opening a directory, with the path.
pub(crate) fn open_path(path: &Path) -> Result<(String, cap_std::fs::Dir)> {
    let label = path.display().to_string();
    match cap_std::fs::Dir::open_ambient_dir(path, ambient_authority()) {
        Ok(dir) => Ok((label, dir)),
        Err(error) => Err(Error::from(Errno::from(&error))
            .with_source(error)
            .context(label)),
    }
}

/// A directory of the host and everything below it, as a [`Plain`] tree.
#[derive(Debug)]
pub struct HostDir {
    /// A readable descriptor if the directory may be read, so that it can be locked and synced without
    /// another descriptor; else the descriptor from the embedder.
    dir: Arc<OwnedFd>,
    is_readable: bool,
    /// Set if no descriptor was left to test whether the directory is readable. The tree cannot be used
    /// then.
    open_error: Option<Os>,
    label: String,
    crosses_mounts: bool,
    /// The way to access the attributes of a name.
    xattrs: xattr::Route,
    /// The `flock`, while it is held. Guard: its own lock, a leaf.
    locked: Mutex<Option<lock::Held>>,
}

/// A directory below a [`HostDir`]: a descriptor, which refers to the same directory after renames.
#[derive(Debug)]
pub struct HostHandle {
    fd: OwnedFd,
    /// Whether the descriptor is readable. Otherwise it is an `O_PATH` descriptor, which an unreadable
    /// directory has too.
    is_readable: bool,
    /// Whether the position of the descriptor is still before the first name: the first listing uses the
    /// descriptor, and every further one opens its own.
    is_at_start: AtomicBool,
}

impl HostDir {
    /// The tree below `dir`. `label` names it in messages to the embedder, such as its path.
    pub fn new(dir: cap_std::fs::Dir, label: impl Into<String>) -> Self {
        let dir = OwnedFd::from(dir.into_std_file());
        // A directory that cannot be read can still be a lower layer.
        let (dir, is_readable, open_error) = match reopen(&dir) {
            Ok(readable) => (readable, true, None),
            Err(os) => (dir, false, Some(os).filter(|os| is_exhausted(*os))),
        };
        Self {
            dir: Arc::new(dir),
            is_readable,
            open_error,
            label: label.into(),
            crosses_mounts: false,
            xattrs: xattr::Route::find(),
            locked: Mutex::new(None),
        }
    }
}

impl HostDir {
    /// Sets whether filesystems that are mounted inside the directory, and files that are bind-mounted
    /// there, belong to the tree. By default they do not: a mount point is listed, and `stat` shows the
    /// mounted directory or file, but entering it is `cross-device` (`not-permitted` in a layer).
    /// An automount point is neither entered nor mounted.
    ///
    /// Not for uppers: no name can be moved from one filesystem to another.
    #[must_use]
    pub fn cross_mounts(mut self, cross: bool) -> Self {
        self.crosses_mounts = cross;
        self
    }

    /// Opens `name`. Fails at a mount point, unless the tree crosses mounts.
    fn open(&self, dir: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Os> {
        if self.crosses_mounts {
            open::at(dir, name, flags, Mode::empty())
        } else {
            open::within_mount(dir, name, flags)
        }
    }
}

impl Drop for HostDir {
    /// Unlocks explicitly: closing the descriptor does not unlock while a child process that is just being
    /// started has a copy of it.
    fn drop(&mut self) {
        lock::unlock(self);
    }
}

/// Opens the directory again, as a descriptor that can be read, synced and locked.
pub(crate) fn reopen(dir: impl AsFd) -> Result<OwnedFd, Os> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open::at(dir, ".", flags, Mode::empty())
}

/// The path of `name`, or of the directory itself, for calls without `AT_EMPTY_PATH`.
fn name_or_dot<'a>(name: Option<Name<'a>>) -> &'a [u8] {
    name.map_or(b".", Name::as_bytes)
}

/// The path and flags of `name`, or of the directory itself, for calls with `AT_EMPTY_PATH`: those
/// need no permission on the directory.
fn name_or_empty<'a>(name: Option<Name<'a>>) -> (&'a [u8], AtFlags) {
    match name {
        Some(name) => (name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW),
        None => (b"", AtFlags::EMPTY_PATH),
    }
}

impl HostHandle {
    /// Flags to open a directory that need not be readable.
    const ANY: OFlags = Self::flags(OFlags::PATH);
    /// Flags to open a directory that can be listed.
    const READABLE: OFlags = Self::flags(OFlags::RDONLY);

    const fn flags(access: OFlags) -> OFlags {
        access
            .union(OFlags::DIRECTORY)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC)
    }

    fn new(fd: OwnedFd, is_readable: bool) -> Self {
        Self {
            fd,
            is_readable,
            is_at_start: AtomicBool::new(is_readable),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Plain for HostDir {
    type Dir = HostHandle;
    type File = HostFile;

    fn label(&self) -> String {
        self.label.clone()
    }

    fn place(&self) -> Result<Option<Place>> {
        Place::of_open_dir(&self.dir, self.crosses_mounts).map(Some)
    }

    fn root(&self) -> Result<HostHandle> {
        if let Some(os) = self.open_error {
            return Err(from_errno(os));
        }
        let root = open::at(&self.dir, ".", HostHandle::ANY, Mode::empty());
        Ok(HostHandle::new(root.map_err(from_errno)?, false))
    }

    fn guarantees(&self) -> Guarantees {
        let guarantees = storage::guarantees(&self.dir, &self.label);
        Guarantees {
            // Before Linux 5.8 `syncfs` did not report failed writes.
            syncs_whole: guarantees.syncs_whole
                && self.is_readable
                && open::reports_mount_points(self.dir.as_fd()),
            ..guarantees
        }
    }

    fn meta(&self, dir: &HostHandle, name: Option<Name<'_>>) -> Result<Meta> {
        stat::meta(dir.fd(), name)
    }

    fn is_mount_point(&self, dir: &HostHandle, name: Name<'_>) -> Result<bool> {
        if self.crosses_mounts {
            return Ok(false);
        }
        open::is_mount_point(dir.fd(), name.as_bytes()).map_err(from_errno)
    }

    fn may_search(&self, dir: &HostHandle) -> Result<bool> {
        // Looks up a name that exists, which needs the permission to search: the call that checks it
        // for the effective user (`faccessat2`) is refused in sandboxes that do not know it.
        match rustix::fs::statx(dir.fd(), ".", AtFlags::NO_AUTOMOUNT, StatxFlags::empty()) {
            Ok(_) => Ok(true),
            Err(Os::ACCESS) => Ok(false),
            Err(os) => Err(from_errno(os)),
        }
    }

    fn open_dir(&self, dir: &HostHandle, name: Name<'_>) -> Result<HostHandle> {
        let opened = self.open(dir.fd(), name.as_bytes(), HostHandle::ANY);
        Ok(HostHandle::new(opened.map_err(from_errno)?, false))
    }

    /// Opens a readable descriptor if the directory may be read.
    fn open_to_list(&self, dir: &HostHandle, name: Name<'_>) -> Result<HostHandle> {
        match self.open(dir.fd(), name.as_bytes(), HostHandle::READABLE) {
            Err(Os::ACCESS) => self.open_dir(dir, name),
            opened => Ok(HostHandle::new(opened.map_err(from_errno)?, true)),
        }
    }

    fn open_file(&self, dir: &HostHandle, name: Name<'_>, access: Access) -> Result<HostFile> {
        HostFile::from_open(self.open(dir.fd(), name.as_bytes(), file::open_flags(access)))
    }

    fn create_file(&self, dir: &HostHandle, name: Name<'_>, mode: u32) -> Result<HostFile> {
        HostFile::create(dir.fd(), name, mode)
    }

    fn create_empty(&self, dir: &HostHandle, name: Name<'_>, mode: u32) -> Result<()> {
        let (bytes, bits) = (name.as_bytes(), stat::mode(mode));
        match rustix::fs::mknodat(dir.fd(), bytes, FileType::RegularFile, bits, 0) {
            // A filesystem in user space that creates files only by opening them, or a sandbox
            // without the call. If the error has another cause, `create_file` fails too.
            Err(Os::NOSYS | Os::PERM | Os::OPNOTSUPP | Os::INVAL) => {
                self.create_file(dir, name, mode).map(drop)
            }
            made => made.map_err(from_errno),
        }
    }

    fn create_dir(&self, dir: &HostHandle, name: Name<'_>, mode: u32) -> Result<()> {
        rustix::fs::mkdirat(dir.fd(), name.as_bytes(), stat::mode(mode)).map_err(from_errno)
    }

    fn symlink(&self, dir: &HostHandle, name: Name<'_>, target: &[u8]) -> Result<()> {
        rustix::fs::symlinkat(target, dir.fd(), name.as_bytes()).map_err(from_errno)
    }

    fn read_link(&self, dir: &HostHandle, name: Name<'_>) -> Result<Box<[u8]>> {
        rustix::fs::readlinkat(dir.fd(), name.as_bytes(), Vec::new())
            .map(|target| target.into_bytes().into())
            .map_err(from_errno)
    }

    fn link(
        &self,
        from: &HostHandle,
        from_name: Name<'_>,
        to: &HostHandle,
        to_name: Name<'_>,
    ) -> Result<()> {
        rustix::fs::linkat(
            from.fd(),
            from_name.as_bytes(),
            to.fd(),
            to_name.as_bytes(),
            AtFlags::empty(),
        )
        .map_err(from_errno)
    }

    fn rename(
        &self,
        from: &HostHandle,
        from_name: Name<'_>,
        to: &HostHandle,
        to_name: Name<'_>,
    ) -> Result<()> {
        rustix::fs::renameat(from.fd(), from_name.as_bytes(), to.fd(), to_name.as_bytes())
            .map_err(from_errno)
    }

    fn remove_file(&self, dir: &HostHandle, name: Name<'_>) -> Result<()> {
        rustix::fs::unlinkat(dir.fd(), name.as_bytes(), AtFlags::empty()).map_err(from_errno)
    }

    fn remove_dir(&self, dir: &HostHandle, name: Name<'_>) -> Result<()> {
        rustix::fs::unlinkat(dir.fd(), name.as_bytes(), AtFlags::REMOVEDIR).map_err(from_errno)
    }

    fn list(
        &self,
        dir: &HostHandle,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        // Some filesystems fix the listing when the directory is opened. So directories that change are
        // opened without a readable descriptor (`open_dir`), and each listing opens its own.
        if dir.is_at_start.swap(false, Ordering::Relaxed) {
            list::list_open(dir.fd(), each)
        } else {
            list::list(dir.fd(), each)
        }
    }

    fn set_times(&self, dir: &HostHandle, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        let times = stat::timestamps(times)?;
        let (path, flags) = name_or_empty(name);
        match rustix::fs::utimensat(dir.fd(), path, &times, flags) {
            // Before Linux 5.8 the call has no AT_EMPTY_PATH.
            Err(Os::INVAL | Os::NOENT) if name.is_none() => {
                rustix::fs::utimensat(dir.fd(), ".", &times, AtFlags::empty())
            }
            other => other,
        }
        .map_err(from_errno)
    }

    fn sync_dir(&self, dir: &HostHandle) -> Result<()> {
        match reopen(dir.fd()).and_then(rustix::fs::fsync) {
            // The filesystem has no `fsync` for directories: it persists names by itself, or never.
            Err(Os::INVAL) => Ok(()),
            synced => synced.map_err(from_errno),
        }
    }

    fn sync_all(&self) -> Result<()> {
        // Only the long-lived descriptor reports writes that failed since it was opened.
        if self.is_readable {
            rustix::fs::syncfs(&self.dir)
        } else {
            reopen(&self.dir).and_then(rustix::fs::syncfs)
        }
        .map_err(from_errno)
    }

    fn set_mode(&self, dir: &HostHandle, name: Option<Name<'_>>, mode: u32) -> Result<()> {
        stat::set_mode(dir.fd(), name, mode, |path, flags| {
            self.open(dir.fd(), path, flags)
        })
    }

    fn set_owner(
        &self,
        dir: &HostHandle,
        name: Option<Name<'_>>,
        (user, group): (u32, u32),
    ) -> Result<()> {
        // To the system, this number means "leave it unchanged".
        if user == u32::MAX || group == u32::MAX {
            return Err(Errno::Invalid.into());
        }
        let (path, flags) = name_or_empty(name);
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        rustix::fs::chownat(dir.fd(), path, Some(user), Some(group), flags).map_err(from_errno)
    }

    fn xattrs(&self, dir: &HostHandle, name: Option<Name<'_>>) -> Result<XattrNames> {
        match name {
            None if dir.is_readable => xattr::list_open(dir.fd()),
            _ => self.xattrs.list(dir.fd(), name),
        }
    }

    fn xattrs_of(&self, file: &HostFile, _dir: &HostHandle, _name: Name<'_>) -> Result<XattrNames> {
        xattr::list_open(file.fd())
    }

    fn xattr(
        &self,
        dir: &HostHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.xattrs.get(dir.fd(), name, attribute)
    }

    fn set_xattr(
        &self,
        dir: &HostHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        self.xattrs.set(dir.fd(), name, attribute, value)
    }

    fn remove_xattr(
        &self,
        dir: &HostHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<()> {
        self.xattrs.remove(dir.fd(), name, attribute)
    }

    fn lock(&self) -> Result<()> {
        lock::exclusive(self)
    }

    fn lock_shared(&self) -> Result<()> {
        lock::shared(self)
    }

    fn unlock(&self) {
        lock::unlock(self);
    }
}

#[cfg(test)]
mod tests;
