//! What a guest's descriptor stands for: a directory or a file of some mount.
//!
//! Hosts hold these and nothing else of the engine. A method is one WASI call: path resolution,
//! checks and error codes are done here, once for all versions of WASI. So are the log lines of calls
//! that fail ([`failed`]).

mod failed;

#[cfg(feature = "dir")]
use crate::descriptors::{OpenHandles, guests::Handle, retry_operation};
use crate::error::Result;
use crate::layer::Advice;
use crate::listing::Listing;
#[cfg(feature = "dir")]
use crate::live::{LiveDir, LiveFile};
use crate::meta::{Identity, SetTimes, Stat};
use crate::overlay::{OverlayDir, OverlayFile};
use failed::Named;
pub(crate) use failed::{not_open_for, other_mount};
use std::any::Any;
use std::sync::Arc;

/// How to open: `path-flags`, `open-flags` and `descriptor-flags` of `wasi:filesystem`, less
/// what means nothing to a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OpenHow {
    /// Follow a symbolic link in the last place.
    pub follow: bool,
    /// Make the file if it is not there.
    pub create: bool,
    /// Fail unless it is a directory.
    pub directory: bool,
    /// With `create`, fail if there is anything.
    pub exclusive: bool,
    /// Cut the file to nothing.
    pub truncate: bool,
    /// For reading. Neither `read` nor `write` is for reading too, as in wasmtime-wasi.
    pub read: bool,
    /// For writing.
    pub write: bool,
}

/// What an open gave: what a guest's descriptor stands for.
#[derive(Clone, Debug)]
pub enum Opened {
    /// A regular file.
    File(File),
    /// A directory.
    Dir(Dir),
}

/// A directory of a mount. A clone is the same directory.
///
/// It stays the directory that it is when that is renamed. Once it is removed, calls that take
/// a path fail with `no-entry`, `stat` works.
///
/// Paths are relative to the directory, components between `/`. One that is absolute or leads
/// above the directory is `not-permitted`; an empty one `no-entry`; 40 symbolic links `loop`.
#[derive(Clone, Debug)]
pub struct Dir {
    repr: DirRepr,
    /// Whether it was opened for changes in it.
    pub(crate) mutate_directory: bool,
    /// What it counts as of its guest's handles. None where no guest is counted.
    #[cfg(feature = "dir")]
    handle: Option<Arc<Handle>>,
}

#[derive(Clone, Debug)]
enum DirRepr {
    Overlay(OverlayDir),
    #[cfg(feature = "dir")]
    Live(LiveDir),
}

/// An open regular file. A clone is the same open file.
///
/// It stays the file that it is: through copy-up, rename, and removal of its last name.
#[derive(Clone, Debug)]
pub struct File(FileRepr);

#[derive(Clone, Debug)]
enum FileRepr {
    Overlay(OverlayFile),
    #[cfg(feature = "dir")]
    Live(LiveFile),
}

macro_rules! dir {
    ($self:expr, $dir:ident => $call:expr) => {
        match &$self.repr {
            DirRepr::Overlay($dir) => $call,
            #[cfg(feature = "dir")]
            DirRepr::Live($dir) => retry_operation(|| $call),
        }
    };
}

macro_rules! file {
    ($self:expr, $file:ident => $call:expr) => {
        match &$self.0 {
            FileRepr::Overlay($file) => $call,
            #[cfg(feature = "dir")]
            FileRepr::Live($file) => $call,
        }
    };
}

/// The answer of a call, after the line of the log if it failed.
macro_rules! logged {
    ($of:expr, $call:literal, $named:expr, $answer:expr) => {{
        let mut answer = $answer;
        if let Err(error) = &mut answer
            && failed::is_wanted(error)
        {
            $of.log_failure($call, $named, error);
        }
        answer
    }};
}

/// A mount's root is open for changes in it.
impl From<DirRepr> for Dir {
    fn from(repr: DirRepr) -> Self {
        Self {
            repr,
            mutate_directory: true,
            #[cfg(feature = "dir")]
            handle: None,
        }
    }
}

impl From<OverlayDir> for Dir {
    fn from(dir: OverlayDir) -> Self {
        DirRepr::Overlay(dir).into()
    }
}

impl From<OverlayFile> for File {
    fn from(file: OverlayFile) -> Self {
        Self(FileRepr::Overlay(file))
    }
}

#[cfg(feature = "dir")]
impl From<LiveDir> for Dir {
    fn from(dir: LiveDir) -> Self {
        DirRepr::Live(dir).into()
    }
}

#[cfg(feature = "dir")]
impl From<LiveFile> for File {
    fn from(file: LiveFile) -> Self {
        Self(FileRepr::Live(file))
    }
}

#[cfg(feature = "dir")]
impl Opened {
    /// Has what was just opened count as `handle` for as long as anything holds it.
    fn count(&mut self, mut handle: Handle) {
        match self {
            Self::File(File(FileRepr::Overlay(file))) => file.count(handle),
            Self::File(File(FileRepr::Live(file))) => file.count(handle),
            Self::Dir(dir) => {
                if let DirRepr::Overlay(_) = dir.repr {
                    // Its handles are cached, and opened anew.
                    handle.hold_none();
                }
                dir.handle = Some(Arc::new(handle));
            }
        }
    }
}

impl Dir {
    /// `open-at`.
    ///
    /// # Errors
    /// Those of POSIX `openat`. `exist` with `exclusive` on anything that exists, a symbolic
    /// link included; `is-directory` to write a directory; `invalid` for `directory` together
    /// with `create`, `exclusive` or `truncate`; `unsupported` for what is neither file nor
    /// directory; `read-only`; `mfile` if the guest has as much open as it may
    /// ([`counted`](Self::counted)).
    pub fn open_at(&self, path: &str, how: OpenHow) -> Result<Opened> {
        let open = || {
            #[cfg(feature = "dir")]
            let handle = match &self.handle {
                Some(handle) => Some(handle.guest().open(self.may_hold_descriptors())?),
                None => None,
            };
            let mut opened = dir!(self, dir => dir.open_at(path, how))?;
            #[cfg(feature = "dir")]
            if let Some(handle) = handle {
                opened.count(handle);
            }
            Ok(opened)
        };
        let named = Named::Path(path, how.follow);
        let mut opened = logged!(self, "open-at", named, open())?;
        opened.set_mutate_directory(false);
        Ok(opened)
    }

    /// The same directory for a guest that may have so many handles open: of all that is opened from
    /// it on, through it and through directories that are opened from it. The directory itself does not
    /// count.
    #[cfg(feature = "dir")]
    #[must_use]
    pub fn counted(&self, guest: &OpenHandles) -> Self {
        Self {
            handle: Some(Arc::new(guest.preopened())),
            ..self.clone()
        }
    }

    /// Whether a file of the mount may hold a descriptor of the process.
    #[cfg(feature = "dir")]
    fn may_hold_descriptors(&self) -> bool {
        match &self.repr {
            DirRepr::Overlay(dir) => dir.may_hold_descriptors(),
            DirRepr::Live(_) => true,
        }
    }

    /// `stat-at`.
    ///
    /// # Errors
    /// Those of POSIX `fstatat`.
    #[inline(always)]
    pub fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        let answer = dir!(self, dir => dir.stat_at(path, follow));
        logged!(self, "stat-at", Named::Path(path, follow), answer)
    }

    /// [`stat_at`](Self::stat_at) and [`identity_at`](Self::identity_at) of one file, for WASI 0.1,
    /// which shows both at once.
    ///
    /// # Errors
    /// Those of POSIX `fstatat`.
    #[inline(always)]
    pub fn stat_and_identity_at(&self, path: &str, follow: bool) -> Result<(Stat, Identity)> {
        let answer = dir!(self, dir => dir.stat_and_identity_at(path, follow));
        logged!(self, "stat-at", Named::Path(path, follow), answer)
    }

    /// `metadata-hash-at`.
    ///
    /// # Errors
    /// Those of POSIX `fstatat`.
    #[inline(always)]
    pub fn identity_at(&self, path: &str, follow: bool) -> Result<Identity> {
        let answer = dir!(self, dir => dir.identity_at(path, follow));
        logged!(self, "metadata-hash-at", Named::Path(path, follow), answer)
    }

    /// `set-times-at`.
    ///
    /// # Errors
    /// Those of POSIX `utimensat`; `read-only`.
    pub fn set_times_at(&self, path: &str, follow: bool, times: SetTimes) -> Result<()> {
        let answer = dir!(self, dir => dir.set_times_at(path, follow, times));
        logged!(self, "set-times-at", Named::Path(path, follow), answer)
    }

    /// `create-directory-at`.
    ///
    /// # Errors
    /// Those of POSIX `mkdirat`; `read-only`.
    pub fn create_directory_at(&self, path: &str) -> Result<()> {
        let answer = dir!(self, dir => dir.create_directory_at(path));
        logged!(
            self,
            "create-directory-at",
            Named::Path(path, false),
            answer
        )
    }

    /// `remove-directory-at`.
    ///
    /// # Errors
    /// Those of POSIX `unlinkat` with `AT_REMOVEDIR`; `read-only`.
    pub fn remove_directory_at(&self, path: &str) -> Result<()> {
        let answer = dir!(self, dir => dir.remove_directory_at(path));
        logged!(
            self,
            "remove-directory-at",
            Named::Path(path, false),
            answer
        )
    }

    /// `unlink-file-at`.
    ///
    /// # Errors
    /// Those of POSIX `unlinkat`, but `is-directory` for a directory; `read-only`.
    pub fn unlink_file_at(&self, path: &str) -> Result<()> {
        let answer = dir!(self, dir => dir.unlink_file_at(path));
        logged!(self, "unlink-file-at", Named::Path(path, false), answer)
    }

    /// `symlink-at`: makes `path` a link to `target`.
    ///
    /// # Errors
    /// Those of POSIX `symlinkat`; `not-permitted` for an absolute target; `read-only`.
    pub fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        let answer = dir!(self, dir => dir.symlink_at(target, path));
        logged!(self, "symlink-at", Named::Path(path, false), answer)
    }

    /// `readlink-at`.
    ///
    /// # Errors
    /// Those of POSIX `readlinkat`; `not-permitted` for an absolute target, unless the mount
    /// resolves those; `illegal-byte-sequence` for one that is no UTF-8.
    pub fn readlink_at(&self, path: &str) -> Result<String> {
        let answer = dir!(self, dir => dir.readlink_at(path));
        logged!(self, "readlink-at", Named::Path(path, false), answer)
    }

    /// `link-at`, without following.
    ///
    /// # Errors
    /// Those of POSIX `linkat`; `not-permitted` for a directory; `cross-device` between mounts;
    /// `read-only`.
    pub fn link_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        let answer = match (&self.repr, &new_dir.repr) {
            (DirRepr::Overlay(old), DirRepr::Overlay(new)) => old.link_at(path, new, new_path),
            #[cfg(feature = "dir")]
            (DirRepr::Live(old), DirRepr::Live(new)) => {
                retry_operation(|| old.link_at(path, new, new_path))
            }
            #[cfg(feature = "dir")]
            (DirRepr::Overlay(_), DirRepr::Live(_)) | (DirRepr::Live(_), DirRepr::Overlay(_)) => {
                Err(other_mount())
            }
        };
        logged!(self, "link-at", Named::Two(path, new_dir, new_path), answer)
    }

    /// `rename-at`.
    ///
    /// # Errors
    /// Those of POSIX `renameat`; `cross-device` between mounts; `read-only`.
    pub fn rename_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        let answer = match (&self.repr, &new_dir.repr) {
            (DirRepr::Overlay(old), DirRepr::Overlay(new)) => old.rename_at(path, new, new_path),
            #[cfg(feature = "dir")]
            (DirRepr::Live(old), DirRepr::Live(new)) => {
                retry_operation(|| old.rename_at(path, new, new_path))
            }
            #[cfg(feature = "dir")]
            (DirRepr::Overlay(_), DirRepr::Live(_)) | (DirRepr::Live(_), DirRepr::Overlay(_)) => {
                Err(other_mount())
            }
        };
        logged!(
            self,
            "rename-at",
            Named::Two(path, new_dir, new_path),
            answer
        )
    }

    /// `read-directory`: the entries as they are now, each name once, without `.` and `..`.
    ///
    /// # Errors
    /// Those of POSIX `getdents`.
    pub fn list(&self) -> Result<Arc<Listing>> {
        let answer = dir!(self, dir => dir.list());
        logged!(self, "read-directory", Named::Nothing, answer)
    }

    /// `stat`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn stat(&self) -> Result<Stat> {
        let answer = dir!(self, dir => dir.stat());
        logged!(self, "stat", Named::Nothing, answer)
    }

    /// `metadata-hash`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn identity(&self) -> Result<Identity> {
        let answer = dir!(self, dir => dir.identity());
        logged!(self, "metadata-hash", Named::Nothing, answer)
    }

    /// `set-times`.
    ///
    /// # Errors
    /// Those of POSIX `futimens`; `read-only`.
    pub fn set_times(&self, times: SetTimes) -> Result<()> {
        let answer = dir!(self, dir => dir.set_times(times));
        logged!(self, "set-times", Named::Nothing, answer)
    }

    /// `sync`, and with `data_only` `sync-data`: the names in the directory, on disk.
    ///
    /// # Errors
    /// Those of POSIX `fsync`.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        let answer = dir!(self, dir => dir.sync(data_only));
        logged!(self, "sync", Named::Nothing, answer)
    }

    /// The directory as one of an overlay, for what WASI has no call for; none of a live mount.
    pub fn as_overlay(&self) -> Option<&OverlayDir> {
        match &self.repr {
            DirRepr::Overlay(dir) => Some(dir),
            #[cfg(feature = "dir")]
            DirRepr::Live(_) => None,
        }
    }

    /// Whether the mount takes changes.
    pub fn is_writable(&self) -> bool {
        match &self.repr {
            DirRepr::Overlay(dir) => dir.is_writable(),
            #[cfg(feature = "dir")]
            DirRepr::Live(dir) => dir.is_writable(),
        }
    }

    /// What `get-flags` has to say of `mutate-directory`: whether the directory was opened for changes
    /// in it, or is a mount's root, and the mount takes changes.
    pub fn reports_mutable(&self) -> bool {
        self.mutate_directory && self.is_writable()
    }
}

impl File {
    /// Reads at `offset` (bytes from the start); returns how many bytes were read, 0 only at or
    /// past the end or for an empty buffer.
    ///
    /// # Errors
    /// `bad-descriptor` if the file was not opened for reading; those of POSIX `pread`.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let answer = file!(self, file => file.read_at(buffer, offset));
        logged!(self, "read", Named::Nothing, answer)
    }

    /// [`read_at`](Self::read_at) of at most `length` bytes into a buffer of its own, which need not
    /// be filled with zeroes first.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    ///
    /// # Panics
    /// Where there is no room for all of `length`: what a guest asks for is to be bounded before.
    pub fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        let answer = file!(self, file => file.read_vec_at(length, offset));
        logged!(self, "read", Named::Nothing, answer)
    }

    /// Writes at `offset` (bytes from the start); returns how many bytes were written.
    ///
    /// # Errors
    /// `bad-descriptor` if the file was not opened for writing; those of POSIX `pwrite`.
    pub fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let answer = file!(self, file => file.write_at(buffer, offset));
        logged!(self, "write", Named::Nothing, answer)
    }

    /// Writes at the end; returns how many bytes were written.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub fn append(&self, buffer: &[u8]) -> Result<usize> {
        let answer = file!(self, file => file.append(buffer));
        logged!(self, "append", Named::Nothing, answer)
    }

    /// `set-size`.
    ///
    /// # Errors
    /// `read-only`; `invalid` if the file was not opened for writing, as POSIX `ftruncate`;
    /// `file-too-large`.
    pub fn set_size(&self, size: u64) -> Result<()> {
        let answer = file!(self, file => file.set_size(size));
        logged!(self, "set-size", Named::Nothing, answer)
    }

    /// `stat`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn stat(&self) -> Result<Stat> {
        let answer = file!(self, file => file.stat());
        logged!(self, "stat", Named::Nothing, answer)
    }

    /// `metadata-hash`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn identity(&self) -> Result<Identity> {
        let answer = file!(self, file => file.identity());
        logged!(self, "metadata-hash", Named::Nothing, answer)
    }

    /// `set-times`.
    ///
    /// # Errors
    /// Those of POSIX `futimens`; `read-only`.
    pub fn set_times(&self, times: SetTimes) -> Result<()> {
        let answer = file!(self, file => file.set_times(times));
        logged!(self, "set-times", Named::Nothing, answer)
    }

    /// `sync`, and with `data_only` `sync-data`.
    ///
    /// # Errors
    /// Those of POSIX `fsync`.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        let answer = file!(self, file => file.sync(data_only));
        logged!(self, "sync", Named::Nothing, answer)
    }

    /// `advise`.
    ///
    /// # Errors
    /// Those of POSIX `posix_fadvise`.
    pub fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let answer = file!(self, file => file.advise(offset, length, advice));
        logged!(self, "advise", Named::Nothing, answer)
    }

    /// The layer's own handle ([`native`](crate::layer::ReadAt::native)) of what is read now, for
    /// a host that can hand such a handle on, such as a stream. None where the layer has none,
    /// and of a live mount.
    ///
    /// A copy-up changes what is read: a handle of before goes on showing the file as it was.
    ///
    /// # Errors
    /// `bad-descriptor` if the file was not opened for reading.
    pub fn native_reader(&self) -> Result<Option<&dyn Any>> {
        let answer = match &self.0 {
            FileRepr::Overlay(file) => file.native_reader(),
            #[cfg(feature = "dir")]
            FileRepr::Live(file) => or_bad_descriptor(file.is_readable(), "reading"),
        };
        logged!(self, "read-via-stream", Named::Nothing, answer)
    }

    /// The layer's own handle of what is written, for a host that can hand such a handle on, such
    /// as a stream. None where the layer has none, and of a live mount.
    ///
    /// The engine does not see what is written through it. So once it gave one out, it asks the
    /// upper at every `stat` of a file, for as long as the overlay is mounted. Set-id bits are
    /// taken off now, as at the first write.
    ///
    /// # Errors
    /// `bad-descriptor` if the file was not opened for writing; `io` after the mount was closed.
    pub fn native_writer(&self) -> Result<Option<&dyn Any>> {
        let answer = match &self.0 {
            FileRepr::Overlay(file) => file.native_writer(),
            #[cfg(feature = "dir")]
            FileRepr::Live(file) => or_bad_descriptor(file.is_writable(), "writing"),
        };
        logged!(self, "write-via-stream", Named::Nothing, answer)
    }

    /// Whether the file was opened for reading.
    pub fn is_readable(&self) -> bool {
        file!(self, file => file.is_readable())
    }

    /// Whether the file was opened for writing.
    pub fn is_writable(&self) -> bool {
        file!(self, file => file.is_writable())
    }
}

/// The answer about a handle of a live mount, which has none to give.
#[cfg(feature = "dir")]
fn or_bad_descriptor<'a>(may: bool, what: &str) -> Result<Option<&'a dyn Any>> {
    if may {
        Ok(None)
    } else {
        Err(not_open_for(what))
    }
}
