//! The contract of the writable upper layer, and the types that its methods take.

use super::{Found, Layer, WriteAt};
use crate::error::Result;
use crate::meta::{CAPABILITY, Meta, SET_ID, SetTimes, Timestamp};
use crate::name::Name;
#[cfg(feature = "native")]
use crate::name::NameBuf;

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

    /// The inside of a directory that is staged, to put copies into: they appear with it. None of an
    /// upper that cannot do that: it is given one file at a time.
    ///
    /// # Errors
    /// Those of the layer.
    #[cfg(feature = "native")]
    fn staged_dir(&self, staged: &Self::Staged) -> Result<Option<Self::Dir>> {
        let _ = staged; // Named for those who implement it.
        Ok(None)
    }

    /// Makes a copy inside of a [staged directory](Self::staged_dir), or of a directory that was made in it
    /// so. Returns what is known of it; its attributes may be those of before.
    ///
    /// # Errors
    /// Those of the layer, and of what fills it; as [`dress`](Self::dress).
    #[cfg(feature = "native")]
    fn copy_into(&self, to: At<'_, Self::Dir>, copied: Copied<'_>) -> Result<Meta> {
        let _ = (to, copied); // Named for those who implement it.
        Err(crate::Errno::Unsupported.into())
    }

    /// Gives a directory that was [made in a staged one](Self::copy_into) its attributes, once all is in it.
    ///
    /// # Errors
    /// As [`dress`](Self::dress).
    #[cfg(feature = "native")]
    fn dress_dir(&self, at: At<'_, Self::Dir>, attributes: Attributes) -> Result<()> {
        let _ = (at, attributes); // Named for those who implement it.
        Err(crate::Errno::Unsupported.into())
    }

    /// [`rename`](Self::rename) of a directory to which that answered `cross-device`: by a copy, which
    /// takes the place of the directory in one step as far as a later mount can see. `path` leads to the
    /// directory from the root. Until this returns, the caller uses no handle of
    /// it or of a directory in it; afterwards it opens new ones.
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

    /// What is known of what was just made at a name: of a directory nobody has to ask what it hides.
    ///
    /// # Errors
    /// As [`Layer::find`]; `no-entry` if it is gone.
    fn created_meta(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Meta> {
        match self.find(dir, name)? {
            Found::Here { meta, .. } => Ok(meta),
            Found::Hidden | Found::Absent => Err(crate::Errno::NoEntry.into()),
        }
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

    /// Whether [`sync_all`](Self::sync_all) brings all data to disk and says what it could not, as
    /// [`Guarantees::syncs_whole`](crate::plain::Guarantees::syncs_whole) has it. Of many copies not each
    /// is synced then.
    fn syncs_whole(&self) -> bool {
        false
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

/// A copy that is made inside of a staged directory.
#[cfg(feature = "native")]
pub struct Copied<'a> {
    /// What it is. A directory gets its attributes [later](Upper::dress_dir).
    pub new: New<'a>,
    /// Its attributes.
    pub attributes: Attributes,
    /// Fills a file.
    pub fill: &'a mut dyn FnMut(&dyn WriteAt) -> Result<()>,
    /// Whether a file is synced.
    pub sync: bool,
}

#[cfg(feature = "native")]
impl std::fmt::Debug for Copied<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copied")
            .field("new", &self.new)
            .field("attributes", &self.attributes)
            .field("sync", &self.sync)
            .finish_non_exhaustive()
    }
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
    /// What of them is left to be set of a copy that is as `made`.
    pub(crate) fn beyond(mut self, made: &Meta) -> Self {
        if self.owner.is_none() && made.owner.is_some() {
            // Granted by an owner who is not known, and so cannot be kept.
            self.revoke_rights();
        }
        self.owner = self.owner.filter(|owner| Some(*owner) != made.owner);
        // A new owner takes bits of the mode away, and an attribute may be an ACL, which sets some.
        if self.owner.is_none() && self.xattrs.is_empty() {
            self.mode = self.mode.filter(|mode| Some(*mode) != made.mode);
        }
        self
    }

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
