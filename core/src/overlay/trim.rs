//! The bound on nodes that an overlay keeps for its upper.
//!
//! A node that nobody holds can be made again from the upper, so when there are too many, leaves
//! are forgotten. Not in an ephemeral upper: there a moved directory is merged with what only its
//! node remembers, and the number of nodes is bounded by the upper's own quota.

use super::Shared;
use super::node::Child;
use crate::meta::Kind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Shared {
    /// Counts a node that a directory keeps from now on, and when there are too many, forgets
    /// those that nobody uses.
    pub(super) fn count_node(&self) {
        let count = self.nodes.fetch_add(1, Ordering::Relaxed) + 1;
        let is_kept = self
            .upper
            .as_ref()
            .is_some_and(|upper| upper.is_ephemeral());
        if count > self.limits.kept_nodes && !is_kept {
            self.trim();
        }
    }

    /// Forgets leaves that nobody uses: a full sweep, once for every `kept_nodes` new ones.
    fn trim(&self) {
        // One sweep at a time: whoever resets the count does it.
        self.nodes.store(0, Ordering::Relaxed);
        let mut dirs = vec![Arc::clone(&self.root)];
        while let Some(dir) = dirs.pop() {
            let Some(state) = &dir.dir else { continue };
            // Where names change just now nothing is forgotten.
            let Some(_names) = state.names.try_write() else {
                continue;
            };
            let mut children = state.children.write();
            for child in children.map.values_mut() {
                let Child::Node(node) = child else { continue };
                if node.kind == Kind::Dir {
                    dirs.push(Arc::clone(node));
                } else if let (1, Some(part)) = (Arc::strong_count(node), node.upper.get()) {
                    *child = Child::Seen {
                        kind: node.kind,
                        inode: part.inode,
                    };
                }
            }
        }
    }
}
