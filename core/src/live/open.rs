//! `open-at` on a live mount: one system call to open, one to find the type.

use super::dir::LiveDir;
use super::file::LiveFile;
use super::stat::{self, FileId};
use super::{from_io, read_only};
use crate::error::{Errno, Error, Result};
use crate::meta::Kind;
use crate::open_how::{FileOrDir, OpenHow};
use crate::plain::dir::file::unsupported;
use cap_primitives::fs::{OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

pub(super) fn open_at(
    dir: &LiveDir,
    path: &str,
    how: OpenHow,
) -> Result<FileOrDir<LiveFile, LiveDir>> {
    if how.directory && (how.create || how.exclusive || how.truncate) {
        return Err(Error::because(
            Errno::Invalid,
            || "`directory` excludes `create`, `exclusive` and `truncate`",
        ));
    }
    // As in wasmtime-wasi: `create` and `truncate` imply `write`, and without `write` in the request the
    // file is opened for reading.
    let write = how.write || how.create || how.truncate;
    let read = how.read || !how.write;
    if write && !dir.is_writable() {
        read_only::open(dir, path, how)?;
        return Err(super::read_only_error());
    }

    let mut options = OpenOptions::new();
    options
        .read(read)
        .write(write)
        .truncate(how.truncate)
        .create(how.create)
        .create_new(how.create && how.exclusive)
        ._cap_fs_ext_follow(stat::following(how.follow));
    // The type is known only once the file is open. These flags keep the open from waiting for the other
    // end of a fifo, and from making a terminal the controlling one.
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32);
    let file = cap_primitives::fs::open(dir.file(), path.as_ref(), &options).map_err(|error| {
        match rustix::io::Errno::from_io_error(&error) {
            // The error for sockets, and for fifos without a reader.
            Some(rustix::io::Errno::NXIO) => unsupported(),
            _ => from_io(error),
        }
    })?;

    let meta = stat::of_file(&file)?;
    let file_id = FileId::of(&meta);
    match meta.kind {
        Kind::Dir => {
            let dir = LiveDir::new(file, Some(file_id), dir.mount().clone());
            Ok(FileOrDir::Dir(dir))
        }
        _ if how.directory => Err(Errno::NotDirectory.into()),
        Kind::File => {
            let file = LiveFile::new(file, file_id, dir.mount().clone(), read, write);
            Ok(FileOrDir::File(file))
        }
        _ => Err(unsupported()),
    }
}
