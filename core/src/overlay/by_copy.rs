//! Rename of a directory that the upper cannot rename, by a copy.
//!
//! What the upper has of the directory, and of each one in it, is another directory afterwards. So
//! the directory locks of all that have nodes are held meanwhile: nobody looks into one that is
//! half there, or sets the times of one that was copied already. Calls that take no such lock (`stat`
//! of a directory) may see a directory of before; what they learn is forgotten here.

use super::Shared;
use super::children::Child;
use super::node::Node;
use crate::error::Result;
use crate::hash::HashMap;
use crate::layer::erased::{AnyAt, AnyUpper};
use crate::layer::{Leave, Over, Renumbered};
use crate::meta::Kind;
use crate::name::NameBuf;
use crate::sync::RwLockWriteGuard;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::cell::OnceCell;
use std::sync::Arc;

/// A directory and those below it that have nodes, by depth. It only grows, so that what it holds can
/// be borrowed meanwhile.
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

    /// Adds all that is below the directory, and locks it: parents before their children.
    ///
    /// Preconditions: the tree lock and the directory lock of the directory itself are held, exclusive.
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

/// The guest chose the depth: levels are dropped in a loop.
impl Drop for DirLevels {
    fn drop(&mut self) {
        let mut deeper = self.deeper.take();
        while let Some(mut level) = deeper {
            deeper = level.deeper.take();
        }
    }
}

/// A directory is being moved by a copy: no handle that is opened meanwhile may be kept.
struct Copying<'a>(&'a AtomicU64);

impl<'a> Copying<'a> {
    fn new(copies: &'a AtomicU64) -> Self {
        copies.fetch_add(1, Ordering::SeqCst);
        Self(copies)
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Shared {
    /// Preconditions: those of [`DirLevels::lock`], and everything that it locks is locked.
    pub(super) fn rename_by_copy(
        &self,
        upper: &dyn AnyUpper,
        (from, to): (AnyAt<'_>, AnyAt<'_>),
        how: (Over, Leave),
        levels: &DirLevels,
    ) -> Result<()> {
        let path = levels.dirs.first().map(path_to).unwrap_or_default();
        let copying = Copying::new(&self.copies);
        let moved = upper.rename_by_copy(from, to, how, &path);
        // Also where it failed: the directory may have been removed and put back.
        self.handles.clear();
        drop(copying);
        let is_moved = moved.is_ok();
        let renumbered = moved.as_deref().unwrap_or_default();
        self.transfer_identities(renumbered);
        let numbers: HashMap<_, _> = renumbered.iter().map(|file| (file.before, *file)).collect();
        for dir in levels.dirs() {
            renumber(dir, &numbers);
        }
        if is_moved {
            // New directories, of which most have no node.
            self.forgotten.mark();
        }
        moved.map(drop)
    }

    /// Lets files be who they were under other numbers.
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

/// Forgets what `stat` showed of a directory and the files in it, and notes their numbers.
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
                // It had a second name for a while.
                node.touch();
                let Some(part) = node.upper.get() else {
                    continue;
                };
                let Some(file) = numbers.get(&part.number()) else {
                    continue;
                };
                if file.is_shared {
                    // A file of its own now, as at a copy-up. Its other names keep the node.
                    let seen = Child::Unread {
                        kind: node.kind,
                        inode: file.after.1,
                    };
                    parted.push(std::mem::replace(child, seen));
                } else {
                    part.set_number(file.after);
                }
            }
            Child::Unread { inode, .. } => {
                if let Some(file) = numbers.get(&(device, *inode)) {
                    *inode = file.after.1;
                }
            }
            Child::Node(_) | Child::Whiteout | Child::Lower(_) => {}
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
