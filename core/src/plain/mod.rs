//! [`Plain`]: the trait for a directory tree without whiteouts, and its implementations.
//!
//! [`Plain`] has one method for each system call, relative to a directory handle, with one
//! checked name. Methods that a platform may lack have a default that says so.
//! [`Marked`](crate::whiteouts::Marked) turns a `Plain` into a layer.

#[cfg(any(test, feature = "conformance"))]
pub mod by_path;
#[cfg(feature = "dir")]
pub(crate) mod dir;
#[cfg(any(test, feature = "conformance"))]
pub mod faulty;

#[cfg(feature = "dir")]
pub use dir::{HostDir, HostFile, HostHandle};

use crate::error::{Errno, Result, is_there};
use crate::layer::{WriteAt, XattrNames};
use crate::meta::{Kind, Meta, SetTimes};
use crate::name::Name;
use crate::place::Place;
use std::ops::ControlFlow;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    Read,
    /// For reading and writing.
    ReadWrite,
}

/// The guarantees of a tree's storage. The default guarantees nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guarantees {
    /// Directory operations survive a crash of the machine in order: if one of them survives, so does
    /// every earlier one, whether or not anything was synced in between.
    pub ordered_names: bool,
    /// A successful write has reserved its space: closing the file reports no further error. A
    /// network filesystem may report a full disk only at close.
    pub errors_at_write: bool,
    /// [`sync_all`](Plain::sync_all) brings the data of every file to disk, and fails if some of it could
    /// not be written since the tree was created. A filesystem in user space need not pass the call on.
    pub syncs_whole: bool,
}

/// A directory tree on some platform. No method follows a symbolic link.
///
/// Where a method's `name` is an `Option`, `None` means the directory itself.
pub trait Plain: Send + Sync + 'static {
    /// A directory.
    type Dir: Send + Sync + 'static;
    /// An open regular file. Writing to a file that was opened for reading is `bad-descriptor`.
    type File: WriteAt;

    /// Whether files may have modes and owners. Without them the engine never adds a permission for an
    /// internal step, and copies neither.
    const HAS_MODES: bool = true;

    /// The name of the tree in messages to the embedder, such as its path on the host.
    fn label(&self) -> String;

    /// Where the tree is stored, for [`Layer::place`](crate::layer::Layer::place).
    ///
    /// # Errors
    /// Those of the platform.
    fn place(&self) -> Result<Option<Place>> {
        Ok(None)
    }

    /// The top directory.
    ///
    /// # Errors
    /// Those of the platform, here and below.
    fn root(&self) -> Result<Self::Dir>;

    /// The guarantees of the storage. The engine calls it when an upper is mounted.
    ///
    /// By default the engine assumes the worst: it syncs between the steps of a change
    /// whose order matters.
    fn guarantees(&self) -> Guarantees {
        Guarantees::default()
    }

    /// Whether a handle still refers to its directory after the directory, or one above it, is renamed.
    /// A handle that is a path does not; the engine then reopens directories, by name, after
    /// every rename of a directory.
    ///
    /// An overlay on such an upper serves one thread at a time: a call of another thread would
    /// continue with the old path. A lower layer never changes, so there it does not matter.
    fn handles_follow_rename(&self) -> bool {
        true
    }

    /// `fstatat`, without following symbolic links.
    ///
    /// All names of one file have the same device and inode number, which are stable while the file
    /// exists and unique to it. The number of a directory may change; so may that of a file on a platform
    /// that has nothing better (a hash that includes the time of change). Each name then counts as a file
    /// of its own: `stat` through one name may be stale after a write through another.
    fn meta(&self, dir: &Self::Dir, name: Option<Name<'_>>) -> Result<Meta>;

    /// Whether the directory `name` has an entry `inner`. A platform whose sandbox accepts paths may do it
    /// in one call: the caller has just found that `name` is a directory.
    fn has_inside(&self, dir: &Self::Dir, name: Name<'_>, inner: Name<'_>) -> Result<bool> {
        let inside = self.open_dir(dir, name)?;
        is_there(self.meta(&inside, Some(inner)))
    }

    /// Whether `name` is a mount point, in a tree that does not cross mounts: opening it is
    /// `cross-device`.
    fn is_mount_point(&self, dir: &Self::Dir, name: Name<'_>) -> Result<bool> {
        let _ = (dir, name); // Named for implementers.
        Ok(false)
    }

    /// Whether the caller has permission to look up names in the directory.
    fn may_search(&self, dir: &Self::Dir) -> Result<bool> {
        let _ = dir; // Named for implementers.
        Ok(true)
    }

    /// `openat`, directories only: `cross-device` for a mount point, unless the tree crosses mounts.
    fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir>;

    /// [`open_dir`](Self::open_dir) for a directory that does not change, and whose names and attributes
    /// will be listed next. A platform may save system calls.
    fn open_to_list(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir> {
        self.open_dir(dir, name)
    }

    /// `openat`, regular files only: `is-directory` for a directory, `loop` for a symbolic link,
    /// `unsupported` for any other type, `cross-device` as for directories. Never blocks.
    fn open_file(&self, dir: &Self::Dir, name: Name<'_>, access: Access) -> Result<Self::File>;

    /// `openat` with `O_CREAT | O_EXCL`, for reading and writing. `mode` is subject to the umask.
    fn create_file(&self, dir: &Self::Dir, name: Name<'_>, mode: u32) -> Result<Self::File>;

    /// [`create_file`](Self::create_file) without opening the file. A platform may do it in one system
    /// call.
    fn create_empty(&self, dir: &Self::Dir, name: Name<'_>, mode: u32) -> Result<()> {
        self.create_file(dir, name, mode).map(drop)
    }

    /// `mkdirat`.
    fn create_dir(&self, dir: &Self::Dir, name: Name<'_>, mode: u32) -> Result<()>;

    /// `symlinkat`, with any target.
    fn symlink(&self, dir: &Self::Dir, name: Name<'_>, target: &[u8]) -> Result<()>;

    /// `readlinkat`.
    fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Box<[u8]>>;

    /// `linkat`.
    fn link(
        &self,
        from: &Self::Dir,
        from_name: Name<'_>,
        to: &Self::Dir,
        to_name: Name<'_>,
    ) -> Result<()>;

    /// `renameat`, replacing a file or an empty directory.
    fn rename(
        &self,
        from: &Self::Dir,
        from_name: Name<'_>,
        to: &Self::Dir,
        to_name: Name<'_>,
    ) -> Result<()>;

    /// `unlinkat`.
    fn remove_file(&self, dir: &Self::Dir, name: Name<'_>) -> Result<()>;

    /// `unlinkat` with `AT_REMOVEDIR`.
    fn remove_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<()>;

    /// `getdents`: every name except `.` and `..` with its type and inode number, until `each` breaks.
    /// The number is 0 if the platform's listing has none. Guests of WASI 0.1 see it; nothing else uses
    /// it.
    fn list(
        &self,
        dir: &Self::Dir,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()>;

    /// `utimensat`, without following symbolic links.
    fn set_times(&self, dir: &Self::Dir, name: Option<Name<'_>>, times: SetTimes) -> Result<()>;

    /// `fsync` of a directory. Does nothing if the storage has no such call.
    fn sync_dir(&self, dir: &Self::Dir) -> Result<()>;

    /// `syncfs`.
    fn sync_all(&self) -> Result<()>;

    /// `fchmodat`, without following symbolic links. Does nothing if there are no modes.
    fn set_mode(&self, dir: &Self::Dir, name: Option<Name<'_>>, mode: u32) -> Result<()> {
        let _ = (dir, name, mode); // Named for implementers.
        Ok(())
    }

    /// `fchownat`, without following symbolic links: `not-permitted` where only root may.
    fn set_owner(&self, dir: &Self::Dir, name: Option<Name<'_>>, owner: (u32, u32)) -> Result<()> {
        let _ = (dir, name, owner); // Named for implementers.
        Err(Errno::NotPermitted.into())
    }

    /// `llistxattr`: every name, including those of attributes that are whiteouts.
    fn xattrs(&self, dir: &Self::Dir, name: Option<Name<'_>>) -> Result<XattrNames> {
        let _ = (dir, name); // Named for implementers.
        Ok(Vec::new())
    }

    /// [`xattrs`](Self::xattrs) of a file that was [opened](Self::open_file) as `name` in `dir`. A
    /// platform may use the open file (`flistxattr`).
    fn xattrs_of(&self, file: &Self::File, dir: &Self::Dir, name: Name<'_>) -> Result<XattrNames> {
        let _ = file; // Named for implementers.
        self.xattrs(dir, Some(name))
    }

    /// `lgetxattr`. `None` if there is no such attribute.
    fn xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let _ = (dir, name, attribute); // Named for implementers.
        Ok(None)
    }

    /// `lsetxattr`.
    fn set_xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        let _ = (dir, name, attribute, value); // Named for implementers.
        Err(Errno::Unsupported.into())
    }

    /// `lremovexattr`: `no-entry` where there is no such attribute.
    fn remove_xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<()> {
        let _ = (dir, name, attribute); // Named for implementers.
        Err(Errno::Unsupported.into())
    }

    /// `flock` on the root, exclusive, without waiting: `busy` if another holder has it. Held
    /// until the tree is dropped or [`unlock`](Self::unlock)ed.
    fn lock(&self) -> Result<()> {
        Ok(())
    }

    /// `flock` on the root, shared, without waiting: `busy` if another tree holds it [exclusive]. Held
    /// until the tree is dropped or [`unlock`](Self::unlock)ed. Does nothing if the root cannot be locked.
    ///
    /// [exclusive]: Self::lock
    fn lock_shared(&self) -> Result<()> {
        Ok(())
    }

    /// Releases the lock.
    fn unlock(&self) {}
}
