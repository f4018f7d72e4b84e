//! Copies between two files inside the kernel: reflink and `copy_file_range`.

use super::errno::from_errno;
use super::file::HostFile;
use crate::error::Result;
use crate::layer::ReadAt;
use rustix::io::{Errno as Os, retry_on_intr};
use std::ops::Range;

/// Bytes requested in one `copy_file_range`: few calls for a large file, and yet none that
/// runs for seconds on a slow disk.
const STEP: u64 = 64 << 20;

/// Copies `range` to the same offset: by a reflink of the whole file where the filesystem supports
/// that, else by `copy_file_range`, which reflinks parts where it can. Returns the number of bytes that were
/// copied, from the start of `range`.
pub(super) fn copy(from: &HostFile, to: &HostFile, range: Range<u64>) -> Result<u64> {
    // FICLONERANGE has no safe binding; `copy_file_range` serves parts of a file just as well.
    if range.start == 0 && range.end == from.meta()?.size && clone(from, to)? {
        return Ok(range.end);
    }
    let (mut read, mut write) = (range.start, range.start);
    while read < range.end {
        let length = usize::try_from((range.end - read).min(STEP)).unwrap_or(usize::MAX);
        match retry_on_intr(|| {
            rustix::fs::copy_file_range(
                from.fd(),
                Some(&mut read),
                to.fd(),
                Some(&mut write),
                length,
            )
        }) {
            // The end of the file, or a file that has data but no size (in procfs, for example).
            Ok(0) => break,
            Ok(_) => {}
            Err(os) if is_unsupported(os) => break,
            Err(os) => return Err(from_errno(os)),
        }
    }
    Ok(read - range.start)
}

/// Reflinks the whole file. Returns false if that is not possible here.
fn clone(from: &HostFile, to: &HostFile) -> Result<bool> {
    match rustix::fs::ioctl_ficlone(to.fd(), from.fd()) {
        Ok(()) => Ok(true),
        Err(os) if is_unsupported(os) => Ok(false),
        Err(os) => Err(from_errno(os)),
    }
}

/// Whether `os` means that this kind of copy is not possible here, rather than that the copy failed.
/// Network and FUSE filesystems and seccomp filters use many different codes for it.
fn is_unsupported(os: Os) -> bool {
    matches!(
        os,
        Os::XDEV | Os::INVAL | Os::OPNOTSUPP | Os::NOSYS | Os::NOTTY | Os::PERM | Os::TXTBSY
    )
}
