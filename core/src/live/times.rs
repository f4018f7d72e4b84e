//! Setting times without opening the file for reading or writing.

use super::path::is_single_name;
use super::stat;
use crate::error::Result;
use crate::meta::SetTimes;
use crate::plain::dir::errno::from_errno;
use crate::plain::dir::stat::timestamps;
use rustix::fs::{AtFlags, CWD, Timestamps};
use rustix::io::Errno as Os;
use std::fs::File;
use std::os::fd::AsRawFd;

/// `utimensat` on a path.
pub(super) fn of_path(start: &File, path: &str, follow: bool, times: SetTimes) -> Result<()> {
    if !follow && is_single_name(path) {
        let times = timestamps(times)?;
        return rustix::fs::utimensat(start, path, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(from_errno);
    }
    of_file(&stat::open_path(start, path, follow)?, times)
}

/// `futimens`, on any handle, including an `O_PATH` handle.
pub(super) fn of_file(file: &File, times: SetTimes) -> Result<()> {
    let times = timestamps(times)?;
    match rustix::fs::utimensat(file, c"", &times, AtFlags::EMPTY_PATH) {
        // Linux before 5.8 does not accept the flag in this call.
        Err(Os::INVAL) => through_proc(file, &times),
        result => result.map_err(from_errno),
    }
}

fn through_proc(file: &File, times: &Timestamps) -> Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::utimensat(CWD, path, times, AtFlags::empty()).map_err(from_errno)
}
