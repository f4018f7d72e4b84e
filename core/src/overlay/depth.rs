//! The bound on depth: [`Limits::depth`](crate::Limits::depth).
//!
//! A call may take a step for each directory above the one that it is made on: to open handles that
//! were evicted, to find out whether one directory is above another, to bring names to disk. So no
//! directory has a node that lies deeper than the limit, however it came there:
//!
//! - one that is made, and one that is moved, is checked before;
//! - of a directory that is moved down, those below it that have nodes are checked as well;
//! - what lies deeper on disk, or in a lower layer, gets no node.
//!
//! A call that makes a node while a directory above it moves may exceed the limit by that one node.
//!
//! A component serves one guest, so it delays no other guest: it checks what is made and where things are
//! moved to, and no more.

use super::Shared;
use super::children::Child;
use super::node::Node;
use crate::error::{Errno, Error, Result};
use crate::meta::Kind;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// How deep a directory lies, if that was asked since a directory last moved. A walk down asks at
/// each level, and would go all the way up each time.
#[derive(Default)]
pub(super) struct KnownDepth(AtomicU64);

impl KnownDepth {
    /// Bits of the depth plus one; the others are those of [`Shared::moves`] at that time.
    const BITS: u32 = 24;

    fn get(&self, moves: u64) -> Option<usize> {
        let known = self.0.load(Ordering::Relaxed);
        let depth = known & ((1 << Self::BITS) - 1);
        let is_current = depth > 0 && known == Self::pack(moves, depth);
        is_current.then(|| depth as usize - 1)
    }

    /// `moves` is of before the depth was counted.
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
    /// How many directories are above one; past the limit, any number that is past it.
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

    /// Whether a directory can be so many `levels` below `dir`.
    ///
    /// # Errors
    /// `name-too-long` if not.
    pub(super) fn check_depth_below(&self, dir: &Arc<Node>, levels: usize) -> Result<()> {
        if self.depth_of(dir).saturating_add(levels) <= self.limits.depth {
            return Ok(());
        }
        Err(too_deep())
    }

    /// Whether `dir` can be moved from `old_parent` to `new_parent`.
    ///
    /// # Errors
    /// `name-too-long` if not.
    pub(super) fn check_depth_of_move(
        &self,
        dir: &Arc<Node>,
        old_parent: &Arc<Node>,
        new_parent: &Arc<Node>,
    ) -> Result<()> {
        if dir.kind != Kind::Dir || Arc::ptr_eq(old_parent, new_parent) {
            return Ok(());
        }
        self.check_depth_below(new_parent, 1)?;
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

/// Whether the nodes of directories from `dir` down, itself included, have at most so many levels.
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
                    Child::Lower(node) => node.upgrade(),
                    Child::Unread { .. } | Child::Whiteout => None,
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
