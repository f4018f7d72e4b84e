//! A directory tree that never heard of overlays.
//!
//! [`Plain`] is one method for each system call, relative to a directory handle, with one
//! checked name. What a platform may lack is a method with an answer that says so.
//! [`Marked`](crate::marks::Marked) turns a `Plain` into a layer.

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

/// What the storage of a tree guarantees. The default guarantees nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guarantees {
    /// A crash of the machine keeps directory operations in order: if it keeps one of them, it
    /// keeps every earlier one, whether or not anything was synced in between.
    pub ordered_names: bool,
    /// A write that succeeded has its space: closing the file reports no error of its own. A
    /// network filesystem may report a full disk only then.
    pub errors_at_write: bool,
    /// [`sync_all`](Plain::sync_all) brings the data of every file to disk, and fails if some of it could
    /// not be written since the tree was made. One in user space need not pass it on.
    pub syncs_whole: bool,
}

/// A directory tree on some platform. No method follows a symbolic link.
///
/// Where a method's name is an `Option`, none means the directory itself.
pub trait Plain: Send + Sync + 'static {
    /// A directory.
    type Dir: Send + Sync + 'static;
    /// An open regular file. Writing to one that was opened for reading is `bad-descriptor`.
    type File: WriteAt;

    /// Whether files may have modes and owners. Where they have none, nothing is granted for a
    /// step or taken over by a copy.
    const HAS_MODES: bool = true;

    /// How the tree is called in messages to the embedder, such as its path on the host.
    fn label(&self) -> String;

    /// Where the tree is stored, as [`Layer::place`](crate::layer::Layer::place) has it.
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

    /// What the storage below guarantees. Asked when an upper is mounted.
    ///
    /// Without an answer the engine assumes the worst: it syncs between the steps of a change
    /// whose order matters.
    fn guarantees(&self) -> Guarantees {
        Guarantees::default()
    }

    /// Whether a handle stays that of its directory when it, or one above it, is renamed. Where
    /// handles are paths it does not; the engine then opens directories anew, by name, after
    /// every rename of one.
    ///
    /// An overlay on such an upper is for one thread at a time: a call of another thread would
    /// go on with the path of before. A lower layer never changes, so there it does not matter.
    fn handles_follow_rename(&self) -> bool {
        true
    }

    /// `fstatat`, without following.
    ///
    /// All names of one file have one device and inode number, which stay while it lives and are
    /// no other file's. A directory's may change; so may a file's on a platform that has nothing
    /// better (a hash of when it was changed). Then its names count as files of their own: what
    /// `stat` shows by one of them may be old after a write through another.
    fn meta(&self, dir: &Self::Dir, name: Option<Name<'_>>) -> Result<Meta>;

    /// Whether the directory `name` has anything of the name `inner`. A platform whose sandbox
    /// takes paths may ask in one call: `name` was just seen to be a directory.
    fn has_inside(&self, dir: &Self::Dir, name: Name<'_>, inner: Name<'_>) -> Result<bool> {
        let inside = self.open_dir(dir, name)?;
        is_there(self.meta(&inside, Some(inner)))
    }

    /// Whether something else is mounted on `name`, in a tree that does not cross mounts: opening it
    /// is `cross-device`.
    fn is_mount_point(&self, dir: &Self::Dir, name: Name<'_>) -> Result<bool> {
        let _ = (dir, name); // Named for those who implement it.
        Ok(false)
    }

    /// Whether names in the directory may be looked up.
    fn may_search(&self, dir: &Self::Dir) -> Result<bool> {
        let _ = dir; // Named for those who implement it.
        Ok(true)
    }

    /// `openat`, directories only: `cross-device` where something is mounted on it that is not part
    /// of the tree.
    fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir>;

    /// [`open_dir`](Self::open_dir) of one that nobody changes and that is about to be listed, and
    /// asked for its attributes. A platform may save calls.
    fn open_to_list(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir> {
        self.open_dir(dir, name)
    }

    /// `openat`, regular files only: `is-directory`, `loop` for a symbolic link, `unsupported`
    /// for the rest, `cross-device` as for directories. Never blocks.
    fn open_file(&self, dir: &Self::Dir, name: Name<'_>, access: Access) -> Result<Self::File>;

    /// `openat` with `O_CREAT | O_EXCL`, for reading and writing. `mode` is subject to the umask.
    fn create_file(&self, dir: &Self::Dir, name: Name<'_>, mode: u32) -> Result<Self::File>;

    /// [`create_file`](Self::create_file) of one that nobody wants open. A platform may do it in
    /// one call.
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

    /// `getdents`: every name but `.` and `..` with type and inode number, until `each` breaks.
    /// The number is 0 where the platform's listing has none. It is shown to guests of WASI 0.1,
    /// and used for nothing else.
    fn list(
        &self,
        dir: &Self::Dir,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()>;

    /// `utimensat`, without following.
    fn set_times(&self, dir: &Self::Dir, name: Option<Name<'_>>, times: SetTimes) -> Result<()>;

    /// `fsync` of a directory. Where the storage has no such call, nothing.
    fn sync_dir(&self, dir: &Self::Dir) -> Result<()>;

    /// `syncfs`.
    fn sync_all(&self) -> Result<()>;

    /// `fchmodat`, without following; where there are no modes, nothing.
    fn set_mode(&self, dir: &Self::Dir, name: Option<Name<'_>>, mode: u32) -> Result<()> {
        let _ = (dir, name, mode); // Named for those who implement it.
        Ok(())
    }

    /// `fchownat`, without following: `not-permitted` where only root may.
    fn set_owner(&self, dir: &Self::Dir, name: Option<Name<'_>>, owner: (u32, u32)) -> Result<()> {
        let _ = (dir, name, owner); // Named for those who implement it.
        Err(Errno::NotPermitted.into())
    }

    /// `llistxattr`: every name, marks included.
    fn xattrs(&self, dir: &Self::Dir, name: Option<Name<'_>>) -> Result<XattrNames> {
        let _ = (dir, name); // Named for those who implement it.
        Ok(Vec::new())
    }

    /// [`xattrs`](Self::xattrs) of a file that was [opened](Self::open_file) as `name` in `dir`. A
    /// platform may ask the open file (`flistxattr`).
    fn xattrs_of(&self, file: &Self::File, dir: &Self::Dir, name: Name<'_>) -> Result<XattrNames> {
        let _ = file; // Named for those who implement it.
        self.xattrs(dir, Some(name))
    }

    /// `lgetxattr`; none if there is no such attribute.
    fn xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let _ = (dir, name, attribute); // Named for those who implement it.
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
        let _ = (dir, name, attribute, value); // Named for those who implement it.
        Err(Errno::Unsupported.into())
    }

    /// `lremovexattr`: `no-entry` where there is no such attribute.
    fn remove_xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<()> {
        let _ = (dir, name, attribute); // Named for those who implement it.
        Err(Errno::Unsupported.into())
    }

    /// `flock` on the root, exclusive, without waiting: `busy` if somebody else has it. Held
    /// until the tree is dropped or [`unlock`](Self::unlock)ed.
    fn lock(&self) -> Result<()> {
        Ok(())
    }

    /// `flock` on the root, shared, without waiting: `busy` if another tree has it [exclusive]. Held
    /// until the tree is dropped or [`unlock`](Self::unlock)ed. Nothing where it cannot be locked.
    ///
    /// [exclusive]: Self::lock
    fn lock_shared(&self) -> Result<()> {
        Ok(())
    }

    /// Gives the lock back.
    fn unlock(&self) {}
}
