//! The bound on the depth of directories: [`Limits::depth`](crate::Limits::depth).
//!
//! A call may take a step for each directory above the one that it is made on: to open evicted handles, to
//! determine whether one directory is above another, to sync names to disk. So no directory with a node
//! lies deeper than the limit:
//!
//! - the creation and the move of a directory check the limit first;
//! - a move to a deeper parent also checks the directories below that have nodes;
//! - a directory that lies deeper on disk, or in a lower layer, gets no node.
//!
//! A call that makes a node while a directory above it moves may exceed the limit by that one node.

use super::Shared;
use super::children::Child;
use super::node::Node;
use crate::error::{Errno, Error, Result};
use crate::meta::Kind;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Cached depth of a directory, valid until a directory moves. A walk down needs the depth at each level,
/// and would otherwise go all the way up each time.
#[derive(Default)]
pub(super) struct KnownDepth(AtomicU64);

impl KnownDepth {
    /// Bits that hold the depth plus one. The other bits hold [`Shared::moves`] at that time.
    const BITS: u32 = 24;

    fn get(&self, moves: u64) -> Option<usize> {
        let known = self.0.load(Ordering::Relaxed);
        let depth = known & ((1 << Self::BITS) - 1);
        let is_current = depth > 0 && known == Self::pack(moves, depth);
        is_current.then(|| depth as usize - 1)
    }

    /// `moves` was read before the depth was counted.
    fn set(&self, moves: u64, depth: usize) {
        let depth = depth as u64 + 1;
        let is_moving = !moves.is_multiple_of(2);
        if !is_moving && depth < 1 << Self::BITS {
            self.0.store(Self::pack(moves, depth), Ordering::Relaxed);
        }
    }

    fn pack(moves: u64, depth: u64) -> u64 {
        (moves << Self::BITS) | depth
    }
}

impl Shared {
    /// How many directories are above `node`. Beyond the limit, some number that is beyond it.
    fn depth_of(&self, node: &Arc<Node>) -> usize {
        let moves = self.moves.load(Ordering::SeqCst);
        let mut steps = 0;
        let mut dir = Arc::clone(node);
        let depth = loop {
            if let Some(depth) = dir.dir.as_ref().and_then(|state| state.depth.get(moves)) {
                break depth + steps;
            }
            match dir.above() {
                Some(above) if steps <= self.limits.depth => dir = above,
                Some(_) | None => break steps,
            }
            steps += 1;
        };
        if let Some(dir) = &node.dir {
            dir.depth.set(moves, depth);
        }
        depth
    }

    /// Checks that a directory may lie `levels` levels below `dir`.
    ///
    /// # Errors
    /// `name-too-long` if it would lie too deep.
    pub(super) fn check_depth(&self, dir: &Arc<Node>, levels: usize) -> Result<()> {
        if self.depth_of(dir).saturating_add(levels) <= self.limits.depth {
            return Ok(());
        }
        Err(too_deep())
    }

    /// Checks that `dir` may be moved from `old_parent` to `new_parent`.
    ///
    /// # Errors
    /// `name-too-long` if a directory would lie too deep.
    pub(super) fn check_depth_of_move(
        &self,
        dir: &Arc<Node>,
        old_parent: &Arc<Node>,
        new_parent: &Arc<Node>,
    ) -> Result<()> {
        if dir.kind != Kind::Dir || Arc::ptr_eq(old_parent, new_parent) {
            return Ok(());
        }
        self.check_depth(new_parent, 1)?;
        let depth = self.depth_of(new_parent);
        if depth > self.depth_of(old_parent)
            && !has_fewer_levels(dir, self.limits.depth.saturating_sub(depth))
        {
            return Err(too_deep());
        }
        Ok(())
    }
}

fn too_deep() -> Error {
    let message = "a directory would lie deeper than Limits::depth allows";
    Error::new(Errno::NameTooLong, message)
}

/// Whether the nodes of directories from `dir` down, itself included, have at most `most` levels.
fn has_fewer_levels(dir: &Arc<Node>, most: usize) -> bool {
    let mut level = vec![Arc::clone(dir)];
    for _ in 0..most {
        let mut next = Vec::new();
        for dir in level {
            let Some(state) = &dir.dir else { continue };
            let children = state.children.read();
            next.extend(children.map.values().filter_map(|child| {
                let child = match child {
                    Child::Node(node) => Some(Arc::clone(node)),
                    Child::NotInUpper(node) => node.upgrade(),
                    Child::Listed { .. } | Child::Whiteout => None,
                };
                child.filter(|child| child.kind == Kind::Dir)
            }));
        }
        if next.is_empty() {
            return true;
        }
        level = next;
    }
    false
}
