//! Listing of host directories with `getdents64`.

use super::errno::from_errno;
use super::{reopen, stat};
use crate::error::Result;
use crate::meta::Kind;
use crate::name::Name;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::RawDir;
use std::ops::ControlFlow;

/// Bytes requested in one `getdents64`: about a thousand short names, as in glibc.
const BUFFER: usize = 32 * 1024;

/// Calls `each` for every name except `.` and `..`, until it breaks.
///
/// Types come with the names if the filesystem stores them there, else from one `statx` for each name.
/// The inode number of a mount point is that of the directory below the mount, as in `getdents64`.
pub(crate) fn list(
    dir: BorrowedFd<'_>,
    each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
) -> Result<()> {
    list_open(reopen(dir).map_err(from_errno)?.as_fd(), each)
}

/// As [`list`], for a readable descriptor whose position is at the start.
pub(super) fn list_open(
    dir: BorrowedFd<'_>,
    each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
) -> Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(from_errno)?;
        // Only `.` and `..` are not a `Name`: the kernel returns no other such entry.
        let Ok(name) = Name::new(entry.file_name().to_bytes()) else {
            continue;
        };
        let kind = match stat::kind(entry.file_type()) {
            Some(kind) => kind,
            None => match stat::meta(dir, Some(name)) {
                Ok(meta) => meta.kind,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            },
        };
        if each(name, kind, entry.ino()).is_break() {
            break;
        }
    }
    Ok(())
}
