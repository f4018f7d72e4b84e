//! Directories of the upper that were removed while something holds them.
//!
//! A holder still sees the directory's identity, which was made of its inode number. The filesystem gives that
//! number to the next file that is made, which then needs an identity of another origin.

use super::node::Node;
use crate::cache::WeakMap;
use std::sync::Arc;

/// Removed directories, by device and inode number.
#[derive(Default)]
pub(super) struct RemovedDirs {
    nodes: WeakMap<(u64, u64), Node>,
    /// How many numbers were in use twice so far.
    reused: u64,
}

impl RemovedDirs {
    /// Adds a directory that is being removed.
    pub(super) fn insert(&mut self, number: (u64, u64), node: &Arc<Node>) {
        // If another directory of that number is held, this one's identity was not made of the number.
        if self.nodes.get(&number).is_none() {
            self.nodes.insert(number, node);
        }
    }

    /// If a removed directory with this number is held: a count that is new for each file that got such a
    /// number.
    pub(super) fn reuse(&mut self, number: (u64, u64)) -> Option<u64> {
        if self.nodes.get(&number).is_none() {
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
