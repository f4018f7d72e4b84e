//! [`Layer`] for [`MemoryLayer`]: lookups, listings and reads.

use super::entries::{Slot, check_length};
use super::node::{Body, Node};
use super::{MemoryDir, MemoryFile, MemoryLayer};
use crate::error::{Errno, Result};
use crate::layer::{Found, Layer, Listed};
use crate::meta::Meta;
use crate::name::{Name, NameBuf};
use crate::place::Place;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The number of names that a listing reads under one lock. The directory is unlocked between two batches.
const BATCH: usize = 128;

impl Layer for MemoryLayer {
    type Dir = MemoryDir;
    type File = MemoryFile;

    fn root(&self) -> Result<MemoryDir> {
        Ok(MemoryDir(Arc::clone(&self.0.root)))
    }

    fn place(&self) -> Result<Option<Place>> {
        Ok(self.0.place.clone())
    }

    fn dir_meta(&self, dir: &MemoryDir) -> Result<Meta> {
        Ok(dir.0.meta())
    }

    fn is_opaque(&self, dir: &MemoryDir) -> Result<bool> {
        Ok(dir.0.is_opaque())
    }

    fn find(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Found> {
        check_length(name)?;
        let node = match dir.0.live_entries()?.get(name) {
            None => return Ok(Found::Absent),
            Some(Slot::Whiteout(_)) => return Ok(Found::Hidden),
            Some(Slot::Entry(node)) => Arc::clone(node),
        };
        Ok(Found::Here {
            meta: node.meta(),
            opaque: node.is_opaque(),
        })
    }

    fn open_dir(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryDir> {
        let node = dir.0.child(name)?;
        if !node.is_dir() {
            return Err(Errno::NotDirectory.into());
        }
        Ok(MemoryDir(node))
    }

    fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryFile> {
        MemoryFile::open(dir.0.child(name)?, false)
    }

    fn read_link(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Box<[u8]>> {
        match &dir.0.child(name)?.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::Invalid.into()),
        }
    }

    fn is_in_memory(&self) -> bool {
        true
    }

    fn list(
        &self,
        dir: &MemoryDir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut batch: Vec<(NameBuf, Listed)> = Vec::new();
        loop {
            let last = batch.pop().map(|(name, _)| name);
            batch.clear();
            let last = last.as_ref().map(|name| name.as_name().as_bytes());
            batch.extend(
                dir.0
                    .live_entries()?
                    .after(last)
                    .take(BATCH)
                    .map(|(name, slot)| {
                        let listed = match slot {
                            Slot::Whiteout(_) => Listed::Hidden,
                            Slot::Entry(node) => Listed::Here {
                                kind: node.kind(),
                                inode: node.inode,
                            },
                        };
                        (name.to_owned(), listed)
                    }),
            );
            if batch.is_empty() {
                return Ok(());
            }
            for (name, listed) in &batch {
                if each(name.as_name(), *listed).is_break() {
                    return Ok(());
                }
            }
        }
    }

    fn xattrs(&self, dir: &MemoryDir, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
        Ok(dir.target(name)?.xattrs())
    }

    fn xattr(
        &self,
        dir: &MemoryDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        Ok(dir.target(name)?.xattr(attribute))
    }
}

impl MemoryDir {
    /// The entry at `name`, or the directory itself.
    pub(super) fn target(&self, name: Option<Name<'_>>) -> Result<Arc<Node>> {
        match name {
            Some(name) => self.0.child(name),
            None => self.0.live_entries().map(|_| Arc::clone(&self.0)),
        }
    }
}
