//! [`Upper`]: the trait for the writable upper layer, and the types of its arguments.

use super::{Found, Layer, WriteAt};
use crate::error::Result;
use crate::meta::{CAPABILITY, Meta, SET_ID, SetTimes};
use crate::name::Name;
use crate::name::NameBuf;

/// Whether the uppers of this build may stage whole trees and move directories by copying them. Those of a
/// component cannot, so the code for it is left out there.
pub(crate) const COPIES_TREES: bool = cfg!(feature = "native");

/// The layer that all changes go to. The engine has exclusive use of it while it is mounted, and never
/// makes two changes of one directory at the same time.
///
/// For every name that a method replaces or removes, the engine passes what the upper holds there
/// ([`Over`]): a method need not look it up again.
///
/// # Crash safety
/// `create`, `publish`, `remove`, `rename` and `link` are all or nothing: after a crash at any point
/// inside one, the next mount shows the tree as before the call or as after it, never a state between.
/// Likewise a call that fails has made no visible change. Cleanup after the change is visible (of a
/// superfluous whiteout) cannot fail the call: a failure is logged, and repaired by the next
/// [`mount`](Self::mount) at the latest. `plain::faulty` (feature `conformance`) helps to test a crash at
/// every point.
///
/// Writing to a file that was opened for reading fails with `bad-descriptor`, but its times can be set, as
/// with `futimens`.
pub trait Upper: Layer<File: WriteAt> {
    /// A file, directory or link under construction, invisible to readers. Dropping it unpublished
    /// removes it.
    type Staged: Send + Sync + 'static;
    /// A file open for reading and writing.
    type Writable: WriteAt;

    /// Takes the upper for the exclusive use of this mount, and repairs what a crashed mount left: it
    /// removes the staging area and superfluous whiteouts.
    ///
    /// With [`Durability::Volatile`] the upper need not survive a crash of the machine, so it
    /// never waits for the disk.
    ///
    /// # Errors
    /// `busy` if another mount uses it; `unsupported` if its content does not fit this format.
    fn mount(&self, durability: Durability) -> Result<()>;

    /// Ends the mount: removes the staging area and releases the upper. Called once, as the last method.
    ///
    /// # Errors
    /// Any error returned by the layer; the upper is released in any case.
    fn unmount(&self) -> Result<()>;

    /// Creates a file, directory or link that stays invisible until it is published.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn stage(&self, new: New<'_>) -> Result<Self::Staged>;

    /// The data of a staged file. `None` for a directory or link.
    fn staged_file<'a>(&self, staged: &'a Self::Staged) -> Option<&'a dyn WriteAt>;

    /// Sets the attributes of a staged file, directory or link to those of its original, times last.
    ///
    /// An upper that cannot set the owner leaves out the rights that come with the owner: the bits 06000
    /// of the mode and the attribute `security.capability`.
    ///
    /// # Errors
    /// If an attribute that must be kept ([`Attributes`] says which) cannot be set.
    fn set_attributes(&self, staged: &Self::Staged, attributes: &Attributes) -> Result<()>;

    /// The metadata that a staged file, directory or link will have once it is published: type, inode
    /// number, times and attributes as they are now, and a link count of 1. The engine calls it before
    /// publishing, so that no step that can fail is left afterwards.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn staged_meta(&self, staged: &Self::Staged) -> Result<Meta>;

    /// Moves a staged file, directory or link to its name. For a copy (`keep_times`) the directory's
    /// own times are preserved, so that the copy-up is not visible. Returns the file, still open.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn publish(
        &self,
        staged: Self::Staged,
        to: At<'_, Self::Dir>,
        over: Over,
        keep_times: bool,
    ) -> Result<Option<Self::Writable>>;

    /// Creates in place what needs no further step to be complete: an empty file, a symbolic link, a
    /// directory that need not be opaque. Returns the file, open.
    ///
    /// # Errors
    /// `exist` if there is an entry despite `over`; any error returned by the layer.
    fn create(
        &self,
        new: New<'_>,
        to: At<'_, Self::Dir>,
        over: Over,
    ) -> Result<Option<Self::Writable>>;

    /// Removes `what` the upper holds at a name, if anything, and with [`Leave::Whiteout`]
    /// hides the name in the layers below.
    ///
    /// # Errors
    /// `name-too-long`, before any change, if the whiteout would need a name that is too long;
    /// any error returned by the layer.
    fn remove(&self, at: At<'_, Self::Dir>, what: Over, leave: Leave) -> Result<()>;

    /// Moves an entry, replacing what the upper holds at the target. The engine has made a directory
    /// opaque beforehand if it must hide something at its new name.
    ///
    /// # Errors
    /// As [`remove`](Self::remove), for the whiteout left at the source.
    fn rename(
        &self,
        from: At<'_, Self::Dir>,
        to: At<'_, Self::Dir>,
        over: Over,
        leave: Leave,
    ) -> Result<()>;

    /// A handle of a staged directory, to put copies into: they appear together with it. An upper that
    /// cannot do that returns `None`: the engine then copies one file at a time.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn staged_dir(&self, staged: &Self::Staged) -> Result<Option<Self::Dir>> {
        let _ = staged; // Named for implementers.
        Ok(None)
    }

    /// Creates a copy in a [staged directory](Self::staged_dir), or in a directory that was created there
    /// by this method. Returns its metadata, which may be from before the attributes were set.
    ///
    /// # Errors
    /// Any error returned by the layer, or by [`Copied::fill`]; as [`set_attributes`](Self::set_attributes).
    fn copy_into(&self, to: At<'_, Self::Dir>, copied: Copied<'_>) -> Result<Meta> {
        let _ = (to, copied); // Named for implementers.
        Err(crate::Errno::Unsupported.into())
    }

    /// Sets the attributes of a directory that was [created in a staged one](Self::copy_into), once it has
    /// all its entries.
    ///
    /// # Errors
    /// As [`set_attributes`](Self::set_attributes).
    fn set_dir_attributes(&self, at: At<'_, Self::Dir>, attributes: Attributes) -> Result<()> {
        let _ = (at, attributes); // Named for implementers.
        Err(crate::Errno::Unsupported.into())
    }

    /// Renames a directory for which [`rename`](Self::rename) failed with `cross-device`: by a copy, which
    /// replaces the directory in one step as far as a later mount can see. `path` leads to the
    /// directory from the root. Until this returns, the caller uses no handle of
    /// the directory or of a directory in it; afterwards it opens new ones.
    ///
    /// Returns the files whose inode number changed.
    ///
    /// # Errors
    /// `cross-device` if that is not possible, or the upper does not support it; otherwise as
    /// [`rename`](Self::rename). After an error the directory has the same content as before, but it may be
    /// a new directory.
    fn rename_by_copy(
        &self,
        from: At<'_, Self::Dir>,
        to: At<'_, Self::Dir>,
        (over, leave): (Over, Leave),
        path: &[NameBuf],
    ) -> Result<Vec<Renumbered>> {
        let _ = (from, to, over, leave, path); // Named for implementers.
        Err(crate::Errno::CrossDevice.into())
    }

    /// The metadata of an entry that was just created. For a directory it need not check for an opaque
    /// whiteout.
    ///
    /// # Errors
    /// As [`Layer::find`]; `no-entry` if it does not exist any more.
    fn created_meta(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Meta> {
        match self.find(dir, name)? {
            Found::Here { meta, .. } => Ok(meta),
            Found::Hidden | Found::Absent => Err(crate::Errno::NoEntry.into()),
        }
    }

    /// Gives a file of the upper another name.
    ///
    /// # Errors
    /// `too-many-links`; any error returned by the layer.
    fn link(&self, from: At<'_, Self::Dir>, to: At<'_, Self::Dir>, over: Over) -> Result<()>;

    /// Makes `dir` opaque, without a change of its times.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn set_opaque(&self, dir: &Self::Dir) -> Result<()>;

    /// Opens a regular file for reading and writing.
    ///
    /// # Errors
    /// As [`Layer::open_file`]; `access` if the file's mode forbids it.
    fn open_write(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Writable>;

    /// Sets the times of `name`, or of `dir` itself if `name` is `None`. Does not follow symbolic links.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn set_times(&self, dir: &Self::Dir, name: Option<Name<'_>>, times: SetTimes) -> Result<()>;

    /// Sets an extended attribute of `name`, or of `dir` itself if `name` is `None`.
    ///
    /// # Errors
    /// `unsupported` if the layer has no attributes of that kind.
    fn set_xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()>;

    /// Removes an extended attribute of `name`, or of `dir` itself if `name` is `None`.
    ///
    /// # Errors
    /// `no-entry` if it has no such attribute.
    fn remove_xattr(&self, dir: &Self::Dir, name: Option<Name<'_>>, attribute: &[u8])
    -> Result<()>;

    /// Syncs the names in `dir` to disk.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn sync_dir(&self, dir: &Self::Dir) -> Result<()>;

    /// Syncs the whole upper to disk.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn sync_all(&self) -> Result<()>;

    /// The storage in use, and the quota. `None` if the layer has no quota of its own.
    fn usage(&self) -> Option<Usage> {
        None
    }

    /// Whether changes of names survive a crash of the machine in the order in which they were made, as
    /// in [`Guarantees::ordered_names`](crate::plain::Guarantees::ordered_names). If not, the engine syncs
    /// the names in a directory before a step that relies on them.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Whether [`sync_all`](Self::sync_all) brings all data to disk and reports failed writes, as
    /// in [`Guarantees::syncs_whole`](crate::plain::Guarantees::syncs_whole). The engine then need not sync
    /// each of many copies.
    fn syncs_whole(&self) -> bool {
        false
    }

    /// Whether closing a file may report an error of an earlier write: the opposite of
    /// [`Guarantees::errors_at_write`](crate::plain::Guarantees::errors_at_write). If so, a
    /// volatile overlay too syncs a copy before it publishes it.
    fn may_fail_at_close(&self) -> bool {
        false
    }

    /// Whether the upper itself refuses to open a file whose mode forbids it. If not, the engine checks
    /// the mode.
    fn enforces_modes(&self) -> bool {
        true
    }

    /// Whether a handle still refers to its directory after the directory, or one above it, is renamed, as
    /// in [`Plain::handles_follow_rename`](crate::plain::Plain::handles_follow_rename).
    fn handles_follow_rename(&self) -> bool {
        true
    }
}

/// A file whose inode number changed in [`Upper::rename_by_copy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renumbered {
    /// Device and inode number before.
    pub before: (u64, u64),
    /// Device and inode number now.
    pub after: (u64, u64),
    /// Whether other names of the file, outside the directory, kept the old number: they now refer to
    /// another file.
    pub is_shared: bool,
}

/// A copy to create in a staged directory.
pub struct Copied<'a> {
    /// The type. A directory gets its attributes [later](Upper::set_dir_attributes).
    pub new: New<'a>,
    /// Its attributes.
    pub attributes: Attributes,
    /// Writes the data of a file.
    pub fill: &'a mut dyn FnMut(&dyn WriteAt) -> Result<()>,
    /// Whether to sync a file.
    pub sync: bool,
}

impl std::fmt::Debug for Copied<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copied")
            .field("new", &self.new)
            .field("attributes", &self.attributes)
            .field("sync", &self.sync)
            .finish_non_exhaustive()
    }
}

/// The crashes that an upper must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the machine: synced data survives, and no change survives in part.
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
}

impl<'a, D> At<'a, D> {
    /// A name in a directory.
    pub fn new(dir: &'a D, name: Name<'a>) -> Self {
        Self { dir, name }
    }
}

impl<D> Clone for At<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for At<'_, D> {}

/// The type of a new file, directory or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum New<'a> {
    /// An empty regular file.
    File,
    /// An empty directory.
    Dir {
        /// Whether it is opaque.
        opaque: bool,
    },
    /// A symbolic link with this target.
    Symlink(&'a [u8]),
}

/// What the upper itself holds at a name that a change replaces or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nothing.
    Nothing,
    /// A whiteout.
    Whiteout,
    /// Anything but a directory.
    File,
    /// A directory that shows no entries; it may contain whiteouts.
    EmptyDir,
}

/// What a removal leaves at the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing: no layer below has the name.
    Nothing,
    /// A whiteout, since a layer below has the name.
    Whiteout,
}

/// The attributes of a file that are copied with it.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// Permission bits. Must be kept, except set-id bits if the owner is not.
    pub mode: Option<u32>,
    /// User and group. Kept where permitted.
    pub owner: Option<(u32, u32)>,
    /// Extended attributes, name and value. `user.*` must be kept; others where permitted.
    pub xattrs: Vec<(Box<[u8]>, Vec<u8>)>,
    /// Times. Must be kept.
    pub times: SetTimes,
}

impl Attributes {
    /// The attributes that are left to set on a copy with the metadata `made`.
    pub(crate) fn remaining_after(mut self, made: &Meta) -> Self {
        if self.owner.is_none() && made.owner.is_some() {
            // These rights come with an owner that is not known, so they cannot be kept.
            self.revoke_rights();
        }
        self.owner = self.owner.filter(|owner| Some(*owner) != made.owner);
        // Changing the owner clears bits of the mode, and an attribute may be an ACL, which sets some.
        if self.owner.is_none() && self.xattrs.is_empty() {
            self.mode = self.mode.filter(|mode| Some(*mode) != made.mode);
        }
        self
    }

    /// Whether they give a user who runs the file the rights of its owner, or more.
    pub(crate) fn grants_rights(&self) -> bool {
        self.mode.is_some_and(|mode| mode & SET_ID != 0)
            || self.xattrs.iter().any(|(name, _)| **name == *CAPABILITY)
    }

    /// Removes the attributes that give such rights.
    pub(crate) fn revoke_rights(&mut self) {
        self.mode = self.mode.map(|mode| mode & !SET_ID);
        self.xattrs.retain(|(name, _)| **name != *CAPABILITY);
    }
}

/// The storage that an upper uses, and its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of data stored.
    pub bytes: u64,
    /// Maximum bytes of data.
    pub max_bytes: u64,
    /// Files, directories and links stored.
    pub inodes: u64,
    /// Maximum number of files, directories and links.
    pub max_inodes: u64,
    /// Bytes of memory besides the data, for metadata and names: an estimate for names of up to 40 bytes. No
    /// limit of its own, since `max_inodes` bounds it.
    pub bookkeeping: u64,
}
