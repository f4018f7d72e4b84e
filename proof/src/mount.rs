//! The interface that steps need of a mount: the calls of WASI, on an overlay, a live directory, or the
//! reference.

use std::fmt::Debug;
use wasi_overlay_core::{Dir, Errno, Error, File, Identity, Kind, OpenHow, Opened, SetTimes, Stat};

/// The maximum of bytes in one read, so that a script cannot allocate much memory.
const READ: u64 = 1 << 16;

/// The handle in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held<D, F> {
    /// A directory.
    Dir(D),
    /// An open file.
    File(F),
}

/// The access rights of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct May {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
}

/// The calls of `wasi:filesystem`, as [`Dir`] and [`File`] have them.
#[expect(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "each is the call of that name"
)]
pub trait Mount {
    /// A directory.
    type Dir: Clone + Debug;
    /// An open file.
    type File: Clone + Debug;

    fn may(&self, file: &Self::File) -> May;
    fn read(&mut self, file: &Self::File, offset: u64, length: u64) -> Result<Vec<u8>, Errno>;
    fn write(&mut self, file: &Self::File, offset: u64, data: &[u8]) -> Result<usize, Errno>;
    fn append(&mut self, file: &Self::File, data: &[u8]) -> Result<(), Errno>;
    fn set_size(&mut self, file: &Self::File, size: u64) -> Result<(), Errno>;

    fn stat(&mut self, held: &Held<Self::Dir, Self::File>) -> Result<Stat, Errno>;
    fn identity(&mut self, held: &Held<Self::Dir, Self::File>) -> Result<Identity, Errno>;
    fn set_times(
        &mut self,
        held: &Held<Self::Dir, Self::File>,
        times: SetTimes,
    ) -> Result<(), Errno>;
    fn sync(&mut self, held: &Held<Self::Dir, Self::File>) -> Result<(), Errno>;

    fn open_at(
        &mut self,
        dir: &Self::Dir,
        path: &str,
        how: OpenHow,
    ) -> Result<Held<Self::Dir, Self::File>, Errno>;
    fn list(&mut self, dir: &Self::Dir) -> Result<Vec<(String, Kind)>, Errno>;
    fn stat_at(&mut self, dir: &Self::Dir, path: &str, follow: bool) -> Result<Stat, Errno>;
    fn identity_at(&mut self, dir: &Self::Dir, path: &str, follow: bool)
    -> Result<Identity, Errno>;
    fn set_times_at(
        &mut self,
        dir: &Self::Dir,
        path: &str,
        follow: bool,
        times: SetTimes,
    ) -> Result<(), Errno>;
    fn create_directory_at(&mut self, dir: &Self::Dir, path: &str) -> Result<(), Errno>;
    fn remove_directory_at(&mut self, dir: &Self::Dir, path: &str) -> Result<(), Errno>;
    fn unlink_file_at(&mut self, dir: &Self::Dir, path: &str) -> Result<(), Errno>;
    fn symlink_at(&mut self, target: &str, dir: &Self::Dir, path: &str) -> Result<(), Errno>;
    fn readlink_at(&mut self, dir: &Self::Dir, path: &str) -> Result<String, Errno>;
    fn link_at(
        &mut self,
        dir: &Self::Dir,
        path: &str,
        new_dir: &Self::Dir,
        new_path: &str,
    ) -> Result<(), Errno>;
    fn rename_at(
        &mut self,
        dir: &Self::Dir,
        path: &str,
        new_dir: &Self::Dir,
        new_path: &str,
    ) -> Result<(), Errno>;
}

/// A mount of the engine: an overlay, or a live directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine;

fn code(error: Error) -> Errno {
    error.errno()
}

impl Mount for Engine {
    type Dir = Dir;
    type File = File;

    fn may(&self, file: &File) -> May {
        May {
            read: file.is_readable(),
            write: file.is_writable(),
        }
    }

    /// Reads up to `length` bytes. A short read is not the end of the file.
    fn read(&mut self, file: &File, offset: u64, length: u64) -> Result<Vec<u8>, Errno> {
        let mut data = vec![0; usize::try_from(length.min(READ)).unwrap_or(0)];
        let mut done = 0;
        loop {
            let read = file.read_at(&mut data[done..], offset + done as u64);
            let read = read.map_err(code)?;
            done += read;
            if read == 0 || done == data.len() {
                data.truncate(done);
                return Ok(data);
            }
        }
    }

    fn write(&mut self, file: &File, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            done += file.write_at(&data[done..], at).map_err(code)?;
        }
        Ok(done)
    }

    fn append(&mut self, file: &File, data: &[u8]) -> Result<(), Errno> {
        let mut rest = data;
        while !rest.is_empty() {
            let done = file.append(rest).map_err(code)?;
            rest = &rest[done..];
        }
        Ok(())
    }

    fn set_size(&mut self, file: &File, size: u64) -> Result<(), Errno> {
        file.set_size(size).map_err(code)
    }

    fn stat(&mut self, held: &Held<Dir, File>) -> Result<Stat, Errno> {
        match held {
            Held::Dir(dir) => dir.stat().map_err(code),
            Held::File(file) => file.stat().map_err(code),
        }
    }

    fn identity(&mut self, held: &Held<Dir, File>) -> Result<Identity, Errno> {
        match held {
            Held::Dir(dir) => dir.identity().map_err(code),
            Held::File(file) => file.identity().map_err(code),
        }
    }

    fn set_times(&mut self, held: &Held<Dir, File>, times: SetTimes) -> Result<(), Errno> {
        match held {
            Held::Dir(dir) => dir.set_times(times).map_err(code),
            Held::File(file) => file.set_times(times).map_err(code),
        }
    }

    fn sync(&mut self, held: &Held<Dir, File>) -> Result<(), Errno> {
        match held {
            Held::Dir(dir) => dir.sync(false).map_err(code),
            Held::File(file) => file.sync(false).map_err(code),
        }
    }

    fn open_at(&mut self, dir: &Dir, path: &str, how: OpenHow) -> Result<Held<Dir, File>, Errno> {
        match dir.open_at(path, how).map_err(code)? {
            Opened::Dir(dir) => Ok(Held::Dir(dir)),
            Opened::File(file) => Ok(Held::File(file)),
        }
    }

    fn list(&mut self, dir: &Dir) -> Result<Vec<(String, Kind)>, Errno> {
        let listing = dir.list().map_err(code)?;
        let entries = listing
            .iter()
            .map(|entry| (entry.name.to_string(), entry.kind));
        Ok(entries.collect())
    }

    fn stat_at(&mut self, dir: &Dir, path: &str, follow: bool) -> Result<Stat, Errno> {
        dir.stat_at(path, follow).map_err(code)
    }

    fn identity_at(&mut self, dir: &Dir, path: &str, follow: bool) -> Result<Identity, Errno> {
        dir.identity_at(path, follow).map_err(code)
    }

    fn set_times_at(
        &mut self,
        dir: &Dir,
        path: &str,
        follow: bool,
        times: SetTimes,
    ) -> Result<(), Errno> {
        dir.set_times_at(path, follow, times).map_err(code)
    }

    fn create_directory_at(&mut self, dir: &Dir, path: &str) -> Result<(), Errno> {
        dir.create_directory_at(path).map_err(code)
    }

    fn remove_directory_at(&mut self, dir: &Dir, path: &str) -> Result<(), Errno> {
        dir.remove_directory_at(path).map_err(code)
    }

    fn unlink_file_at(&mut self, dir: &Dir, path: &str) -> Result<(), Errno> {
        dir.unlink_file_at(path).map_err(code)
    }

    fn symlink_at(&mut self, target: &str, dir: &Dir, path: &str) -> Result<(), Errno> {
        dir.symlink_at(target, path).map_err(code)
    }

    fn readlink_at(&mut self, dir: &Dir, path: &str) -> Result<String, Errno> {
        dir.readlink_at(path).map_err(code)
    }

    fn link_at(
        &mut self,
        dir: &Dir,
        path: &str,
        new_dir: &Dir,
        new_path: &str,
    ) -> Result<(), Errno> {
        dir.link_at(path, new_dir, new_path).map_err(code)
    }

    fn rename_at(
        &mut self,
        dir: &Dir,
        path: &str,
        new_dir: &Dir,
        new_path: &str,
    ) -> Result<(), Errno> {
        dir.rename_at(path, new_dir, new_path).map_err(code)
    }
}
