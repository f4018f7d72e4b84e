//! Sweeps that bound how many nodes and names an overlay keeps in memory.
//!
//! State of the upper that is not in use can be read again, so a sweep drops it when there is too much:
//! nodes of files, nodes of directories that have no directory nodes below them, and the names in a
//! directory that has too many for a table.
//!
//! An ephemeral upper keeps all its nodes: only the node of a moved directory remembers which lower
//! directory it merges with, and the upper's own quota bounds the number of nodes. Entries of lower files
//! that were opened are dropped in any overlay.

use super::Shared;
use super::children::{Child, Children};
use super::node::Node;
use crate::at_once;
use crate::error::Result;
use crate::meta::Kind;
use crate::sync::atomic::Ordering;
use std::sync::Arc;

impl Shared {
    /// Counts names that were added to the table of a directory.
    pub(super) fn count_names(&self, more: usize) {
        self.names.fetch_add(more, Ordering::Relaxed);
    }

    /// An upper bound on the number of names in the tables of directories.
    pub(super) fn kept_names(&self) -> usize {
        let added = self.names.load(Ordering::Relaxed);
        added.saturating_add(self.names_swept.load(Ordering::Relaxed))
    }

    /// Drops unused nodes and names, if too many names were counted.
    ///
    /// Preconditions: no lock is held. Otherwise the sweep would skip the very directory that grows.
    ///
    /// # Errors
    /// `would-block` if a sweep is due, and this thread must not wait: a sweep takes milliseconds.
    #[inline]
    pub(super) fn sweep_if_large(&self) -> Result<()> {
        if self.names.load(Ordering::Relaxed) > self.limits.kept_nodes {
            self.sweep_if_due()
        } else {
            Ok(())
        }
    }

    /// Sweeps once for every `kept_nodes` new names. Where nearly all names stay, sweeps are less frequent,
    /// so that their total cost is not quadratic in the number of names.
    #[cold]
    fn sweep_if_due(&self) -> Result<()> {
        let may_forget = self.upper.is_some() && !self.is_ephemeral;
        let stay = if may_forget {
            0
        } else {
            self.names_swept.load(Ordering::Relaxed)
        };
        let most = self.limits.kept_nodes.max(stay);
        if self.names.load(Ordering::Relaxed) <= most {
            return Ok(());
        }
        at_once::may_wait()?;
        // One sweep at a time: the thread that resets the count runs it.
        if self.names.swap(0, Ordering::Relaxed) > most {
            self.sweep(may_forget);
        }
        Ok(())
    }

    /// Sweeps all directories, except those whose names are being changed.
    fn sweep(&self, may_forget: bool) {
        let mut kept = 0;
        let mut dirs = vec![Arc::clone(&self.root)];
        let mut next = 0;
        while let Some(dir) = dirs.get(next).map(Arc::clone) {
            next += 1;
            let Some(state) = &dir.dir else { continue };
            let Some(_names) = state.names.try_write() else {
                continue;
            };
            let mut children = state.children.write();
            children.forget_dead();
            if may_forget {
                children.forget_files();
            }
            if may_forget && children.map.len() > self.limits.table_entries {
                children.forget_names();
            }
            kept += children.map.len();
            dirs.extend(children.upper_dirs().cloned());
        }
        self.names_swept.store(kept, Ordering::Relaxed);
        if !may_forget {
            return;
        }
        // Children before their parents: a child holds its parent.
        while let Some(dir) = dirs.pop() {
            self.forget_dir(&dir);
        }
    }

    /// Drops the node of a directory, if only its parent and the caller hold it.
    fn forget_dir(&self, dir: &Arc<Node>) {
        let (Some((parent, name)), Some(state), Some(part)) =
            (dir.parent(), &dir.dir, dir.upper.get())
        else {
            return;
        };
        let Some(siblings) = &parent.dir else { return };
        let Some(_names) = siblings.names.try_write() else {
            return;
        };
        let mut children = siblings.children.write();
        let name = name.as_name();
        let is_here = matches!(
            children.map.get(name.as_bytes()),
            Some(Child::Node(here)) if Arc::ptr_eq(here, dir)
        );
        if !is_here || Arc::strong_count(dir) > 2 {
            return;
        }
        if !state.unsynced.is_empty() {
            self.forgotten.mark();
        }
        if children.complete {
            let seen = Child::Listed {
                kind: dir.kind,
                inode: part.number().1,
            };
            children.map.insert(name.to_owned(), seen);
        } else {
            children.map.remove(name.as_bytes());
        }
    }
}

impl Children {
    /// Removes entries of lower files that are no longer open.
    pub(super) fn forget_dead(&mut self) {
        self.map.retain(|_, child| match child {
            Child::NotInUpper(node) => node.strong_count() > 0,
            Child::Node(_) | Child::Listed { .. } | Child::Whiteout => true,
        });
    }

    /// Drops the nodes of files that nothing else holds. Their names stay.
    pub(super) fn forget_files(&mut self) {
        for child in self.map.values_mut() {
            let Child::Node(node) = child else { continue };
            if let (1, Some(part)) = (Arc::strong_count(node), node.upper.get())
                && node.kind != Kind::Dir
            {
                *child = Child::Listed {
                    kind: node.kind,
                    inode: part.number().1,
                };
            }
        }
    }

    /// Drops the names without nodes: from here on the upper is asked for single names.
    pub(super) fn forget_names(&mut self) {
        self.complete = false;
        self.never_complete = true;
        self.map.retain(|_, child| match child {
            Child::Node(_) => true,
            Child::NotInUpper(node) => node.strong_count() > 0,
            Child::Listed { .. } | Child::Whiteout => false,
        });
        self.map.shrink_to_fit();
    }
}
