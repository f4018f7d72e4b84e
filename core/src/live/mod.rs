//! Live mounts: host directories without layers, like wasmtime's `--dir`.
//!
//! Nothing is merged, hidden or cached: other processes may change the directory, and guests see their
//! changes at once. Whole paths go to cap-primitives, which passes them to the kernel (`openat2` with
//! `RESOLVE_BENEATH`), so that no path leads outside and no answer is older than the call.
//!
//! Answers are those of wasmtime-wasi, with three differences:
//! - a change on a read-only mount fails with `read-only`, but only where it would otherwise have
//!   succeeded ([`read_only`]);
//! - an error has its own code wherever WASI has one for it, above all `cross-device`;
//! - a fifo, socket or device is `unsupported`. It is opened without blocking, since no system call checks
//!   the type first, and then refused (SECURITY.md).

mod change;
mod dir;
mod file;
mod list;
mod open;
mod path;
mod read_only;
mod stat;
mod times;

pub(crate) use dir::LiveDir;
pub(crate) use file::LiveFile;

use crate::budget::Budget;
use crate::error::{Errno, Error, Result};
use crate::host_descriptors::is_exhausted;
use crate::identity::IdentityKey;
use crate::limits::Limits;
use crate::plain::dir::errno::from_errno;
use crate::plain::dir::{lock, reopen};
use rustix::fs::CWD;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};

/// A live mount: a host directory without layers, shared with other processes. A clone refers to the same
/// mount.
///
/// The directory is the capability: guests can reach nothing outside it, and no check is made
/// separately before the call that it is for.
#[derive(Clone, Debug)]
pub struct Live {
    root: LiveDir,
}

/// The state that all descriptors of a mount share.
#[derive(Debug)]
struct Mount {
    read_only: bool,
    key: IdentityKey,
    /// The descriptor that holds the lock, if the lock was taken.
    locked: OnceLock<OwnedFd>,
    /// The budget for listings: `Limits::listing_bytes`.
    listing_bytes: Budget,
}

impl Drop for Mount {
    /// Unlocks explicitly, as `HostDir` does.
    fn drop(&mut self) {
        if let Some(dir) = self.locked.get() {
            lock::release(dir.as_fd(), "live");
        }
    }
}

impl Live {
    /// Mounts `dir`.
    pub fn new(dir: cap_std::fs::Dir) -> Self {
        Self::mount(dir, false)
    }

    /// Mounts `dir`; changes fail with `read-only`.
    pub fn read_only(dir: cap_std::fs::Dir) -> Self {
        Self::mount(dir, true)
    }

    fn mount(dir: cap_std::fs::Dir, read_only: bool) -> Self {
        let mount = Arc::new(Mount {
            read_only,
            key: IdentityKey::new(),
            locked: OnceLock::new(),
            listing_bytes: Budget::new(Limits::default().listing_bytes),
        });
        Self {
            root: LiveDir::new(dir.into_std_file(), None, mount),
        }
    }

    /// Keeps overlays of all processes from using the directory as their upper, as long as the mount
    /// or a descriptor of it exists. Other writable live mounts may use it too. A read-only mount needs
    /// no lock and takes none; nor does a mount of a directory that cannot be read or locked.
    ///
    /// # Errors
    /// `busy` if the directory is the upper of an overlay.
    pub fn lock(&self) -> Result<()> {
        let mount = self.root.mount();
        if mount.read_only || mount.locked.get().is_some() {
            return Ok(());
        }
        let dir = match reopen(self.root.file()) {
            Ok(dir) => dir,
            Err(os) if is_exhausted(os) => return Err(from_errno(os)),
            Err(_) => return Ok(()),
        };
        match lock::take_shared(dir.as_fd()) {
            Ok(()) => {
                let _ = mount.locked.set(dir); // Another thread may have taken the same lock.
                Ok(())
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::new(
                Errno::Busy,
                "the directory is in use as the upper of an overlay, which nothing else may \
                 change: end that mount, give another directory, or mount this one read-only",
            )),
            Err(error) => {
                tracing::debug!(%error, "a live directory cannot be locked");
                Ok(())
            }
        }
    }

    /// Sets the bounds on what guests can make the mount hold. Only `listing_bytes` applies to a live
    /// mount.
    #[must_use]
    pub fn limits(self, limits: &Limits) -> Self {
        let budget = &self.root.mount().listing_bytes;
        budget.set_most(limits.listing_bytes);
        self
    }

    pub(crate) fn root_dir(&self) -> &LiveDir {
        &self.root
    }
}

/// The path of an open file on the host. `None` where procfs is not mounted.
fn host_path(file: &File) -> Option<String> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let path = rustix::fs::readlinkat(CWD, link, Vec::new()).ok()?;
    Some(path.to_string_lossy().into_owned())
}

/// The error of a change that the mount refuses.
fn read_only_error() -> Error {
    Error::because(Errno::ReadOnly, || "the directory is mounted read-only")
        .with_remedy(|| "mount it without `::ro` (`FsPerms::ReadWrite`)")
}

/// Converts an error of cap-primitives.
fn from_io(error: io::Error) -> Error {
    match rustix::io::Errno::from_io_error(&error) {
        Some(os) => from_errno(os),
        // An error of cap-primitives itself: a path that leads outside is "permission denied", without an
        // errno.
        None => {
            let errno = Errno::from(&error);
            Error::because(errno, || error)
        }
    }
}
