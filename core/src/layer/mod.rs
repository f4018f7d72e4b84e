//! [`Layer`] and [`Upper`]: the traits for the trees that the engine merges, and a layer in memory.
//!
//! A [`Layer`] can be read and can contain whiteouts; an [`Upper`] can also be changed.
//! [`MemoryLayer`] implements both directly; [`Marked`](crate::whiteouts::Marked) implements them for any
//! [`Plain`](crate::plain::Plain) tree. Validate a layer of your own with the conformance suite
//! (`wasi_overlay_core::layer::conformance`, feature `conformance`).
//!
//! ```text
//!   overlay ──calls─► Layer / Upper        one checked name at a time, relative to a
//!                       │                  directory handle from the layer itself
//!             ┌─────────┼──────────┐
//!          memory     Marked ──► Plain     a tree without whiteouts
//! ```

#[cfg(feature = "conformance")]
pub mod conformance;
pub(crate) mod erased;
mod file;
mod memory;
mod upper;

pub use file::{Advice, ReadAt, WriteAt};
pub use memory::{MemoryBuilder, MemoryDir, MemoryFile, MemoryLayer, MemoryStaged};
pub(crate) use upper::COPIES_TREES;
pub use upper::{At, Attributes, Durability, Leave, New, Over, Upper, Usage};
pub use upper::{Copied, Renumbered};

use crate::error::Result;
use crate::meta::{Kind, Meta};
use crate::name::Name;
use crate::place::Place;
use std::ops::ControlFlow;

/// A tree of files that an overlay can read.
///
/// The engine passes a layer one checked [`Name`] at a time and never a path, so no path can lead
/// outside the layer. A layer never follows a symbolic link: the engine does, because a link in one
/// layer may lead into another. Methods may run concurrently.
///
/// Every method fails with [`Errno::NoEntry`](crate::Errno::NoEntry) if the name (or the
/// directory itself) does not exist, and only then: if a layer cannot tell, it returns another error, never
/// absence.
pub trait Layer: Send + Sync + 'static {
    /// A directory of this layer. Dropping it releases the resources that it holds.
    type Dir: Send + Sync + 'static;
    /// A regular file of this layer, open for reading.
    type File: ReadAt;

    /// The top directory.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn root(&self) -> Result<Self::Dir>;

    /// The metadata of a directory. In a directory that is only [implied](Meta::implied) it is what counts
    /// if no lower layer has attributes of the directory.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn dir_meta(&self, dir: &Self::Dir) -> Result<Meta>;

    /// Whether a directory is opaque: it hides everything below it, however it was opened. It need not
    /// take into account what [`list`](Self::list) reports as hidden in its parent.
    ///
    /// Where possible the engine calls it after it has listed the directory: a layer whose opaque whiteout
    /// is an entry of the directory then need not look for it.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn is_opaque(&self, dir: &Self::Dir) -> Result<bool>;

    /// Looks up `name` in `dir`, in this layer alone.
    ///
    /// # Errors
    /// Any error returned by the layer. A name that does not exist is `Ok(Found::Absent)`.
    fn find(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Found>;

    /// Opens a directory.
    ///
    /// # Errors
    /// `not-directory` if it is not a directory, for a symbolic link too.
    fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir>;

    /// [`find`](Self::find) and [`open_dir`](Self::open_dir) in one call, for a name that was listed as a
    /// directory and not as hidden. A layer that cannot save calls this way returns `None`: the engine then
    /// calls the two methods.
    ///
    /// # Errors
    /// As those two. A name that does not exist is `no-entry`.
    fn enter(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Option<Entered<Self::Dir>>> {
        let _ = (dir, name); // Named for implementers.
        Ok(None)
    }

    /// Opens a regular file for reading. Never blocks.
    ///
    /// # Errors
    /// `is-directory` for a directory, `loop` for a symbolic link, `unsupported` for any other
    /// file that is not a regular one.
    fn open_file(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::File>;

    /// [`open_file`](Self::open_file) for a file that will be copied, and the names of its
    /// [`xattrs`](Self::xattrs). A layer that reads these to open the file can save a call.
    ///
    /// # Errors
    /// As those two.
    fn open_to_copy(&self, dir: &Self::Dir, name: Name<'_>) -> Result<(Self::File, XattrNames)> {
        Ok((self.open_file(dir, name)?, self.xattrs(dir, Some(name))?))
    }

    /// The target of a symbolic link, unchanged.
    ///
    /// # Errors
    /// `invalid` if it is not a symbolic link.
    fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Box<[u8]>>;

    /// Calls `each` once for every name, including hidden ones, in any order, until it breaks.
    ///
    /// A layer whose format can hold an entry and a whiteout of one name reports both; the entry
    /// counts. The engine merges directories by the types listed here, which must be those that
    /// [`find`](Self::find) returns.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn list(
        &self,
        dir: &Self::Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()>;

    /// Whether reading a file costs no more than copying memory. For all other layers the engine caches
    /// the data of small files.
    ///
    /// If so, no method of the layer may block: the engine also calls them on threads of an asynchronous
    /// runtime (`at_once`).
    fn is_in_memory(&self) -> bool {
        false
    }

    /// Whether the layer has names and attributes in memory, although reading a file may take longer.
    ///
    /// If so, no method of the layer may block, [`open_file`](Self::open_file) included: the engine also calls
    /// them on threads of an asynchronous runtime, and only reads of files are made elsewhere.
    fn has_names_in_memory(&self) -> bool {
        self.is_in_memory()
    }

    /// Whether an open directory or file holds a descriptor of the process.
    fn holds_descriptors(&self) -> bool {
        !self.is_in_memory()
    }

    /// Where the layer is stored, so that the engine can refuse an upper that shares storage with another
    /// layer. `None` if the layer cannot tell, or cannot share storage with any other layer.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn place(&self) -> Result<Option<Place>> {
        Ok(None)
    }

    /// Shows other processes that the layer is in use as a lower, until it is dropped (with a lock, for
    /// example). Called when a stack is built from it.
    ///
    /// # Errors
    /// `busy` if another process uses it as an upper; any error returned by the layer.
    fn mount_lower(&self) -> Result<()> {
        Ok(())
    }

    /// The names of the extended attributes of `name`, or of `dir` itself if `name` is `None`, without
    /// those that belong to a format of whiteouts.
    ///
    /// # Errors
    /// Any error returned by the layer. A layer without attributes returns an empty list.
    fn xattrs(&self, dir: &Self::Dir, name: Option<Name<'_>>) -> Result<XattrNames> {
        let _ = (dir, name); // Named for implementers.
        Ok(Vec::new())
    }

    /// The value of an extended attribute. `None` if there is no such attribute.
    ///
    /// # Errors
    /// Any error returned by the layer.
    fn xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let _ = (dir, name, attribute); // Named for implementers.
        Ok(None)
    }
}

/// Names of extended attributes.
pub type XattrNames = Vec<Box<[u8]>>;

/// The result of looking up a name in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The layer has nothing at this name: the engine looks in the next layer below.
    Absent,
    /// A whiteout: the layer has no entry, and hides the name in the layers below.
    Hidden,
    /// An entry.
    Here {
        /// Its metadata.
        meta: Meta,
        /// Whether it is an opaque directory.
        opaque: bool,
    },
}

/// A directory that was [entered](Layer::enter).
#[derive(Debug)]
pub struct Entered<D> {
    /// The directory.
    pub dir: D,
    /// Its metadata.
    pub meta: Meta,
    /// Whether it is known to be opaque. If not, the engine calls [`is_opaque`](Layer::is_opaque) when it
    /// matters.
    pub opaque: bool,
}

/// An item of a layer's listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A whiteout.
    Hidden,
    /// An entry.
    Here {
        /// The type.
        kind: Kind,
        /// The inode number, equal to the one in [`Meta`]; 0 if the layer's listing has none.
        inode: u64,
    },
}
