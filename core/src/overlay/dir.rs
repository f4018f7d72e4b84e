//! A directory of an overlay: the calls of a guest, each handed to its operation.

use super::Shared;
use super::copy_up::Data;
use super::node::Node;
use super::resolve::Last;
use super::stat::{Query, set_ghost_times};
use crate::descriptor::other_mount;
use crate::error::{Errno, Error, Result};
use crate::listing::Listing;
use crate::meta::{Identity, SetTimes, Stat};
use std::fmt;
use std::sync::Arc;

/// A directory of an overlay.
#[derive(Clone)]
pub struct OverlayDir {
    pub(super) shared: Arc<Shared>,
    pub(super) node: Arc<Node>,
    /// Whether changes through this descriptor are refused.
    pub(super) read_only: bool,
}

/// What to do with a link in the last place.
pub(super) fn last(follow: bool) -> Last {
    match follow {
        true => Last::Follow,
        false => Last::Stop,
    }
}

impl OverlayDir {
    pub(super) fn new(shared: &Arc<Shared>, node: &Arc<Node>, read_only: bool) -> Self {
        Self {
            shared: Arc::clone(shared),
            node: Arc::clone(node),
            read_only,
        }
    }

    /// Most descriptors of the process that an open file of the mount may hold: of a file that is copied
    /// up while a thread reads it, that of either layer.
    #[cfg(feature = "dir")]
    pub(crate) fn descriptors_per_file(&self) -> usize {
        usize::from(self.shared.handles.holds_descriptors())
            + usize::from(self.shared.stack.holds_descriptors())
    }

    /// The path from the mount's root, for the embedder's log; none once it is removed.
    pub fn path(&self) -> Option<Vec<u8>> {
        super::path_of(&self.node)
    }

    pub(crate) fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        self.shared.query_at(&self.node, path, last(follow))
    }

    pub(crate) fn identity_at(&self, path: &str, follow: bool) -> Result<Identity> {
        self.shared.query_at(&self.node, path, last(follow))
    }

    pub(crate) fn stat_and_identity_at(
        &self,
        path: &str,
        follow: bool,
    ) -> Result<(Stat, Identity)> {
        self.shared.query_at(&self.node, path, last(follow))
    }

    pub(crate) fn set_times_at(&self, path: &str, follow: bool, times: SetTimes) -> Result<()> {
        self.shared
            .set_times_at(&self.node, path, follow, times, self.read_only)
    }

    pub(crate) fn create_directory_at(&self, path: &str) -> Result<()> {
        self.shared
            .create_directory_at(&self.node, path, self.read_only)
    }

    pub(crate) fn remove_directory_at(&self, path: &str) -> Result<()> {
        self.shared
            .remove_directory_at(&self.node, path, self.read_only)
    }

    pub(crate) fn unlink_file_at(&self, path: &str) -> Result<()> {
        self.shared.unlink_file_at(&self.node, path, self.read_only)
    }

    pub(crate) fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        self.shared
            .symlink_at(&self.node, target, path, self.read_only)
    }

    pub(crate) fn readlink_at(&self, path: &str) -> Result<String> {
        let walked = self.shared.resolve(&self.node, path, Last::Stop)?;
        let link = walked.existing()?;
        let (Some(name), true) = (walked.name(), link.kind() == crate::Kind::Symlink) else {
            return Err(Error::because(Errno::Invalid, || "it is no symbolic link"));
        };
        let target = self.shared.target_of(walked.parent()?, link, name)?;
        let resolved = self.shared.absolute_symlinks == super::AbsoluteSymlinks::Root;
        if target.first() == Some(&b'/') && !resolved {
            let error = self
                .shared
                .refused_link(walked.parents(), name, &target, true);
            return Err(error);
        }
        String::from_utf8(target).map_err(|_| {
            Error::because(
                Errno::IllegalByteSequence,
                || "the link's target is not UTF-8",
            )
        })
    }

    pub(crate) fn link_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        self.same_mount(new_dir)?;
        let read_only = self.read_only || new_dir.read_only;
        self.shared
            .link_at((&self.node, path), (&new_dir.node, new_path), read_only)
    }

    pub(crate) fn rename_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        self.same_mount(new_dir)?;
        let read_only = self.read_only || new_dir.read_only;
        self.shared
            .rename_at((&self.node, path), (&new_dir.node, new_path), read_only)
    }

    fn same_mount(&self, other: &Self) -> Result<()> {
        match Arc::ptr_eq(&self.shared, &other.shared) {
            true => Ok(()),
            false => Err(other_mount()),
        }
    }

    pub(crate) fn list(&self) -> Result<Arc<Listing>> {
        self.shared.list(&self.node)
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        Query::of_node(&self.shared, &self.node, None)
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(self.node.identity(&self.shared))
    }

    pub(crate) fn set_times(&self, times: SetTimes) -> Result<()> {
        if times.is_noop() {
            return Ok(());
        }
        if self.read_only {
            return Err(self.shared.refused_change());
        }
        times.check()?;
        if self.node.is_removed() {
            set_ghost_times(&self.node, times, self.shared.clock);
            return Ok(());
        }
        self.shared.copy_up(&self.node, Data::Keep)?;
        self.shared.set_times_of_dir(&self.node, times)
    }

    pub(crate) fn sync(&self, data_only: bool) -> Result<()> {
        // Names are the data of a directory: there is nothing less to bring to disk.
        let _ = data_only;
        if self.shared.volatile || self.node.is_removed() {
            return Ok(());
        }
        self.shared.sync_names(&self.node)?;
        self.shared.sync_names_above(&self.node)
    }

    pub(crate) fn is_writable(&self) -> bool {
        !self.read_only
    }
}

impl fmt::Debug for OverlayDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverlayDir")
            .field("identity", &self.node.identity(&self.shared))
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
