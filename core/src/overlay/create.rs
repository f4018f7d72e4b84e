//! Creation of files, directories and symbolic links.

use super::Shared;
use super::children::Child;
use super::dir::OverlayDir;
use super::node::{Node, Position};
use super::resolve::{Last, Walked};
use crate::error::{Errno, Error, Result};
use crate::layer::erased::AnyAt;
use crate::layer::{Leave, New, Over, WriteAt};
use crate::meta::Kind;
use crate::name::Name;
use crate::sync::atomic::Ordering;
use std::sync::Arc;

/// A new node, and the open file if it is a file.
type Made = (Arc<Node>, Option<Arc<dyn WriteAt>>);

impl OverlayDir {
    pub(crate) fn create_directory_at(&self, path: &str) -> Result<()> {
        let walked = self.shared.resolve(&self.node, path, Last::Name)?;
        let new = New::Dir { opaque: false };
        self.shared.create(&walked, new, self.read_only)?;
        Ok(())
    }

    pub(crate) fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        if target.starts_with('/') {
            return Err(Error::because(
                Errno::NotPermitted,
                || "symlinks to absolute paths cannot be created",
            ));
        }
        if target.as_bytes().contains(&0) {
            return Err(Error::because(
                Errno::Invalid,
                || "the target contains a NUL",
            ));
        }
        let shared = &self.shared;
        let walked = shared.resolve(&self.node, path, Last::Stop)?;
        if target.is_empty() {
            return Err(Error::because(Errno::NoEntry, || "the target is empty"));
        }
        if target.len() >= shared.limits.path_bytes {
            return Err(shared.too_long("the target"));
        }
        if walked.wants_dir {
            walked.existing()?;
        }
        shared.create(&walked, New::Symlink(target.as_bytes()), self.read_only)?;
        Ok(())
    }
}

impl Shared {
    /// Creates a file, directory or symbolic link where a path led. Returns its node, and the open file if it
    /// is one. None if a directory or link was created, but its metadata could not be read.
    ///
    /// # Errors
    /// `exist`; `not-permitted` for a reserved name; `read-only`; `no-entry` if the directory was
    /// removed; any error returned by the upper.
    pub(super) fn create(
        &self,
        walked: &Walked,
        new: New<'_>,
        read_only: bool,
    ) -> Result<Option<Made>> {
        let (parent, name) = self.check_may_create(walked, read_only)?;
        if matches!(new, New::Dir { .. }) {
            self.check_depth(&parent, 1)?;
        }
        self.copy_up(&parent, super::copy_up::Data::Keep)?;
        let _tree = self.tree.read();
        let upper = self.upper()?;
        let dir = parent.dir()?;
        let _names = dir.names.write();
        parent.check_not_removed()?;
        if self.lookup_locked(&parent, name)?.is_some() {
            return Err(Errno::Exist.into());
        }
        let is_whited_out = self.has_whiteout_locked(&parent, name)?;
        let over = if is_whited_out {
            Over::Whiteout
        } else {
            Over::Nothing
        };
        let handle = parent.handle(self)?;
        let at = AnyAt { dir: &handle, name };
        let (file, meta) = match new {
            // The children of a directory that was removed before must not reappear in the new one.
            New::Dir { .. } if is_whited_out || self.exists_below(&parent, name)? => {
                let staged = upper.stage(New::Dir { opaque: true })?;
                let meta = upper.staged_meta(&staged)?;
                (upper.publish(staged, at, over, false)?, Ok(meta))
            }
            New::Dir { .. } | New::File | New::Symlink(_) => {
                let file = upper.create(new, at, over)?;
                let meta = match &file {
                    Some(file) => file.meta(),
                    None => upper.created_meta(&handle, name),
                };
                (file, meta)
            }
        };
        parent.names_changed();
        let mut children = dir.children.write();
        let meta = match meta {
            Ok(meta) => meta,
            Err(error) => {
                // The next lookup asks the upper.
                children.map.remove(name.as_bytes());
                children.complete = false;
                drop(children);
                dir.unsynced.mark();
                if file.is_none() {
                    // It was created, and the caller does not need its node.
                    return Ok(None);
                }
                // An open file needs a node, so the file is removed again.
                let leave = match self.exists_below(&parent, name) {
                    Ok(false) => Leave::Nothing,
                    Ok(true) | Err(_) => Leave::Whiteout,
                };
                if let Err(error) = upper.remove(at, Over::File, leave) {
                    tracing::warn!(%name, %error, "cannot remove a file after its creation failed");
                }
                parent.names_changed();
                return Err(error);
            }
        };
        let node = self.node_of_upper_file(
            &meta,
            Position::At(Arc::clone(&parent), name.to_owned()),
            None,
        );
        if let Some(dir) = &node.dir {
            dir.children.write().complete = true;
            // The directory may contain its opaque mark, which is not synced yet.
            dir.unsynced.mark();
        }
        let version = node.version.load(Ordering::Acquire);
        node.state.lock().set_meta(version, meta);
        children
            .map
            .insert(name.to_owned(), Child::Node(Arc::clone(&node)));
        drop(children);
        self.count_names(1);
        Ok(Some((node, file)))
    }

    /// Checks everything that can be checked before a file is created. Returns its directory and name.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub(super) fn check_may_create<'a>(
        &self,
        walked: &'a Walked,
        read_only: bool,
    ) -> Result<(Arc<Node>, Name<'a>)> {
        let Some(name) = walked.name() else {
            return Err(Errno::Exist.into());
        };
        if walked.found().is_some() {
            return Err(Errno::Exist.into());
        }
        if !walked.parent()?.is_dir() {
            return Err(Errno::NotDirectory.into());
        }
        if read_only {
            return Err(self.refused_change());
        }
        if name.is_reserved() {
            let message = format_args!("{name}: names that begin with .wh. are the overlay's own");
            return Err(Error::new(Errno::NotPermitted, message));
        }
        let parent = self.materialize(walked.parents())?;
        self.check_may_change_names(&parent)?;
        Ok((parent, name))
    }

    /// # Errors
    /// `access` if the mode of a directory does not let its owner change names in it.
    pub(super) fn check_may_change_names(&self, dir: &Arc<Node>) -> Result<()> {
        self.check_owner_may(dir, 0o300)
    }

    /// # Errors
    /// `access` if the mode of a directory does not have all of `bits`.
    pub(super) fn check_owner_may(&self, dir: &Arc<Node>, bits: u32) -> Result<()> {
        dir.check_not_removed()?;
        if !self.obeys_modes {
            return Ok(());
        }
        let mode = self.meta_of(dir, None)?.mode;
        if mode.is_none_or(|mode| mode & bits == bits) {
            Ok(())
        } else {
            Err(self.refused_by_mode(dir, "change names in it"))
        }
    }
}

/// Whether a file of this kind can be opened.
pub(super) fn is_openable(kind: Kind) -> bool {
    matches!(kind, Kind::File | Kind::Dir)
}
