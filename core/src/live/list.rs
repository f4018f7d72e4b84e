//! Listing a directory: types and inode numbers come with the names.

use super::dir::LiveDir;
use super::stat;
use crate::descriptor::Listing;
use crate::error::Result;
use crate::name::Name;
use crate::plain::dir::errno::from_errno;
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, RawDirEntry};
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes of names that one `getdents` may return: some 1,500 entries a system call.
const BUFFER: usize = 64 * 1024;

pub(super) fn list(dir: &LiveDir) -> Result<Arc<Listing>> {
    let device = dir.place()?.device;
    let handle = open(dir.file())?;
    let mut listing = Listing::default();
    each(&handle, BUFFER, |name, entry| {
        let kind = match stat::kind_of(entry.file_type()) {
            Some(kind) => kind,
            // Some filesystems do not say. A name that went in between is no entry.
            None => match rustix::fs::statat(&handle, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(raw) => stat::kind(&raw),
                Err(rustix::io::Errno::NOENT) => return Ok(ControlFlow::Continue(())),
                Err(error) => return Err(from_errno(error)),
            },
        };
        // Where another filesystem is mounted, this is the directory below the mount: asking
        // for every name, to be right about those, is what makes listings slow elsewhere.
        let identity = dir.key().of(0, device, entry.ino());
        listing.push(name, kind, identity.lower);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Arc::new(listing))
}

/// Whether there is no entry.
pub(super) fn is_empty(dir: &File) -> Result<bool> {
    let mut empty = true;
    each(&open(dir)?, 1024, |_, _| {
        empty = false;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(empty)
}

/// The directory again, with a position of its own: listings do not disturb each other, and a
/// handle that only stands for a path cannot be listed.
fn open(dir: &File) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, c".", flags, Mode::empty())
        .map(File::from)
        .map_err(from_errno)
}

/// Calls `each` for every name but `.` and `..`.
fn each(
    dir: &File,
    buffer: usize,
    mut each: impl FnMut(Name<'_>, &RawDirEntry<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut buffer = Vec::with_capacity(buffer);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(from_errno)?;
        // `.` and `..` are no names, and nothing else in a directory is none.
        let Ok(name) = Name::new(entry.file_name().to_bytes()) else {
            continue;
        };
        if each(name, &entry)?.is_break() {
            break;
        }
    }
    Ok(())
}
