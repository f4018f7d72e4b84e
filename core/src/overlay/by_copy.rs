//! Rename by copying, for a directory that the upper cannot rename in one step.
//!
//! Afterwards the directory, and each directory below it, is a new one in the upper. So the rename holds
//! the directory locks of all their nodes: no call looks into a directory that is only half copied, or
//! sets the times of one that was copied already. `stat` takes no such lock: it notices by the epoch
//! ([`handle`](super::handle)) what it may have read during the move, and waits for its end.

use super::Shared;
use super::children::Child;
use super::handle::Outdating;
use super::node::Node;
use crate::error::Result;
use crate::hash::HashMap;
use crate::layer::erased::{AnyAt, AnyUpper};
use crate::layer::{Leave, Over, Renumbered};
use crate::meta::Kind;
use crate::name::NameBuf;
use crate::sync::RwLockWriteGuard;
use std::cell::OnceCell;
use std::sync::Arc;

/// The nodes of a directory and of the directories below it, by depth. It only grows, so that lock guards
/// can borrow from it.
pub(super) struct DirLevels {
    dirs: Vec<Arc<Node>>,
    deeper: OnceCell<Box<DirLevels>>,
}

impl DirLevels {
    /// `source` alone.
    pub(super) fn of(source: &Arc<Node>) -> Self {
        Self::new(vec![Arc::clone(source)])
    }

    fn new(dirs: Vec<Arc<Node>>) -> Self {
        Self {
            dirs,
            deeper: OnceCell::new(),
        }
    }

    /// Adds all directories below the first one, and locks them: parents before their children.
    ///
    /// Preconditions: the tree lock and the directory lock of the first directory are held, exclusive.
    pub(super) fn lock(&self) -> Vec<RwLockWriteGuard<'_, ()>> {
        let mut locks = Vec::new();
        let mut level = self;
        let mut is_source = true;
        while !level.dirs.is_empty() {
            let mut deeper = Vec::new();
            for dir in level.dirs.iter().filter_map(|dir| dir.dir.as_ref()) {
                if !is_source {
                    locks.push(dir.names.write());
                }
                let children = dir.children.read();
                deeper.extend(children.upper_dirs().cloned());
            }
            is_source = false;
            level = level.deeper.get_or_init(|| Box::new(Self::new(deeper)));
        }
        locks
    }

    fn dirs(&self) -> impl Iterator<Item = &Arc<Node>> {
        let levels =
            std::iter::successors(Some(self), |level| level.deeper.get().map(|next| &**next));
        levels.flat_map(|level| &level.dirs)
    }
}

/// Drops the levels in a loop, since the guest chose the depth.
impl Drop for DirLevels {
    fn drop(&mut self) {
        let mut deeper = self.deeper.take();
        while let Some(mut level) = deeper {
            deeper = level.deeper.take();
        }
    }
}

impl Shared {
    /// Moves a directory by copying it, and updates the nodes to the copies.
    ///
    /// Preconditions: those of [`DirLevels::lock`], and everything that it locks is locked.
    pub(super) fn rename_by_copy(
        &self,
        upper: &dyn AnyUpper,
        (from, to): (AnyAt<'_>, AnyAt<'_>),
        how: (Over, Leave),
        levels: &DirLevels,
    ) -> Result<()> {
        let path = levels.dirs.first().map(path_to).unwrap_or_default();
        let outdating = Outdating::new(self);
        let moved = upper.rename_by_copy(from, to, how, &path);
        drop(outdating);
        let is_moved = moved.is_ok();
        let renumbered = moved.as_deref().unwrap_or_default();
        self.transfer_identities(renumbered);
        let numbers: HashMap<_, _> = renumbered.iter().map(|file| (file.before, *file)).collect();
        for dir in levels.dirs() {
            renumber(dir, &numbers);
        }
        if is_moved {
            // The copies are new directories, and most have no node that could record what to sync.
            self.forgotten.mark();
        }
        moved.map(drop)
    }

    /// Carries the identities of files over to their new numbers.
    fn transfer_identities(&self, renumbered: &[Renumbered]) {
        for file in renumbered.iter().filter(|file| !file.is_shared) {
            let identity = self.identity_of_upper(file.before.0, file.before.1);
            let mut origins = self.origins.lock();
            origins.remove(&file.before);
            origins.insert(file.after, identity);
            drop(origins);
            let mut objects = self.objects.lock();
            if let Some(node) = objects.remove(&file.before) {
                objects.insert(file.after, &node);
            }
        }
    }
}

/// Updates the numbers of a directory and the files in it, and drops their cached metadata.
fn renumber(dir: &Arc<Node>, numbers: &HashMap<(u64, u64), Renumbered>) {
    let (Some(state), Some(part)) = (&dir.dir, dir.upper.get()) else {
        return;
    };
    let device = part.number().0;
    if let Some(file) = numbers.get(&part.number()) {
        part.set_number(file.after);
    }
    dir.touch();
    let mut parted = Vec::new();
    let mut children = state.children.write();
    for child in children.map.values_mut() {
        match child {
            Child::Node(node) if node.kind != Kind::Dir => {
                // It had a second name during the move.
                node.touch();
                let Some(part) = node.upper.get() else {
                    continue;
                };
                let Some(file) = numbers.get(&part.number()) else {
                    continue;
                };
                if file.is_shared {
                    // The copy is a file of its own, as after a copy-up. Its other names keep the node.
                    let seen = Child::Listed {
                        kind: node.kind,
                        inode: file.after.1,
                    };
                    parted.push(std::mem::replace(child, seen));
                } else {
                    part.set_number(file.after);
                }
            }
            Child::Listed { inode, .. } => {
                if let Some(file) = numbers.get(&(device, *inode)) {
                    *inode = file.after.1;
                }
            }
            Child::Node(_) | Child::Whiteout | Child::NotInUpper(_) => {}
        }
    }
    drop(children);
    drop(parted);
    state.listing.clear();
}

/// The names that lead to a directory, from the root down.
fn path_to(dir: &Arc<Node>) -> Vec<NameBuf> {
    let mut names = Vec::new();
    let mut node = Arc::clone(dir);
    while let Some((parent, name)) = node.parent() {
        names.push(name);
        node = parent;
    }
    names.reverse();
    names
}
