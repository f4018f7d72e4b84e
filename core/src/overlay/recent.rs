//! Nodes of lower directories that were opened lately, or in which files were.
//!
//! An overlay holds little but what it changed, and nobody else may hold such a node. But a program
//! opens files in few directories at a time, and who opens the next one there should find its node
//! made, without asking every directory on the way. And who lists a directory again should find its
//! listing, which the node keeps.

use super::node::Node;
use crate::stack::LowerNode;
use std::sync::Arc;

/// Which lower directory.
///
/// A node holds what is below it, and a file which directory it is in, so while one of them is there
/// this is no other directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Below(usize);

impl Below {
    pub(super) fn of(dir: &Arc<LowerNode>) -> Self {
        Self(Arc::as_ptr(dir).addr())
    }
}

/// Nodes of lower directories, in a ring.
#[derive(Default)]
pub(super) struct RecentDirs {
    nodes: Vec<(Below, Arc<Node>)>,
    /// The place of the oldest, once the ring is full.
    oldest: usize,
}

impl RecentDirs {
    /// The node over `below`. The directory may have gone or moved since.
    pub(super) fn get(&self, below: Below) -> Option<Arc<Node>> {
        let (_, node) = self.nodes.iter().find(|(dir, _)| *dir == below)?;
        Some(Arc::clone(node))
    }

    /// Keeps `node`, which is of a lower directory, if it is not kept; `most` of them at most. Returns
    /// what is not needed any more, for the caller to drop.
    pub(super) fn keep(&mut self, node: Arc<Node>, most: usize) -> Option<Arc<Node>> {
        let is_kept = self.nodes.iter().any(|(_, kept)| Arc::ptr_eq(kept, &node));
        let below = match node.below() {
            Some(below) if !is_kept => Below::of(below),
            _ => return Some(node),
        };
        let kept = (below, node);
        if self.nodes.len() < most {
            self.nodes.push(kept);
            return None;
        }
        let Some(oldest) = self.nodes.get_mut(self.oldest) else {
            return Some(kept.1);
        };
        let (_, oldest) = std::mem::replace(oldest, kept);
        self.oldest = (self.oldest + 1) % self.nodes.len();
        Some(oldest)
    }
}
