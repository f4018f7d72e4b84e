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
mod upper;

pub use file::{Advice, ReadAt, WriteAt};
pub use memory::{MemoryBuilder, MemoryDir, MemoryFile, MemoryLayer, MemoryStaged};
pub use upper::{At, Attributes, Durability, Leave, New, Over, Upper, Usage};
#[cfg(feature = "native")]
pub use upper::{Copied, Renumbered};

use crate::error::Result;
use crate::meta::{Kind, Meta};
use crate::name::Name;
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
    ///
    /// If so, no method of the layer may block: they are called on threads of an asynchronous runtime too
    /// (`at_once`).
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
