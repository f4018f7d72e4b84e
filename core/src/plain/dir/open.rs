//! Opening of names without crossing mount points.
//!
//! A layer is one filesystem unless the embedder says otherwise: a filesystem mounted inside it is not part
//! of the layer. `openat2` refuses a mount point (`EXDEV`) at the price of an `openat`. All subvolumes of a
//! btrfs are in one mount; bind mounts of one filesystem are different mounts.

use super::location;
use crate::host_descriptors;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::{Errno as Os, Result};
use rustix::path::Arg;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// `openat`. If no descriptor is left, it closes all cached descriptors and tries again. All opens in this
/// folder go through it.
pub(crate) fn at(
    dir: impl AsFd,
    name: impl Arg + Copy,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd> {
    host_descriptors::retry(|| rustix::fs::openat(&dir, name, flags, mode))
}

/// Opens `name` without creating it: `XDEV` at a mount point.
pub(super) fn within_mount(dir: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd> {
    /// Whether the system has no `openat2`, which came with Linux 5.6.
    static IS_MISSING: AtomicBool = AtomicBool::new(false);
    if IS_MISSING.load(Ordering::Relaxed) {
        return open_and_compare(dir, name, flags);
    }
    let resolve = ResolveFlags::NO_XDEV;
    let open = || rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve);
    match host_descriptors::retry(open) {
        // A sandbox that does not know the call returns PERM, as does the open of an immutable file.
        Err(os @ (Os::NOSYS | Os::PERM)) => {
            let opened = open_and_compare(dir, name, flags);
            if os == Os::NOSYS || opened.is_ok() {
                IS_MISSING.store(true, Ordering::Relaxed);
            }
            opened
        }
        opened => opened,
    }
}

/// [`within_mount`] without `openat2`.
fn open_and_compare(dir: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let opened = at(dir, name, flags, Mode::empty())?;
    if location::is_same_mount(dir, opened.as_fd())? {
        Ok(opened)
    } else {
        Err(Os::XDEV)
    }
}

/// Whether `statx` reports mount points, as on Linux since 5.8. Tested once for the process, on `dir`.
pub(super) fn reports_mount_points(dir: BorrowedFd<'_>) -> bool {
    static REPORTS: OnceLock<bool> = OnceLock::new();
    let query = || {
        let flags = AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
        let statx = rustix::fs::statx(dir, "", flags, StatxFlags::empty());
        let mask = statx.map(|statx| statx.stx_attributes_mask);
        mask.is_ok_and(|mask| mask.contains(StatxAttributes::MOUNT_ROOT))
    };
    *REPORTS.get_or_init(query)
}

/// Whether `name` is a mount point.
pub(super) fn is_mount_point(dir: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let statx = rustix::fs::statx(dir, name, flags, StatxFlags::empty())?;
    if statx
        .stx_attributes_mask
        .contains(StatxAttributes::MOUNT_ROOT)
    {
        return Ok(statx.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    // Linux before 5.8.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match within_mount(dir, name, flags) {
        Ok(_) => Ok(false),
        Err(Os::XDEV) => Ok(true),
        Err(os) => Err(os),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

    /// Relies on `/proc` being a mount point, and its directories not.
    #[test]
    fn mount_points_are_found_with_and_without_openat2() {
        let root = std::fs::File::open("/").unwrap();
        let proc = std::fs::File::open("/proc").unwrap();
        for open in [within_mount, open_and_compare] {
            assert_eq!(open(root.as_fd(), b"proc", FLAGS).unwrap_err(), Os::XDEV);
            open(proc.as_fd(), b"self", FLAGS).unwrap();
            open(proc.as_fd(), b"version", FLAGS).unwrap();
            assert_eq!(
                open(root.as_fd(), b"none here", FLAGS).unwrap_err(),
                Os::NOENT
            );
        }
        assert!(is_mount_point(root.as_fd(), b"proc").unwrap());
        assert!(!is_mount_point(proc.as_fd(), b"version").unwrap());
    }
}
