//! [`OverlayDir`], an open directory of an overlay. Its operations are in a file each.

use super::Shared;
use super::node::Node;
use crate::error::{Error, Result};
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

impl OverlayDir {
    pub(super) fn new(shared: &Arc<Shared>, node: &Arc<Node>, read_only: bool) -> Self {
        Self {
            shared: Arc::clone(shared),
            node: Arc::clone(node),
            read_only,
        }
    }

    /// The maximum number of process descriptors that an open file of the mount may hold. A file that is
    /// copied up while a thread reads it holds one of each layer.
    #[cfg(feature = "dir")]
    pub(crate) fn descriptors_per_file(&self) -> usize {
        usize::from(self.shared.handles.holds_descriptors())
            + usize::from(self.shared.stack.holds_descriptors())
    }

    /// The path from the mount's root, for the embedder's log. None after the directory was removed.
    pub fn path(&self) -> Option<Vec<u8>> {
        super::path_of(&self.node)
    }

    pub(super) fn check_same_mount(&self, other: &Self) -> Result<()> {
        if Arc::ptr_eq(&self.shared, &other.shared) {
            Ok(())
        } else {
            Err(Error::different_mounts())
        }
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
