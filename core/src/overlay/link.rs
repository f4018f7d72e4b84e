//! `link-at`.

use super::Shared;
use super::children::Child;
use super::copy_up::Data;
use super::dir::OverlayDir;
use super::lookup::MergedFile;
use super::resolve::{Last, TRIES, Walked};
use crate::error::{Errno, Error, Result};
use crate::layer::Over;
use crate::layer::erased::AnyAt;
use std::sync::Arc;

impl OverlayDir {
    /// Gives a file another name. Does not follow a symbolic link at the end of `path`.
    ///
    /// Takes the tree lock exclusively, as rename does, since it locks two directories.
    pub(crate) fn link_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        self.check_same_mount(new_dir)?;
        let shared = &self.shared;
        let read_only = self.read_only || new_dir.read_only;
        let mut tries = TRIES;
        loop {
            let old = shared.walk(&self.node, path, Last::Stop)?;
            if old.wants_dir {
                // If the old path requires a directory, its errors come before those of the new path.
                old.existing()?;
            }
            let new = shared.walk(&new_dir.node, new_path, Last::Stop)?;
            tries -= 1;
            match shared.link(&old, &new, read_only) {
                // Another call replaced the file.
                Err(error) if error.is_not_found() && old.found().is_some() && tries > 0 => {}
                linked => return linked,
            }
        }
    }
}

impl Shared {
    fn link(&self, old: &Walked, new: &Walked, read_only: bool) -> Result<()> {
        if new.wants_dir {
            new.existing()?;
        }
        let source = old.existing()?;
        new.check_reachable()?;
        if new.found().is_some() {
            return Err(Errno::Exist.into());
        }
        if source.is_dir() {
            return Err(Error::because(
                Errno::NotPermitted,
                || "a directory cannot have a second name",
            ));
        }
        let (new_dir, new_name) = self.check_may_create(new, read_only)?;
        let old_name = old.name().ok_or(Errno::NotPermitted)?;
        let source = self.materialize(old.trail())?;
        let old_dir = self.materialize(old.parents())?;
        self.copy_up(&source, Data::Keep)?;
        self.copy_up(&new_dir, Data::Keep)?;
        let _tree = self.tree.write();
        let upper = self.upper()?;
        let _old_names = old_dir.dir()?.names.write();
        let _new_names = if Arc::ptr_eq(&old_dir, &new_dir) {
            None
        } else {
            Some(new_dir.dir()?.names.write())
        };
        new_dir.check_not_removed()?;
        match self.lookup_locked(&old_dir, old_name)? {
            Some(MergedFile::Node(node)) if Arc::ptr_eq(&node, &source) => {}
            Some(_) | None => return Err(Errno::NoEntry.into()),
        }
        if self.lookup_locked(&new_dir, new_name)?.is_some() {
            return Err(Errno::Exist.into());
        }
        let over = if self.has_whiteout_locked(&new_dir, new_name)? {
            Over::Whiteout
        } else {
            Over::Nothing
        };
        let (old_handle, new_handle) = (old_dir.handle(self)?, new_dir.handle(self)?);
        let from = AnyAt {
            dir: &old_handle,
            name: old_name,
        };
        let to = AnyAt {
            dir: &new_handle,
            name: new_name,
        };
        upper.link(from, to, over)?;
        let part = source.upper.get().ok_or_else(|| Error::from(Errno::Io))?;
        self.objects.lock().insert(part.number(), &source);
        let child = Child::Node(Arc::clone(&source));
        self.set_child_locked(&new_dir, new_name, Some(child));
        source.link_added();
        new_dir.names_changed();
        Ok(())
    }
}
