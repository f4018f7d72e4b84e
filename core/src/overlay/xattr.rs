//! Extended attributes. They are for the embedder: WASI has no call for them.

use super::copy_up::Data;
use super::dir::OverlayDir;
use super::lookup::MergedFile;
use super::node::Node;
use super::resolve::{Last, Walked};
use crate::error::{Errno, Result, is_there};
use crate::layer::erased::{AnyUpper, DirHandle};
use crate::meta::Kind;
use crate::name::Name;
use crate::whiteouts::is_overlay_attribute;
use std::sync::Arc;

impl OverlayDir {
    /// Names of the extended attributes of the file at `path`.
    ///
    /// # Errors
    /// Those of POSIX path resolution; any error returned by the layer.
    pub fn xattrs_at(&self, path: &str, follow: bool) -> Result<Vec<Box<[u8]>>> {
        let mut names = self.at_path(path, follow, |walked, found| match found {
            MergedFile::Lower(lower) => lower.xattrs(&self.shared.stack),
            MergedFile::Node(node) => match (node.upper.get(), node.below()) {
                (None, Some(lower)) => lower.xattrs(&self.shared.stack),
                (_, _) => self.in_upper(node, walked, |upper, dir, name| upper.xattrs(dir, name)),
            },
        })?;
        names.retain(|name| !is_overlay_attribute(name));
        Ok(names)
    }

    /// The value of an extended attribute of the file at `path`. None if it has no such attribute.
    ///
    /// # Errors
    /// `unsupported` for the attributes that overlays use internally; those of POSIX path
    /// resolution; any error returned by the layer.
    pub fn xattr_at(&self, path: &str, follow: bool, attribute: &[u8]) -> Result<Option<Vec<u8>>> {
        self.at_path(path, follow, |walked, found| {
            self.xattr(walked, found, attribute)
        })
    }

    /// Sets an extended attribute of the file at `path`.
    ///
    /// # Errors
    /// `unsupported`, before any change, for the attributes that overlays use internally;
    /// `read-only`; those of POSIX path resolution; any error returned by the upper.
    pub fn set_xattr_at(
        &self,
        path: &str,
        follow: bool,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        self.at_path(path, follow, |walked, _| {
            check_not_overlay_attribute(attribute)?;
            self.change_xattrs(walked, |upper, dir, name| {
                upper.set_xattr(dir, name, attribute, value)
            })
        })
    }

    /// Removes an extended attribute of the file at `path`.
    ///
    /// # Errors
    /// `no-entry`, before any change, if it has no such attribute; otherwise as
    /// [`set_xattr_at`](Self::set_xattr_at).
    pub fn remove_xattr_at(&self, path: &str, follow: bool, attribute: &[u8]) -> Result<()> {
        // A missing attribute is reported as `false`, since `no-entry` would start the walk over.
        let removed = self.at_path(path, follow, |walked, found| {
            if self.xattr(walked, found, attribute)?.is_none() {
                return Ok(false);
            }
            self.change_xattrs(walked, |upper, dir, name| {
                // Another thread may have removed it first, and not every attribute is copied up.
                is_there(upper.remove_xattr(dir, name, attribute))
            })
        })?;
        if removed {
            Ok(())
        } else {
            Err(Errno::NoEntry.into())
        }
    }

    /// The value of an attribute of `found`, the file that `walked` led to.
    fn xattr(
        &self,
        walked: &Walked,
        found: &MergedFile<'_>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        check_not_overlay_attribute(attribute)?;
        match found {
            MergedFile::Lower(lower) => lower.xattr(&self.shared.stack, attribute),
            MergedFile::Node(node) => match (node.upper.get(), node.below()) {
                (None, Some(lower)) => lower.xattr(&self.shared.stack, attribute),
                (_, _) => self.in_upper(node, walked, |upper, dir, name| {
                    upper.xattr(dir, name, attribute)
                }),
            },
        }
    }

    /// Copies up the file that `walked` led to, and calls `change` with its location in the upper.
    fn change_xattrs<T>(
        &self,
        walked: &Walked,
        change: impl FnOnce(&dyn AnyUpper, &DirHandle, Option<Name<'_>>) -> Result<T>,
    ) -> Result<T> {
        if self.read_only {
            return Err(Errno::ReadOnly.into());
        }
        let shared = &*self.shared;
        let node = shared.materialize(walked.trail())?;
        shared.copy_up(&node, Data::Keep)?;
        let _changing = shared.begin_change()?;
        // As for the times of a directory: not during a move by copying, which would lose the change.
        let dir = node.dir.as_ref();
        let _still = dir.map(|dir| (shared.tree.read(), dir.names.read()));
        let done = self.in_upper(&node, walked, change)?;
        if let Some(dir) = &node.dir {
            dir.unsynced.mark();
        }
        node.touch();
        Ok(done)
    }

    /// Walks `path` and calls `act` with the file. Starts over if the name has another file by then.
    fn at_path<T>(
        &self,
        path: &str,
        follow: bool,
        act: impl Fn(&Walked, &MergedFile<'_>) -> Result<T>,
    ) -> Result<T> {
        let act = |walked: &Walked| act(walked, walked.existing()?);
        self.shared.at_path(&self.node, path, Last::of(follow), act)
    }

    /// Calls `ask` with the location in the upper of `node`, which `walked` led to.
    fn in_upper<T>(
        &self,
        node: &Arc<Node>,
        walked: &Walked,
        ask: impl FnOnce(&dyn AnyUpper, &DirHandle, Option<Name<'_>>) -> Result<T>,
    ) -> Result<T> {
        match (node.kind, walked.name()) {
            (Kind::Dir, _) => {
                let handle = node.handle(&self.shared)?;
                ask(self.shared.upper_to_read()?, &handle, None)
            }
            (_, Some(name)) => {
                let dir = self.shared.materialize(walked.parents())?;
                self.shared
                    .at_name(node, (&dir, name), |upper, dir| ask(upper, dir, Some(name)))
            }
            (_, None) => Err(Errno::NoEntry.into()),
        }
    }
}

/// # Errors
/// `unsupported` for an attribute that overlays use internally.
fn check_not_overlay_attribute(attribute: &[u8]) -> Result<()> {
    if is_overlay_attribute(attribute) {
        Err(Errno::Unsupported.into())
    } else {
        Ok(())
    }
}
