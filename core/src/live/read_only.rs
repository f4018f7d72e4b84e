//! The checks of a change on a read-only live mount, which precede the error `read-only`.
//!
//! A function here succeeds where the change would succeed on a writable mount: the caller then returns
//! `read-only`. Otherwise it returns the first error that it finds: that of a path that does not resolve,
//! then `no-entry`, `not-directory`, `is-directory`, `exist`, `not-empty`. wasmtime-wasi returns
//! its error without these checks; but a program that creates a directory unless it exists needs to get
//! `exist`.

use super::dir::LiveDir;
use super::path::{ends_without_name, parent, without_slashes};
use super::stat::{self, FileId};
use super::{from_io, list};
use crate::error::{Errno, Error, Result};
use crate::host_descriptors::is_exhausted;
use crate::meta::Kind;
use crate::open_how::OpenHow;
use crate::plain::dir::errno::from_errno;
use crate::plain::dir::file::unsupported;
use crate::plain::dir::open::at as open_at;
use rustix::fs::{Mode, OFlags};
use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;

/// Links followed in search of where a file would be created. Linux's `MAXSYMLINKS`.
const LINK_HOPS: usize = 40;

pub(super) fn open(dir: &LiveDir, path: &str, how: OpenHow) -> Result<()> {
    let exclusive = how.create && how.exclusive;
    let follow = how.follow && !exclusive;
    let path = if how.create && follow {
        follow_links(dir, path)?
    } else {
        Cow::Borrowed(path)
    };
    if how.create && path.ends_with('/') && !ends_without_name(without_slashes(&path)) {
        // The kernel goes no further: a file cannot be created at such a name.
        check_parent(dir, without_slashes(&path))?;
        return Err(Errno::IsDirectory.into());
    }
    match stat::of_path(dir.file(), &path, follow) {
        Ok(_) if exclusive => Err(Errno::Exist.into()),
        Ok(meta) => match meta.kind {
            Kind::Dir => Err(Errno::IsDirectory.into()),
            Kind::Symlink => Err(Errno::Loop.into()),
            _ if how.directory => Err(Errno::NotDirectory.into()),
            Kind::File => Ok(()),
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => Err(unsupported()),
        },
        Err(error) if error.is_not_found() && how.create => check_parent(dir, &path),
        Err(error) => Err(error),
    }
}

/// The path at which a file at `path` would be created: follows symbolic links in the last component, each
/// relative to its own directory. A path that ends in a slash is returned as it is.
fn follow_links<'a>(dir: &LiveDir, path: &'a str) -> Result<Cow<'a, str>> {
    let mut path = Cow::Borrowed(path);
    for _ in 0..LINK_HOPS {
        if path.ends_with('/') {
            return Ok(path);
        }
        match stat::of_path(dir.file(), &path, false) {
            Ok(meta) if meta.kind == Kind::Symlink => {}
            Ok(_) => return Ok(path),
            Err(error) if error.is_not_found() => return Ok(path),
            Err(error) => return Err(error),
        }
        let target = cap_primitives::fs::read_link_contents(dir.file(), path.as_ref().as_ref());
        let target = target.map_err(from_io)?;
        match std::str::from_utf8(target.as_os_str().as_bytes()) {
            Ok(target) if target.starts_with('/') => {
                let reason = || "a symbolic link leads to an absolute path";
                return Err(Error::because(Errno::NotPermitted, reason));
            }
            Ok(target) => {
                path = Cow::Owned(format!("{}{target}", parent(&path).unwrap_or_default()));
            }
            // The caller's `stat` of the link lets the kernel follow it.
            Err(_) => return Ok(path),
        }
    }
    Err(Errno::Loop.into())
}

pub(super) fn create_directory(dir: &LiveDir, path: &str) -> Result<()> {
    check_creatable(dir, without_slashes(path))
}

pub(super) fn symlink(dir: &LiveDir, target: &str, path: &str) -> Result<()> {
    if target.starts_with('/') {
        return Err(Error::because(
            Errno::NotPermitted,
            || "symlinks to absolute paths cannot be created",
        ));
    }
    check_parent(dir, path)?;
    if target.is_empty() {
        return Err(Errno::NoEntry.into());
    }
    check_creatable(dir, path)
}

pub(super) fn remove_directory(dir: &LiveDir, path: &str) -> Result<()> {
    let meta = stat::of_path(dir.file(), path, false)?;
    if meta.kind != Kind::Dir {
        return Err(Errno::NotDirectory.into());
    }
    if ends_without_name(path) {
        return Err(Errno::Invalid.into());
    }
    check_empty(dir, path)
}

pub(super) fn unlink_file(dir: &LiveDir, path: &str) -> Result<()> {
    let meta = stat::of_path(dir.file(), path, false)?;
    if meta.kind == Kind::Dir {
        return Err(Errno::IsDirectory.into());
    }
    Ok(())
}

pub(super) fn link(dir: &LiveDir, path: &str, new_dir: &LiveDir, new_path: &str) -> Result<()> {
    check_parent(dir, path)?;
    check_parent(new_dir, new_path)?;
    let source = stat::of_path(dir.file(), path, false)?;
    check_creatable(new_dir, new_path)?;
    if source.kind == Kind::Dir {
        return Err(Errno::NotPermitted.into());
    }
    Ok(())
}

pub(super) fn rename(dir: &LiveDir, path: &str, new_dir: &LiveDir, new_path: &str) -> Result<()> {
    let demands_dir = path.ends_with('/') || new_path.ends_with('/');
    let (path, new_path) = (without_slashes(path), without_slashes(new_path));
    check_parent(dir, path)?;
    check_parent(new_dir, new_path)?;
    if ends_without_name(path) || ends_without_name(new_path) {
        return Err(Errno::Busy.into());
    }
    let source = stat::of_path(dir.file(), path, false)?;
    // The kernel looks up both names before it compares them, and one may be too long.
    let target = match stat::of_path(new_dir.file(), new_path, false) {
        Ok(target) => Some(target),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let is_dir = source.kind == Kind::Dir;
    if demands_dir && !is_dir {
        return Err(Errno::NotDirectory.into());
    }
    if is_dir && is_above(FileId::of(&source), new_dir, new_path)? {
        return Err(Errno::Invalid.into());
    }
    let Some(target) = target else {
        return Ok(());
    };
    if FileId::of(&target) == FileId::of(&source) {
        return Ok(());
    }
    let onto_dir = target.kind == Kind::Dir;
    if onto_dir && is_above(FileId::of(&target), dir, path)? {
        return Err(Errno::NotEmpty.into());
    }
    match (is_dir, onto_dir) {
        (true, false) => Err(Errno::NotDirectory.into()),
        (false, true) => Err(Errno::IsDirectory.into()),
        (true, true) => check_empty(new_dir, new_path),
        (false, false) => Ok(()),
    }
}

/// Whether the directory `above` contains `path`, at any depth.
fn is_above(above: FileId, dir: &LiveDir, path: &str) -> Result<bool> {
    let mut at = stat::open_path(dir.file(), parent(path).unwrap_or("."), true)?;
    let mut file_id = FileId::of(&stat::of_file(&at)?);
    loop {
        if file_id == above {
            return Ok(true);
        }
        // Above the mount's root there may be directories that cannot be searched. Only their device and
        // inode numbers are read.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let up = match open_at(&at, c"..", flags, Mode::empty()) {
            Ok(up) => up,
            Err(os) if is_exhausted(os) => return Err(from_errno(os)),
            Err(_) => return Ok(false),
        };
        at = up.into();
        let parent = FileId::of(&stat::of_file(&at)?);
        if parent == file_id {
            return Ok(false);
        }
        file_id = parent;
    }
}

/// Checks that a file could be created at `path`.
fn check_creatable(dir: &LiveDir, path: &str) -> Result<()> {
    match stat::of_path(dir.file(), path, false) {
        Ok(_) => Err(Errno::Exist.into()),
        Err(error) if error.is_not_found() => check_parent(dir, path),
        Err(error) => Err(error),
    }
}

/// Checks that the directory that would hold the entry at `path` exists.
fn check_parent(dir: &LiveDir, path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Errno::NoEntry.into());
    }
    let meta = match parent(path) {
        Some(parent) => stat::of_path(dir.file(), parent, true)?,
        None => stat::of_file(dir.file())?,
    };
    if meta.kind != Kind::Dir {
        return Err(Errno::NotDirectory.into());
    }
    // Nothing can be created in a directory that was removed while it was open.
    if meta.links == 0 {
        return Err(Errno::NoEntry.into());
    }
    Ok(())
}

/// Checks that the directory at `path` is empty.
fn check_empty(dir: &LiveDir, path: &str) -> Result<()> {
    let target = stat::open_path(dir.file(), path, false)?;
    match list::is_empty(&target) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Errno::NotEmpty.into()),
        // Removal does not need permission to read, so whether it is empty is unknown.
        Err(error) if error.errno() == Errno::Access => Ok(()),
        Err(error) => Err(error),
    }
}
