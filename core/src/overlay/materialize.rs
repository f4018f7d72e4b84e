//! Making the nodes of lower files that a walk found: before a file is opened or changed, and for the
//! directories that lead to it.
//!
//! A walk holds no lock, so by now the name may have another file, or none. A lower file gets its node under
//! the lock of the directory's table, and only if the upper is known to have nothing under the name:
//! otherwise a removed file would come back with its copy-up.

use super::Shared;
use super::children::Child;
use super::lookup::MergedFile;
use super::node::{Node, Position};
use crate::at_once;
use crate::error::{Errno, Result};
use crate::meta::Kind;
use crate::stack::LowerNode;
use std::sync::Arc;

/// What a caller knows of a name in the upper.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InUpper {
    Unknown,
    /// It is neither an entry nor a whiteout, and the caller holds the directory lock, so it stays so.
    Nothing,
}

impl Shared {
    /// Returns the node of the last of `walked`. Makes it, and those of the directories that lead to it, where
    /// they are missing. The first of `walked` has a node: a walk begins at one.
    ///
    /// # Errors
    /// As [`child_node`](Self::child_node); `name-too-long` if a directory would lie deeper than
    /// [`Limits::depth`](crate::Limits::depth).
    pub(super) fn materialize(&self, walked: &[MergedFile<'_>]) -> Result<Arc<Node>> {
        let last = walked
            .iter()
            .rposition(|file| matches!(file, MergedFile::Node(_)));
        let (nodes, lowers) = walked.split_at(last.map_or(0, |last| last + 1));
        let Some(MergedFile::Node(node)) = nodes.last() else {
            debug_assert!(false, "a walk begins at a node");
            return Err(Errno::Io.into());
        };
        let lowers = lowers.iter().filter_map(|file| match file {
            MergedFile::Lower(lower) => Some(lower),
            MergedFile::Node(_) => None,
        });
        let mut node = Arc::clone(node);
        // A directory above may have moved, so the stack's own check of the depth does not suffice.
        let dirs = lowers.clone().filter(|lower| lower.kind() == Kind::Dir);
        let levels = dirs.count();
        if levels > 0 {
            self.check_depth(&node, levels)?;
        }
        for lower in lowers {
            node = self.child_node(&node, lower)?;
        }
        Ok(node)
    }

    /// Returns the node of `lower`, which was found in `dir` a moment ago.
    ///
    /// # Errors
    /// `no-entry` if the name has another file by now, or none: the caller walks again. Any error returned
    /// by a layer.
    pub(super) fn child_node(&self, dir: &Arc<Node>, lower: &Arc<LowerNode>) -> Result<Arc<Node>> {
        if let Some(node) = self.make_node(dir, lower, InUpper::Unknown)? {
            return Ok(node);
        }
        let _names = at_once::read(&dir.dir()?.names)?;
        dir.check_not_removed()?;
        let below = dir.below().ok_or(Errno::NoEntry)?;
        match self.lookup_locked(dir, below.name_of(lower)?)? {
            Some(MergedFile::Node(node)) if node.began_as(lower) => Ok(node.into_owned()),
            Some(MergedFile::Lower(_)) => self.child_node_locked(dir, lower),
            Some(MergedFile::Node(_)) | None => Err(Errno::NoEntry.into()),
        }
    }

    /// As [`child_node`](Self::child_node).
    ///
    /// Preconditions: the directory lock of `dir` is held, and a lookup that also held it found `lower`.
    pub(super) fn child_node_locked(
        &self,
        dir: &Arc<Node>,
        lower: &Arc<LowerNode>,
    ) -> Result<Arc<Node>> {
        let node = self.make_node(dir, lower, InUpper::Nothing)?;
        node.ok_or_else(|| Errno::Io.into())
    }

    /// Makes the node of `lower`, unless it has one. None: only the upper can tell whether it has the name.
    ///
    /// # Errors
    /// `no-entry`, as [`child_node`](Self::child_node).
    fn make_node(
        &self,
        dir: &Arc<Node>,
        lower: &Arc<LowerNode>,
        in_upper: InUpper,
    ) -> Result<Option<Arc<Node>>> {
        let mut children = dir.dir()?.children.write();
        // `dir` may have been replaced, or detached from its lower part.
        let Some(below) = dir.below().filter(|below| lower.is_in(below)) else {
            return Err(Errno::NoEntry.into());
        };
        let name = below.name_of(lower)?;
        let make = || {
            let position = Position::At(Arc::clone(dir), name.to_owned());
            Arc::new(Node::lower(position, lower))
        };
        let is_complete = children.complete;
        let node = match children.map.get_mut(name.as_bytes()) {
            // Another thread copied the file up.
            Some(Child::Node(node)) if node.began_as(lower) => Arc::clone(node),
            Some(Child::Node(_) | Child::Whiteout) => return Err(Errno::NoEntry.into()),
            Some(Child::NotInUpper(held)) => match held.upgrade() {
                Some(node) => node,
                None => {
                    let node = make();
                    *held = Arc::downgrade(&node);
                    node
                }
            },
            None if in_upper == InUpper::Nothing || is_complete || dir.upper.get().is_none() => {
                let node = make();
                children.insert_lower(name, &node);
                self.count_names(1);
                node
            }
            Some(Child::Listed { .. }) | None => return Ok(None),
        };
        Ok(Some(node))
    }
}
