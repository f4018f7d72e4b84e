//! Removed directories of the upper that are still held, for example by a descriptor.
//!
//! A holder still sees the directory's identity, which is derived from its inode number. The filesystem may
//! give that number to the next new file, which then needs an identity that is derived differently.

use super::node::Node;
use crate::cache::WeakMap;
use std::sync::Arc;

/// Removed directories, by device and inode number.
#[derive(Default)]
pub(super) struct RemovedDirs {
    nodes: WeakMap<(u64, u64), Node>,
    /// How many times a new file got the number of a held directory.
    reused: u64,
}

impl RemovedDirs {
    /// Adds a directory that is being removed.
    pub(super) fn insert(&mut self, number: (u64, u64), node: &Arc<Node>) {
        // If another directory of that number is held, this one's identity is not derived from the number.
        if !self.nodes.is_held(&number) {
            self.nodes.insert(number, node);
        }
    }

    /// If a removed directory with this number is held, a count that is different for each file that got such
    /// a number.
    pub(super) fn reuse(&mut self, number: (u64, u64)) -> Option<u64> {
        if !self.nodes.is_held(&number) {
            self.nodes.remove(&number);
            return None;
        }
        self.reused += 1;
        Some(self.reused)
    }
}

#[cfg(test)]
impl RemovedDirs {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}
