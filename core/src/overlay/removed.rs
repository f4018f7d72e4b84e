//! Directories of the upper that were removed while somebody may hold them.
//!
//! Who holds one goes on seeing who it was. Its inode number, which that was made of, the filesystem
//! gives to the next thing that is made; that is another one then, and has to look like it.

use super::node::Node;
use crate::hash::HashMap;
use std::sync::{Arc, Weak};

/// Directories that were removed, by device and inode.
#[derive(Default)]
pub(super) struct RemovedDirs {
    nodes: HashMap<(u64, u64), Weak<Node>>,
    /// How many numbers were in use twice so far.
    reused: u64,
}

/// So many are kept before those that nobody holds are looked for.
const SOME: usize = 64;

impl RemovedDirs {
    /// Takes note that a directory is removed.
    pub(super) fn insert(&mut self, number: (u64, u64), node: &Arc<Node>) {
        // If another of that number is held, this one's identity was not made of the number.
        if self.nodes.get(&number).is_some_and(is_held) {
            return;
        }
        if self.nodes.len() >= SOME && self.nodes.len().is_power_of_two() {
            self.nodes.retain(|_, node| is_held(node));
        }
        self.nodes.insert(number, Arc::downgrade(node));
    }

    /// Whether somebody holds a directory that had this number: which of those that were in use twice
    /// it is.
    pub(super) fn reuse(&mut self, number: (u64, u64)) -> Option<u64> {
        if !is_held(self.nodes.get(&number)?) {
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

fn is_held(node: &Weak<Node>) -> bool {
    node.strong_count() > 0
}
