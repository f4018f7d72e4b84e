//! Helpers for guests with assertions: a check of error codes, and more raw calls.

use crate::{raw, wasi};
use std::fmt::{Debug, Display};

/// Asserts that a call failed with one of the codes.
pub fn assert_refused<T: Debug>(what: impl Display, result: raw::Result<T>, codes: &[wasi::Errno]) {
    match result {
        Ok(value) => panic!("{what} returned {value:?}, not one of {codes:?}"),
        Err(code) => assert!(
            codes.contains(&code),
            "{what} failed with {code:?}, not one of {codes:?}"
        ),
    }
}

/// `fd_fdstat_get`: the type, the flags, the rights and the inheriting rights.
pub fn fdstat(fd: wasi::Fd) -> raw::Result<(wasi::Filetype, wasi::Fdflags, u64, u64)> {
    // SAFETY: a call to the host.
    let stat = unsafe { wasi::fd_fdstat_get(fd) }?;
    let rights = (stat.fs_rights_base, stat.fs_rights_inheriting);
    Ok((stat.fs_filetype, stat.fs_flags, rights.0, rights.1))
}

/// `fd_renumber`.
pub fn renumber(from: wasi::Fd, to: wasi::Fd) -> raw::Result<()> {
    // SAFETY: a call to the host; numbers only.
    unsafe { wasi::fd_renumber(from, to) }
}

/// `fd_seek`.
pub fn seek(fd: wasi::Fd, by: i64, whence: wasi::Whence) -> raw::Result<u64> {
    // SAFETY: a call to the host; numbers only.
    unsafe { wasi::fd_seek(fd, by, whence) }
}

/// `fd_tell`.
pub fn tell(fd: wasi::Fd) -> raw::Result<u64> {
    // SAFETY: a call to the host; numbers only.
    unsafe { wasi::fd_tell(fd) }
}

/// `fd_filestat_set_size`.
pub fn set_size(fd: wasi::Fd, size: u64) -> raw::Result<()> {
    // SAFETY: a call to the host; numbers only.
    unsafe { wasi::fd_filestat_set_size(fd, size) }
}
