//! Extended attributes of host files.
//!
//! Linux before 6.13 has no `getxattrat`, and `fgetxattr` does not work on an `O_PATH` descriptor. Except for
//! listing the attributes of a readable descriptor, two ways are left:
//!
//! - [`Route::Procfs`]: the `l*xattr` calls on `/proc/self/fd/N/name`. This is one call, works for any file
//!   with a name, and needs no permission to open the file (root filesystems contain empty files that only
//!   root may read, and each could be a whiteout). The path begins at the engine's own descriptor
//!   and its last component is not followed, so it leads nowhere else.
//! - [`Route::Open`], where no procfs is mounted: open the file, then the `f*xattr` calls. This works only
//!   for regular files and directories that may be read. Any other file then has no attributes.
//!
//! Neither way shows attributes that the system hides: without `CAP_SYS_ADMIN` it hides
//! `trusted.*` (as if there were none), and a symbolic link has no `user.*`.

use super::errno::from_errno;
use super::{name_or_dot, open, stat};
use crate::error::{Errno, Error, Result};
use crate::layer::XattrNames;
use crate::meta::Kind;
use crate::name::Name;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, XattrFlags};
use rustix::io::Errno as Os;

/// Linux's `XATTR_NAME_MAX`. The kernel returns ERANGE for a longer name, as for a small buffer.
const MAX_NAME: usize = 255;
/// Linux's `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`: the maximum size of a value or a list.
const MAX_SIZE: usize = 64 * 1024;
/// The size of the first buffer: a list of attributes or a value is rarely longer.
const FIRST: usize = 256;

/// The way to access attributes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    Procfs,
    Open,
}

impl Route {
    pub(super) fn find() -> Self {
        match rustix::fs::statfs("/proc/self/fd") {
            Ok(stat) if stat.f_type == PROC_SUPER_MAGIC => Self::Procfs,
            // Not mounted, or not accessible.
            Ok(_) | Err(_) => Self::Open,
        }
    }

    pub(super) fn list(self, dir: BorrowedFd<'_>, name: Option<Name<'_>>) -> Result<XattrNames> {
        match self.target(dir, name)? {
            Target::Path(path) => names(|buffer| rustix::fs::llistxattr(path.as_slice(), buffer)),
            Target::SelfLink(path) => {
                names(|buffer| rustix::fs::listxattr(path.as_slice(), buffer))
            }
            Target::File(fd) => list_open(fd.as_fd()),
            Target::Nothing => Ok(Vec::new()),
        }
    }

    pub(super) fn get(
        self,
        dir: BorrowedFd<'_>,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        check(attribute)?;
        let read = match self.target(dir, name)? {
            Target::Path(path) => {
                read(|buffer| rustix::fs::lgetxattr(path.as_slice(), attribute, buffer))
            }
            Target::SelfLink(path) => {
                read(|buffer| rustix::fs::getxattr(path.as_slice(), attribute, buffer))
            }
            Target::File(fd) => read(|buffer| rustix::fs::fgetxattr(&fd, attribute, buffer)),
            Target::Nothing => return Ok(None),
        };
        match read {
            Ok(value) => Ok(Some(value)),
            Err(Os::NODATA | Os::OPNOTSUPP | Os::NOSYS) => Ok(None),
            Err(os) => Err(from_errno(os)),
        }
    }

    pub(super) fn set(
        self,
        dir: BorrowedFd<'_>,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        check(attribute)?;
        let flags = XattrFlags::empty();
        match self.target(dir, name)? {
            Target::Path(path) => rustix::fs::lsetxattr(path.as_slice(), attribute, value, flags),
            Target::SelfLink(path) => {
                rustix::fs::setxattr(path.as_slice(), attribute, value, flags)
            }
            Target::File(fd) => rustix::fs::fsetxattr(fd, attribute, value, flags),
            Target::Nothing => Err(Os::OPNOTSUPP),
        }
        .map_err(|os| match os {
            // The value is larger than the system or this filesystem allows.
            Os::TOOBIG | Os::RANGE => Error::new(
                Errno::InsufficientSpace,
                "the extended attribute is larger than the filesystem can hold",
            )
            .with_source(os.into()),
            os => from_errno(os),
        })
    }

    pub(super) fn remove(
        self,
        dir: BorrowedFd<'_>,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<()> {
        check(attribute)?;
        match self.target(dir, name)? {
            Target::Path(path) => rustix::fs::lremovexattr(path.as_slice(), attribute),
            Target::SelfLink(path) => rustix::fs::removexattr(path.as_slice(), attribute),
            Target::File(fd) => rustix::fs::fremovexattr(fd, attribute),
            Target::Nothing => Err(Os::OPNOTSUPP),
        }
        .map_err(|os| match os {
            Os::NODATA => Errno::NoEntry.into(),
            os => from_errno(os),
        })
    }

    fn target(self, dir: BorrowedFd<'_>, name: Option<Name<'_>>) -> Result<Target> {
        match self {
            Self::Procfs => {
                let mut path = format!("/proc/self/fd/{}", dir.as_raw_fd()).into_bytes();
                let Some(name) = name else {
                    return Ok(Target::SelfLink(path));
                };
                path.push(b'/');
                path.extend_from_slice(name.as_bytes());
                Ok(Target::Path(path))
            }
            Self::Open => {
                let kind = stat::meta(dir, name)?.kind;
                if !matches!(kind, Kind::File | Kind::Dir) {
                    return Ok(Target::Nothing);
                }
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                open::at(dir, name_or_dot(name), flags, Mode::empty())
                    .map(Target::File)
                    .map_err(from_errno)
            }
        }
    }
}

/// The names of the attributes of a readable descriptor.
pub(super) fn list_open(file: BorrowedFd<'_>) -> Result<XattrNames> {
    names(|buffer| rustix::fs::flistxattr(file, buffer))
}

/// The names in a list that `call` reads.
fn names(call: impl FnMut(&mut [u8]) -> Result<usize, Os>) -> Result<XattrNames> {
    match read(call) {
        Ok(list) => Ok(list
            .split(|&byte| byte == 0)
            .filter(|attribute| !attribute.is_empty())
            .map(Box::from)
            .collect()),
        // A filesystem without attributes.
        Err(Os::OPNOTSUPP | Os::NOSYS) => Ok(Vec::new()),
        Err(os) => Err(from_errno(os)),
    }
}

/// The target of the system calls on one file's attributes.
enum Target {
    /// A path whose last component is the name, which is not followed.
    Path(Vec<u8>),
    /// A path whose last component is procfs's link of the descriptor, which is followed: this needs no
    /// permission to search the directory.
    SelfLink(Vec<u8>),
    /// An open file.
    File(OwnedFd),
    /// None: the attributes cannot be accessed.
    Nothing,
}

fn check(attribute: &[u8]) -> Result<()> {
    if attribute.is_empty() || attribute.len() > MAX_NAME || attribute.contains(&0) {
        return Err(Errno::Invalid.into());
    }
    Ok(())
}

/// Reads into a buffer that grows until the result fits.
fn read(mut call: impl FnMut(&mut [u8]) -> Result<usize, Os>) -> Result<Vec<u8>, Os> {
    let mut buffer = vec![0; FIRST];
    loop {
        match call(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Os::RANGE) if buffer.len() < MAX_SIZE => buffer = vec![0; MAX_SIZE],
            Err(os) => return Err(os),
        }
    }
}
