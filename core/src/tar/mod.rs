//! [`TarLayer`]: a read-only layer served out of a tar archive, without unpacking it.
//!
//! One pass over the headers makes a [`TarIndex`], which holds all names and attributes; the data of a file
//! is read from where it lies in the archive. A lookup, a listing or an open makes no system call, so a
//! layer in an archive is faster than the directory that it unpacks to. The archive must not be compressed.
//!
//! # What an archive means
//! The layer shows what a program that unpacks the archive would leave in an empty directory, with
//! whiteouts in both formats ([OCI image spec], [overlayfs]). Where such programs disagree:
//!
//! - A directory that has no entry, but names below it, takes its attributes from the next lower layer that
//!   has some ([`Meta::implied`]).
//! - A path through a symbolic link of the same archive replaces the link by a directory. Links are never
//!   followed here.
//! - The last entry of a path counts. An entry that is not a directory replaces a directory and all that
//!   it contains.
//! - An entry counts more than a whiteout of its name in the same archive, in whatever order they come; a
//!   directory is opaque then.
//! - A hard link is bound to the file that its target is when the link comes; if there is none yet, to
//!   what it is at the end. A target outside of the archive is an error.
//!
//! Refused are `..` in a path, entries of other types than files, directories, links, devices and fifos,
//! numbers of users beyond 32 bits, and whatever cannot be read; the bounds are in [`Limits`].
//!
//! [OCI image spec]: https://github.com/opencontainers/image-spec/blob/main/layer.md
//! [overlayfs]: https://docs.kernel.org/filesystems/overlayfs.html

mod entry;
mod extras;
mod file;
mod finish;
mod index;
mod links;
mod node;
mod path;
mod pax;
mod scan;
mod source;
mod tree;
mod warnings;

pub use file::TarFile;
pub use index::TarIndex;
pub use scan::Scanner;
pub use source::Source;

use crate::error::{Errno, Result};
use crate::layer::{Entered, Found, Layer, Listed, XattrNames};
use crate::limits::Limits;
use crate::meta::{Kind, Meta};
use crate::name::Name;
use node::{HIDDEN, Node, NodeFlags};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A layer in an archive. A clone shares the index and the archive.
///
/// ```no_run
/// use wasi_overlay_core::{Limits, Lower, Overlay, tar::TarLayer};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let archive = std::fs::File::open("layer.tar")?;
/// let layer = TarLayer::scan(archive, &Limits::default())?;
/// let overlay = Overlay::builder().lower(Lower::new("layer.tar", layer)).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TarLayer {
    index: Arc<TarIndex>,
    source: Arc<dyn Source>,
}

/// A directory of a [`TarLayer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TarDir(u32);

impl TarLayer {
    /// The layer in `archive`, of which `index` was made.
    pub fn new(index: Arc<TarIndex>, archive: Arc<dyn Source>) -> Self {
        Self {
            index,
            source: archive,
        }
    }

    /// The layer in `archive`. Reads all headers.
    ///
    /// # Errors
    /// As [`TarIndex::scan`].
    pub fn scan(archive: impl Source, limits: &Limits) -> Result<Self> {
        let index = TarIndex::scan(&archive, limits)?;
        Ok(Self::new(Arc::new(index), Arc::new(archive)))
    }

    /// The index.
    pub fn index(&self) -> &Arc<TarIndex> {
        &self.index
    }

    /// The number and the node of an entry.
    fn lookup(&self, dir: TarDir, name: Name<'_>) -> Result<(u32, Node)> {
        match self.index.find(dir.0, name) {
            Some(HIDDEN) | None => Err(Errno::NoEntry.into()),
            Some(number) => Ok((number, self.index.node(number))),
        }
    }

    /// The node of an entry, or of the directory itself.
    fn node_of(&self, dir: TarDir, name: Option<Name<'_>>) -> Result<Node> {
        match name {
            Some(name) => self.lookup(dir, name).map(|(_, node)| node),
            None => Ok(self.index.node(dir.0)),
        }
    }

    fn meta(&self, number: u32, node: &Node) -> Meta {
        node.meta(number, self.index.extras())
    }
}

impl Layer for TarLayer {
    type Dir = TarDir;
    type File = TarFile;

    fn root(&self) -> Result<TarDir> {
        Ok(TarDir(0))
    }

    fn dir_meta(&self, dir: &TarDir) -> Result<Meta> {
        Ok(self.meta(dir.0, &self.index.node(dir.0)))
    }

    fn is_opaque(&self, dir: &TarDir) -> Result<bool> {
        Ok(self.index.node(dir.0).flags.contains(NodeFlags::OPAQUE))
    }

    fn find(&self, dir: &TarDir, name: Name<'_>) -> Result<Found> {
        Ok(match self.index.find(dir.0, name) {
            None => Found::Absent,
            Some(HIDDEN) => Found::Hidden,
            Some(number) => {
                let node = self.index.node(number);
                Found::Here {
                    meta: self.meta(number, &node),
                    opaque: node.flags.contains(NodeFlags::OPAQUE),
                }
            }
        })
    }

    fn open_dir(&self, dir: &TarDir, name: Name<'_>) -> Result<TarDir> {
        let (number, node) = self.lookup(*dir, name)?;
        if node.is_dir() {
            Ok(TarDir(number))
        } else {
            Err(Errno::NotDirectory.into())
        }
    }

    fn enter(&self, dir: &TarDir, name: Name<'_>) -> Result<Option<Entered<TarDir>>> {
        let dir = self.open_dir(dir, name)?;
        let node = self.index.node(dir.0);
        Ok(Some(Entered {
            dir,
            meta: self.meta(dir.0, &node),
            opaque: node.flags.contains(NodeFlags::OPAQUE),
        }))
    }

    fn open_file(&self, dir: &TarDir, name: Name<'_>) -> Result<TarFile> {
        let (number, node) = self.lookup(*dir, name)?;
        match node.kind() {
            Some(Kind::File) => Ok(TarFile::new(
                Arc::clone(&self.source),
                &self.index,
                number,
                &node,
            )),
            Some(Kind::Dir) => Err(Errno::IsDirectory.into()),
            Some(Kind::Symlink) => Err(Errno::Loop.into()),
            _ => Err(Errno::Unsupported.into()),
        }
    }

    fn read_link(&self, dir: &TarDir, name: Name<'_>) -> Result<Box<[u8]>> {
        let (_, node) = self.lookup(*dir, name)?;
        if node.kind() == Some(Kind::Symlink) {
            Ok(self.index.target(&node).into())
        } else {
            Err(Errno::Invalid.into())
        }
    }

    fn list(
        &self,
        dir: &TarDir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        for at in self.index.children(dir.0) {
            let (name, number) = self.index.entry(at);
            let listed = if number == HIDDEN {
                Listed::Hidden
            } else {
                let node = self.index.node(number);
                let Some(kind) = node.kind() else {
                    return Err(Errno::Io.into());
                };
                Listed::Here {
                    kind,
                    inode: node::inode(number),
                }
            };
            if each(name, listed).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn has_names_in_memory(&self) -> bool {
        true
    }

    fn holds_descriptors(&self) -> bool {
        false
    }

    fn xattrs(&self, dir: &TarDir, name: Option<Name<'_>>) -> Result<XattrNames> {
        let node = self.node_of(*dir, name)?;
        let attributes = extras::attributes(self.index.extras(), &node);
        Ok(attributes.map(|(name, _)| name.into()).collect())
    }

    fn xattr(
        &self,
        dir: &TarDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let node = self.node_of(*dir, name)?;
        let mut attributes = extras::attributes(self.index.extras(), &node);
        let found = attributes.find(|(name, _)| *name == attribute);
        Ok(found.map(|(_, value)| value.to_vec()))
    }
}

impl std::fmt::Debug for TarLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TarLayer").field(&self.index).finish()
    }
}
