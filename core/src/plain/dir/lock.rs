//! `flock` on a directory, which shows other processes what the directory is used for.
//!
//! | used as | lock |
//! |---|---|
//! | the upper of an overlay | exclusive |
//! | a lower layer, a writable live mount | shared |
//!
//! Within this process, layers are also compared by their places (`crate::place`), which finds
//! directories inside each other too; a lock covers one directory only.

use super::errno::from_errno;
use super::{HostDir, reopen};
use crate::error::{Errno, Error, Result};
use crate::plain::Plain;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::FlockOperation as Operation;
use rustix::io::Errno as Os;

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Held {
    /// The descriptor that holds the lock, if the tree's own cannot.
    own: Option<OwnedFd>,
}

/// Locks the directory as the upper of a mount.
///
/// # Errors
/// `busy` if it is locked already.
pub(super) fn exclusive(host: &HostDir) -> Result<()> {
    let mut locked = host.locked.lock();
    if locked.is_some() {
        return Err(in_use(host, false));
    }
    let own = if host.is_readable {
        None
    } else {
        Some(reopen(&host.dir).map_err(from_errno)?)
    };
    let held = Held { own };
    match rustix::fs::flock(held.fd(host), Operation::NonBlockingLockExclusive) {
        Ok(()) => {
            *locked = Some(held);
            Ok(())
        }
        Err(Os::WOULDBLOCK) => Err(in_use(host, is_shared(&held, host))),
        Err(os) => Err(from_errno(os)
            .context("cannot lock the directory")
            .in_layer(|| host.label())),
    }
}

/// Locks the directory as a lower layer. Takes no lock if the directory cannot be read or its filesystem
/// has no locks: it could not be an upper either.
///
/// # Errors
/// `busy` if it is the upper of a mount.
pub(super) fn shared(host: &HostDir) -> Result<()> {
    let mut locked = host.locked.lock();
    if locked.is_some() || !host.is_readable {
        return Ok(());
    }
    match take_shared(host.dir.as_fd()) {
        Ok(()) => {
            *locked = Some(Held { own: None });
            Ok(())
        }
        Err(Os::WOULDBLOCK) => Err(Error::new(
            Errno::Busy,
            "the directory is in use as the upper of another mount, and a lower layer must never \
             change: end that mount first, or give a copy as the layer",
        )
        .in_layer(|| host.label())),
        Err(os) => {
            tracing::debug!(layer = %host.label, error = %os, "a lower layer cannot be locked");
            Ok(())
        }
    }
}

/// Takes the shared lock of a lower layer or a writable live mount.
pub(crate) fn take_shared(dir: BorrowedFd<'_>) -> rustix::io::Result<()> {
    rustix::fs::flock(dir, Operation::NonBlockingLockShared)
}

/// Releases the lock, if one is held.
pub(super) fn unlock(host: &HostDir) {
    let mut locked = host.locked.lock();
    if let Some(held) = locked.take() {
        release(held.fd(host), &host.label);
    }
}

/// Releases the lock that was taken on `dir`. `label` names it in the log.
pub(crate) fn release(dir: BorrowedFd<'_>, label: &str) {
    if let Err(os) = rustix::fs::flock(dir, Operation::Unlock) {
        // Closing releases the lock as well, unless a child process has a copy.
        tracing::warn!(layer = %label, error = %os, "cannot unlock");
    }
}

impl Held {
    fn fd<'a>(&'a self, host: &'a HostDir) -> BorrowedFd<'a> {
        self.own
            .as_ref()
            .map_or_else(|| host.dir.as_fd(), AsFd::as_fd)
    }
}

/// Whether the present holders of the lock share it. Only the text of an error depends on it.
fn is_shared(held: &Held, host: &HostDir) -> bool {
    let shared = take_shared(held.fd(host)).is_ok();
    // Unlocking fails only if the lock was not taken.
    shared && rustix::fs::flock(held.fd(host), Operation::Unlock).is_ok()
}

fn in_use(host: &HostDir, is_shared: bool) -> Error {
    let message = if is_shared {
        "the directory is in use as a lower layer, or as a writable live directory (`--dir`): end \
         what uses it, or give this mount an upper of its own"
    } else {
        "the directory is in use as the upper of another mount: end that mount, or give this \
         one an upper of its own"
    };
    Error::new(Errno::Busy, message).in_layer(|| host.label())
}
