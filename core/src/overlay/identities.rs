//! Files of the upper: one node for all names of a file, and identities that outlast a copy-up.

use super::Shared;
use super::node::{Node, Number, Position, UpperPart};
use crate::meta::{Identity, Kind, Meta};
use crate::stack::LowerNode;
use std::sync::Arc;

/// Layer numbers in the identities of files of the upper. No stack has so many layers. The second is for
/// a file that has the inode number of a [removed directory](super::removed) that is still open.
const LAYER_OF_UPPER: u32 = u32::MAX;
const LAYER_OF_REUSED_NUMBER: u32 = u32::MAX - 1;

impl Shared {
    /// Returns the node of a file that the upper has. `position` is the name under which it was found, `below`
    /// the lower directory that a directory merges with; a file that has a node already keeps its own.
    pub(super) fn node_of_upper_file(
        &self,
        meta: &Meta,
        position: Position,
        below: Option<Arc<LowerNode>>,
    ) -> Arc<Node> {
        let number = (meta.device, meta.inode);
        let part = self.upper_part(number);
        let make = || Arc::new(Node::new(meta.kind, position, below, Some(part)));
        if meta.kind == Kind::Dir {
            return make();
        }
        let mut objects = self.objects.lock();
        // A file with one name now may have had more, and be open under one of those.
        if let Some(node) = objects.get(&number) {
            return node;
        }
        let node = make();
        if meta.links > 1 {
            objects.insert(number, &node);
        }
        node
    }

    pub(super) fn upper_part(&self, (device, inode): (u64, u64)) -> UpperPart {
        UpperPart {
            number: Number::of((device, inode)),
            identity: self.identity_of_upper(device, inode),
        }
    }

    /// The identity of a file of the upper: the one it had before copy-up, if it was copied up in this mount.
    /// Never that of a removed directory with the same inode number that is still open.
    pub(super) fn identity_of_upper(&self, device: u64, inode: u64) -> Identity {
        let number = (device, inode);
        let origin = self.origins.lock().get(&number).copied();
        if let Some(origin) = origin {
            return origin;
        }
        let reuse = self.removed_dirs.lock().reuse(number);
        let (layer, of) = match reuse {
            None => (LAYER_OF_UPPER, inode),
            Some(reuse) => (LAYER_OF_REUSED_NUMBER, reuse),
        };
        let identity = self.key.of(layer, device, of);
        match reuse {
            None => identity,
            // If another thread did the same meanwhile, its identity stays.
            Some(_) => *self.origins.lock().entry(number).or_insert(identity),
        }
    }

    pub(super) fn identity_of_lower(&self, lower: &LowerNode) -> Identity {
        let (device, inode) = lower.number();
        self.key.of(u32::from(lower.layer()), device, inode)
    }
}
