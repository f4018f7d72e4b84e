//! The contract between the engine and the trees that it merges.
//!
//! A [`Layer`] can be read and can say that a name is hidden; an [`Upper`] also takes changes.
//! [`MemoryLayer`] implements both directly; [`Marked`](crate::marks::Marked) makes them of any
//! [`Plain`](crate::plain::Plain) tree. A layer of your own is done when
//! `wasi_overlay_core::layer::conformance` (feature `conformance`) passes on it.
//!
//! ```text
//!   overlay ──asks──► Layer / Upper        one checked name at a time, relative to a
//!                       │                  directory handle that the layer gave out itself
//!             ┌─────────┼──────────┐
//!          memory     Marked ──► Plain     a tree that never heard of overlays
//! ```

#[cfg(feature = "conformance")]
pub mod conformance;
pub(crate) mod erased;
mod file;
mod memory;

pub use file::{Advice, ReadAt, WriteAt};
pub use memory::{MemoryBuilder, MemoryDir, MemoryFile, MemoryLayer, MemoryStaged};

use crate::error::Result;
use crate::meta::{CAPABILITY, Kind, Meta, SET_ID, SetTimes, Timestamp};
use crate::name::Name;
#[cfg(feature = "native")]
use crate::name::NameBuf;
use crate::place::Place;
use std::ops::ControlFlow;

/// A tree of files that an overlay can read.
///
/// A layer is asked about one checked [`Name`] at a time and never sees a path, so it cannot be
/// led outside itself. It never follows a symbolic link: the engine does, because a link in one
/// layer may lead into another. Methods may run concurrently.
///
/// Every method fails with [`Errno::NoEntry`](crate::Errno::NoEntry) where the name (or the
/// directory itself) is gone, and only then: an answer that is not known is an error, never an
/// absence.
pub trait Layer: Send + Sync + 'static {
    /// A directory of this layer. Dropping it gives back whatever it holds.
    type Dir: Send + Sync + 'static;
    /// A regular file of this layer, open for reading.
    type File: ReadAt;

    /// The top directory.
    ///
    /// # Errors
    /// Those of the layer.
    fn root(&self) -> Result<Self::Dir>;

    /// What is known of a directory.
    ///
    /// # Errors
    /// Those of the layer.
    fn dir_meta(&self, dir: &Self::Dir) -> Result<Meta>;

    /// Whether a directory lets nothing below show through, however it was opened. What
    /// [`list`](Self::list) reports as hidden in its parent need not count here.
    ///
    /// Asked after the names of a directory were, where it can be: a layer whose mark lies among them
    /// need not look for it then.
    ///
    /// # Errors
    /// Those of the layer.
    fn is_opaque(&self, dir: &Self::Dir) -> Result<bool>;

    /// Says what `name` is in `dir`, in this layer alone.
    ///
    /// # Errors
    /// Those of the layer. A name that is not there is `Ok(Found::Absent)`.
    fn find(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Found>;

    /// Opens a directory.
    ///
    /// # Errors
    /// `not-directory` if it is none; a symbolic link is none.
    fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir>;

    /// [`find`](Self::find) and [`open_dir`](Self::open_dir) of a name that was listed as a
    /// directory, and not as hidden. None of a layer that cannot save calls by that: it is asked for
    /// one after the other.
    ///
    /// # Errors
    /// As those two. A name that is not there is `no-entry`.
    fn enter(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Option<Entered<Self::Dir>>> {
        let _ = (dir, name); // Named for those who implement it.
        Ok(None)
    }

    /// Opens a regular file for reading. Never blocks.
    ///
    /// # Errors
    /// `is-directory` for a directory, `loop` for a symbolic link, `unsupported` for anything
    /// else that is no regular file.
    fn open_file(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::File>;

    /// [`open_file`](Self::open_file) of one that is about to be copied, and the names of its
    /// [`xattrs`](Self::xattrs). For a layer that looks at those to open it, and can save a call.
    ///
    /// # Errors
    /// As those two.
    fn open_to_copy(&self, dir: &Self::Dir, name: Name<'_>) -> Result<(Self::File, XattrNames)> {
        Ok((self.open_file(dir, name)?, self.xattrs(dir, Some(name))?))
    }

    /// The target of a symbolic link, as it was written.
    ///
    /// # Errors
    /// `invalid` if it is no symbolic link.
    fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Box<[u8]>>;

    /// Calls `each` once for every name, hidden ones included, in any order, until it breaks.
    ///
    /// A layer whose format can hold an entry and a mark of one name reports both; the entry
    /// counts. What is listed is relied on: a directory is merged by the type that is listed here, which
    /// has to be the one that [`find`](Self::find) tells.
    ///
    /// # Errors
    /// Those of the layer.
    fn list(
        &self,
        dir: &Self::Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()>;

    /// Whether reading a file costs no more than copying memory. Of all other layers the engine
    /// keeps the data of small files.
    fn is_in_memory(&self) -> bool {
        false
    }

    /// Where the layer is stored, so that an upper is refused that shares storage with another layer.
    /// None of a layer that cannot tell, or that no other layer can share anything with.
    ///
    /// # Errors
    /// Those of the layer.
    fn place(&self) -> Result<Option<Place>> {
        Ok(None)
    }

    /// Tells other processes that the layer is in use as a lower, from now until it is dropped. Called
    /// when a stack is made of it.
    ///
    /// # Errors
    /// `busy` if another process has it as an upper; those of the layer.
    fn mount_lower(&self) -> Result<()> {
        Ok(())
    }

    /// Names of the extended attributes of `name`, or of `dir` itself where that is none.
    /// Those that mean something to a mark format are left out.
    ///
    /// # Errors
    /// Those of the layer. One that has no attributes answers an empty list.
    fn xattrs(&self, dir: &Self::Dir, name: Option<Name<'_>>) -> Result<XattrNames> {
        let _ = (dir, name); // Named for those who implement it.
        Ok(Vec::new())
    }

    /// The value of an extended attribute; none if there is no such attribute.
    ///
    /// # Errors
    /// Those of the layer.
    fn xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let _ = (dir, name, attribute); // Named for those who implement it.
        Ok(None)
    }
}

/// Names of extended attributes.
pub type XattrNames = Vec<Box<[u8]>>;

/// What a layer says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing here: ask the next layer down.
    Absent,
    /// Nothing here, and nothing below may show through (a whiteout).
    Hidden,
    /// This.
    Here {
        /// What is known of it.
        meta: Meta,
        /// Whether it is a directory that lets nothing below show through.
        opaque: bool,
    },
}

/// A directory that was [entered](Layer::enter).
#[derive(Debug)]
pub struct Entered<D> {
    /// The directory.
    pub dir: D,
    /// What is known of it.
    pub meta: Meta,
    /// Whether it is known to let nothing below show through. If not,
    /// [`is_opaque`](Layer::is_opaque) is asked when it matters.
    pub opaque: bool,
}

/// What a layer's listing says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A whiteout.
    Hidden,
    /// An entry.
    Here {
        /// The type.
        kind: Kind,
        /// The inode number, equal to the one in [`Meta`]; 0 where the layer's listing has none.
        inode: u64,
    },
}

/// The one layer that takes changes. The engine has it for itself while it is mounted, and calls
/// no two changes of one directory at the same time.
///
/// Every name that a method is given says what the upper holds there ([`Over`]), since the
/// engine knows; a method need not look again.
///
/// # Crash safety
/// `create`, `publish`, `remove`, `rename` and `link` are all or nothing: cut at any point
/// inside one, the next mount shows the tree as before the call or as after it, never between.
/// Likewise a call that fails changed nothing that can be seen. What is left to do once the
/// change is visible (a superfluous mark) cannot fail the call: it is logged, and mended at the
/// latest by the next [`mount`](Self::mount). `plain::faulty` (feature `conformance`) helps to try every
/// cut.
///
/// A file that was opened for reading refuses to be written with `bad-descriptor`, but its times
/// can be set, as by `futimens`.
pub trait Upper: Layer<File: WriteAt> {
    /// Something being made where no reader can see it. Dropped unpublished, it is gone.
    type Staged: Send + Sync + 'static;
    /// A file open for reading and writing.
    type Writable: WriteAt;

    /// Takes the upper for this mount alone, and mends what the last mount left if it was cut:
    /// staging is removed and leftover marks are reduced to the steady state.
    ///
    /// With [`Durability::Volatile`] the upper need not survive a crash of the machine, so it
    /// never waits for the disk.
    ///
    /// # Errors
    /// `busy` if another mount has it; `unsupported` if it holds what this format cannot be.
    fn mount(&self, durability: Durability) -> Result<()>;

    /// Ends the mount: removes the staging folder and gives the upper back. Called once, last.
    ///
    /// # Errors
    /// Those of the layer; the upper is given back in any case.
    fn unmount(&self) -> Result<()>;

    /// Begins something new, invisible until it is published.
    ///
    /// # Errors
    /// Those of the layer.
    fn stage(&self, new: New<'_>) -> Result<Self::Staged>;

    /// The data of a staged file; none of a directory or link.
    fn staged_file<'a>(&self, staged: &'a Self::Staged) -> Option<&'a dyn WriteAt>;

    /// Gives something staged the attributes of what it copies, times last.
    ///
    /// An upper that cannot give it the owner leaves out what that owner granted: the bits 06000 of
    /// the mode and the attribute `security.capability`.
    ///
    /// # Errors
    /// Where an attribute that must be kept ([`Attributes`] says which) cannot be set.
    fn dress(&self, staged: &Self::Staged, attributes: &Attributes) -> Result<()>;

    /// What will be known of something staged once it has its name: type, number, times and
    /// attributes as they are now, and one name. Asked before, so that nothing is left to fail
    /// after.
    ///
    /// # Errors
    /// Those of the layer.
    fn staged_meta(&self, staged: &Self::Staged) -> Result<Meta>;

    /// Moves something staged to its name. Where it is a copy (`keep_times`), the directory's
    /// own times stay as they were, so that nobody can tell. Returns the file, still open.
    ///
    /// # Errors
    /// Those of the layer.
    fn publish(
        &self,
        staged: Self::Staged,
        to: At<'_, Self::Dir>,
        over: Over,
        keep_times: bool,
    ) -> Result<Option<Self::Writable>>;

    /// Makes something that is whole at birth, in place: an empty file, a symbolic link, a
    /// directory that need not be opaque. Returns the file, open.
    ///
    /// # Errors
    /// `exist` if there is an entry after all; those of the layer.
    fn create(
        &self,
        new: New<'_>,
        to: At<'_, Self::Dir>,
        over: Over,
    ) -> Result<Option<Self::Writable>>;

    /// Removes `what` stands at a name in the upper, if anything, and with [`Leave::Mark`]
    /// hides what lies below.
    ///
    /// # Errors
    /// `name-too-long`, before any change, if a mark is asked for and cannot be spelled;
    /// those of the layer.
    fn remove(&self, at: At<'_, Self::Dir>, what: Over, leave: Leave) -> Result<()>;

    /// Moves an entry, replacing what the upper holds at the target. A directory that has to
    /// hide something at its new name was made opaque before.
    ///
    /// # Errors
    /// As [`remove`](Self::remove), for the mark left at the source.
    fn rename(
        &self,
        from: At<'_, Self::Dir>,
        to: At<'_, Self::Dir>,
        over: Over,
        leave: Leave,
    ) -> Result<()>;

    /// [`rename`](Self::rename) of a directory to which that answered `cross-device`: by a copy, which
    /// takes the place of the directory in one step as far as a later mount can see. `path` leads to the
    /// directory from the root. Nobody else uses a handle of it, or of one in it, until this returns;
    /// after that nobody uses one of before.
    ///
    /// Returns which files have another number now.
    ///
    /// # Errors
    /// `cross-device` where that cannot be done, or the upper does not do it; otherwise as
    /// [`rename`](Self::rename). What the directory shows is as before, but it may be another one.
    #[cfg(feature = "native")]
    fn rename_by_copy(
        &self,
        from: At<'_, Self::Dir>,
        to: At<'_, Self::Dir>,
        (over, leave): (Over, Leave),
        path: &[NameBuf],
    ) -> Result<Vec<Renumbered>> {
        let _ = (from, to, over, leave, path); // Named for those who implement it.
        Err(crate::Errno::CrossDevice.into())
    }

    /// Gives a file of the upper another name.
    ///
    /// # Errors
    /// `too-many-links`; those of the layer.
    fn link(&self, from: At<'_, Self::Dir>, to: At<'_, Self::Dir>, over: Over) -> Result<()>;

    /// Lets nothing below show through `dir`. Without a change of its times.
    ///
    /// # Errors
    /// Those of the layer.
    fn set_opaque(&self, dir: &Self::Dir) -> Result<()>;

    /// Opens a regular file for reading and writing.
    ///
    /// # Errors
    /// As [`Layer::open_file`]; `access` where the file's mode forbids it.
    fn open_write(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Writable>;

    /// Sets the times of `name`, or of `dir` itself where that is none. Follows no link.
    ///
    /// # Errors
    /// Those of the layer.
    fn set_times(&self, dir: &Self::Dir, name: Option<Name<'_>>, times: SetTimes) -> Result<()>;

    /// Sets an extended attribute of `name`, or of `dir` itself where that is none.
    ///
    /// # Errors
    /// `unsupported` where there are none of that kind.
    fn set_xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()>;

    /// Removes an extended attribute of `name`, or of `dir` itself where that is none.
    ///
    /// # Errors
    /// `no-entry` where it has no such attribute.
    fn remove_xattr(&self, dir: &Self::Dir, name: Option<Name<'_>>, attribute: &[u8])
    -> Result<()>;

    /// Brings the names in `dir` to disk.
    ///
    /// # Errors
    /// Those of the layer.
    fn sync_dir(&self, dir: &Self::Dir) -> Result<()>;

    /// Brings the whole upper to disk.
    ///
    /// # Errors
    /// Those of the layer.
    fn sync_all(&self) -> Result<()>;

    /// How much is stored, against the quota; none where the layer has no quota of its own.
    fn usage(&self) -> Option<Usage> {
        None
    }

    /// Whether the upper ends with the mount, and nothing but the overlay ever reads it. The engine
    /// then keeps in memory what it would have to write on rename: a moved directory goes on showing the
    /// lower directory that it came from, and the upper by itself does not hold what is in it. So a second
    /// [`mount`](Self::mount) of such an upper has to fail.
    fn is_ephemeral(&self) -> bool {
        false
    }

    /// Whether a crash of the machine keeps changes of names in the order in which they were made,
    /// as [`Guarantees::ordered_names`](crate::plain::Guarantees::ordered_names) has it. Where it
    /// does not, the engine syncs the names in a directory before a step that relies on them.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Whether closing a file may report an error of an earlier write, as
    /// [`Guarantees::errors_at_write`](crate::plain::Guarantees::errors_at_write) has it. Then a
    /// volatile overlay syncs a copy as well before it publishes it.
    fn may_fail_at_close(&self) -> bool {
        false
    }

    /// Whether the upper itself refuses to open a file whose mode forbids that. The engine does it for
    /// one that does not.
    fn enforces_modes(&self) -> bool {
        true
    }

    /// Whether a handle stays that of its directory when it, or one above it, is renamed, as
    /// [`Plain::handles_follow_rename`](crate::plain::Plain::handles_follow_rename) has it.
    fn handles_follow_rename(&self) -> bool {
        true
    }
}

/// A file that has another number since [`Upper::rename_by_copy`].
#[cfg(feature = "native")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renumbered {
    /// Device and inode number before.
    pub before: (u64, u64),
    /// Device and inode number now.
    pub after: (u64, u64),
    /// Whether names elsewhere kept the number: the file is another one than theirs now.
    pub is_shared: bool,
}

/// What an upper has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the machine: what was synced is there, and no change is there by half.
    Durable,
    /// A crash of the process.
    Volatile,
}

/// A name in a directory.
#[derive(Debug)]
pub struct At<'a, D> {
    /// The directory.
    pub dir: &'a D,
    /// The name in it.
    pub name: Name<'a>,
    /// When names in the directory last changed (its `mtime`), where who calls knows: a layer
    /// that has to put that time back then need not ask.
    pub modified: Option<Timestamp>,
}

impl<'a, D> At<'a, D> {
    /// A name in a directory of which nothing is known.
    pub fn new(dir: &'a D, name: Name<'a>) -> Self {
        Self {
            dir,
            name,
            modified: None,
        }
    }
}

impl<D> Clone for At<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for At<'_, D> {}

/// Something to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum New<'a> {
    /// An empty regular file.
    File,
    /// An empty directory.
    Dir {
        /// Whether it hides what lies below its name.
        opaque: bool,
    },
    /// A symbolic link with this target.
    Symlink(&'a [u8]),
}

/// What the upper itself holds at a name, which a change puts something over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nothing.
    Nothing,
    /// A whiteout.
    Mark,
    /// Anything but a directory.
    File,
    /// A directory that shows no entries; it may hold marks.
    EmptyDir,
}

/// What a removal leaves at the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing: nothing of that name lies below.
    Nothing,
    /// A whiteout, since something lies below.
    Mark,
}

/// The attributes of a file that its copy takes over.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// Permission bits. Must be kept, but for set-id bits without the owner.
    pub mode: Option<u32>,
    /// User and group. Kept where permitted.
    pub owner: Option<(u32, u32)>,
    /// Extended attributes, name and value. `user.*` must be kept; others where permitted.
    pub xattrs: Vec<(Box<[u8]>, Vec<u8>)>,
    /// Times. Must be kept.
    pub times: SetTimes,
}

impl Attributes {
    /// Whether they give who runs the file the rights of its owner, or more.
    pub(crate) fn grant_rights(&self) -> bool {
        self.mode.is_some_and(|mode| mode & SET_ID != 0)
            || self.xattrs.iter().any(|(name, _)| **name == *CAPABILITY)
    }

    /// Takes that away.
    pub(crate) fn revoke_rights(&mut self) {
        self.mode = self.mode.map(|mode| mode & !SET_ID);
        self.xattrs.retain(|(name, _)| **name != *CAPABILITY);
    }
}

/// What an upper holds, against what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of data stored.
    pub bytes: u64,
    /// Most bytes of data.
    pub max_bytes: u64,
    /// Files, directories and links stored.
    pub inodes: u64,
    /// Most of them.
    pub max_inodes: u64,
}
