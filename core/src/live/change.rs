//! Changes of names on a live mount: create, remove, link, rename. The kernel makes each in one call on the
//! path.

use super::dir::LiveDir;
use super::from_io;
use crate::error::Result;
use cap_primitives::fs::{self as cap, DirOptions};
use std::borrow::Cow;

pub(super) fn create_directory(dir: &LiveDir, path: &str) -> Result<()> {
    cap::create_dir(dir.file(), path.as_ref(), &DirOptions::new()).map_err(from_io)
}

pub(super) fn remove_directory(dir: &LiveDir, path: &str) -> Result<()> {
    cap::remove_dir(dir.file(), path.as_ref()).map_err(from_io)
}

pub(super) fn unlink_file(dir: &LiveDir, path: &str) -> Result<()> {
    cap::remove_file(dir.file(), path.as_ref()).map_err(from_io)
}

pub(super) fn symlink(dir: &LiveDir, target: &str, path: &str) -> Result<()> {
    cap::symlink(target.as_ref(), dir.file(), path.as_ref()).map_err(from_io)
}

/// Two mounts are treated like two directories of one: the host decides whether the call is possible.
pub(super) fn link(dir: &LiveDir, path: &str, new_dir: &LiveDir, new_path: &str) -> Result<()> {
    cap::hard_link(dir.file(), path.as_ref(), new_dir.file(), new_path.as_ref()).map_err(from_io)
}

/// Two mounts are treated like two directories of one: the host decides whether the call is possible.
pub(super) fn rename(dir: &LiveDir, path: &str, new_dir: &LiveDir, new_path: &str) -> Result<()> {
    // A slash at the end of either name requires that the moved file is a directory. cap-primitives
    // checks only the old name.
    let path = if new_path.ends_with('/') && !path.is_empty() && !path.ends_with('/') {
        Cow::Owned(format!("{path}/"))
    } else {
        Cow::Borrowed(path)
    };
    cap::rename(
        dir.file(),
        path.as_ref().as_ref(),
        new_dir.file(),
        new_path.as_ref(),
    )
    .map_err(from_io)
}
