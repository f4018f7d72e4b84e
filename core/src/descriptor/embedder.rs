//! Operations on a [`Dir`] that embedders need and WASI has no call for: whole files, modes, a walk.

use super::{Dir, DirRepr, Named, Opened, failed};
use crate::error::{Errno, Error, Result};
#[cfg(feature = "dir")]
use crate::host_descriptors::retry_operation;
use crate::listing::Listing;
use crate::meta::{Kind, Meta};
use crate::open_how::OpenHow;
use std::sync::Arc;

/// Bytes of one read of [`Dir::read`].
const CHUNK: usize = 64 * 1024;

impl Dir {
    /// Reads a whole file. Follows symbolic links.
    ///
    /// ```
    /// # use wasi_overlay_core::Overlay;
    /// # fn main() -> wasi_overlay_core::Result<()> {
    /// let overlay = Overlay::builder().upper_memory(1 << 20).build()?;
    /// let root = overlay.root();
    /// root.write("result.json", b"{}")?;
    /// assert_eq!(root.read("result.json", 1 << 16)?, b"{}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`open_at`](Self::open_at); `file-too-large` if the file has more than `max_bytes`, since a guest
    /// may have chosen its size; `is-directory`.
    pub fn read(&self, path: &str, max_bytes: usize) -> Result<Vec<u8>> {
        let Opened::File(file) = self.open_at(path, OpenHow::READ)? else {
            return Err(Errno::IsDirectory.into());
        };
        let mut data = Vec::new();
        loop {
            let room = max_bytes.saturating_sub(data.len()).saturating_add(1);
            let chunk = file.read_vec_at(room.min(CHUNK), data.len() as u64)?;
            if chunk.is_empty() {
                return Ok(data);
            }
            data.extend_from_slice(&chunk);
            if data.len() > max_bytes {
                let message = format_args!("{path}: the file has more than {max_bytes} bytes");
                return Err(Error::new(Errno::FileTooLarge, message));
            }
        }
    }

    /// Writes a whole file: creates it, or replaces the data of an existing one. Follows symbolic links. A
    /// failure may leave a part of `data` in the file.
    ///
    /// # Errors
    /// As [`open_at`](Self::open_at); `insufficient-space`, and any other error of a write.
    pub fn write(&self, path: &str, data: &[u8]) -> Result<()> {
        let Opened::File(file) = self.open_at(path, OpenHow::TRUNCATE)? else {
            return Err(Errno::IsDirectory.into());
        };
        let mut written = 0;
        while let Some(rest) = data.get(written..).filter(|rest| !rest.is_empty()) {
            match file.write_at(rest, written as u64)? {
                0 => return Err(Errno::Io.into()),
                count => written += count,
            }
        }
        Ok(())
    }

    /// The metadata of a file, with its mode and owner, which guests do not see. The device and inode number
    /// are those of the layer that has the file, and change at copy-up.
    ///
    /// # Errors
    /// Those of POSIX `fstatat`.
    pub fn meta_at(&self, path: &str, follow: bool) -> Result<Meta> {
        let answer = dir!(self, dir => dir.meta_at(path, follow));
        logged!(self, "stat-at", Named::Path(path, follow), answer)
    }

    /// Walks over everything below this directory: a directory before its content, and the names of one
    /// directory in the order of their bytes. Symbolic links are not followed.
    ///
    /// The walk holds the listing of each directory on the way down. Files that are created or removed
    /// meanwhile may be missing; a directory is listed as it is when the walk enters it.
    ///
    /// ```
    /// # use wasi_overlay_core::{Overlay, layer::MemoryLayer, Lower};
    /// # fn main() -> wasi_overlay_core::Result<()> {
    /// let layer = MemoryLayer::build().file("bin/tool", b"").mode("bin/tool", 0o755).finish()?;
    /// let overlay = Overlay::builder().lower(Lower::new("base", layer)).build()?;
    /// for entry in overlay.root().walk() {
    ///     let entry = entry?;
    ///     println!("{:o} {}", entry.meta.mode.unwrap_or(0), entry.path);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn walk(&self) -> Walk {
        Walk {
            levels: Vec::new(),
            next: Some(Next::Start(self.clone())),
            path: String::new(),
        }
    }
}

/// A file that a [`Walk`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WalkEntry {
    /// The path from the directory where the walk began.
    pub path: String,
    /// The metadata of the file; of a symbolic link, its own.
    pub meta: Meta,
}

/// The iterator of [`Dir::walk`].
///
/// An item is an error if a directory cannot be listed, if a file cannot be queried, or if a name is not
/// UTF-8 (`illegal-byte-sequence`). The walk then continues with the next name.
#[derive(Debug)]
pub struct Walk {
    /// The directories from the start to the one whose names are visited.
    levels: Vec<Level>,
    /// The directory to list next.
    next: Option<Next>,
    /// The path of the last entry.
    path: String,
}

#[derive(Debug)]
enum Next {
    /// The directory where the walk begins.
    Start(Dir),
    /// The directory of the last entry, whose name starts here in [`Walk::path`].
    Child(usize),
}

#[derive(Debug)]
struct Level {
    dir: Dir,
    /// The length of the directory's path in [`Walk::path`].
    path_len: usize,
    listing: Arc<Listing>,
    /// Indexes of the entries that are still to be visited, the next one last.
    rest: Vec<usize>,
}

impl Walk {
    /// Lists a directory and makes it the deepest level. A directory that was removed meanwhile is skipped.
    fn enter(&mut self, next: Next) -> Result<()> {
        let (dir, path_len) = match next {
            Next::Start(dir) => (dir, 0),
            Next::Child(name) => {
                let how = OpenHow {
                    follow: false,
                    ..OpenHow::DIRECTORY
                };
                let (Some(level), Some(name)) = (self.levels.last(), self.path.get(name..)) else {
                    return Ok(());
                };
                match level.dir.open_at(name, how) {
                    Ok(Opened::Dir(dir)) => (dir, self.path.len()),
                    Ok(Opened::File(_)) => return Ok(()),
                    Err(error) if error.is_not_found() => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        };
        let listing = dir.list()?;
        let mut rest: Vec<_> = (0..listing.len()).collect();
        let name = |index| listing.get(index).map(|entry| entry.name);
        rest.sort_by(|a, b| name(*b).cmp(&name(*a)));
        self.levels.push(Level {
            dir,
            path_len,
            listing,
            rest,
        });
        Ok(())
    }

    /// Visits the next entry of the deepest level. None if the level has no more, or if the file was removed
    /// since it was listed.
    fn visit(&mut self) -> Result<Option<WalkEntry>> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(None);
        };
        let Some(index) = level.rest.pop() else {
            self.levels.pop();
            return Ok(None);
        };
        self.path.truncate(level.path_len);
        let Some(entry) = level.listing.get(index) else {
            return Ok(None);
        };
        let name = (entry.name.to_str())
            .map_err(|error| error.context(format_args!("{}/{}", self.path, entry.name)))?;
        let meta = match level.dir.meta_at(name, false) {
            Err(error) if error.is_not_found() => return Ok(None),
            meta => meta?,
        };
        if !self.path.is_empty() {
            self.path.push('/');
        }
        let start = self.path.len();
        self.path.push_str(name);
        if meta.kind == Kind::Dir {
            self.next = Some(Next::Child(start));
        }
        Ok(Some(WalkEntry {
            path: self.path.clone(),
            meta,
        }))
    }
}

impl Iterator for Walk {
    type Item = Result<WalkEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(next) = self.next.take()
                && let Err(error) = self.enter(next)
            {
                return Some(Err(error));
            }
            if self.levels.is_empty() {
                return None;
            }
            if let Some(item) = self.visit().transpose() {
                return Some(item);
            }
        }
    }
}
