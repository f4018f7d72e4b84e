//! The bound on what an overlay keeps of its upper.
//!
//! What is not in use can be learned again from the upper, so when there is too much it is
//! forgotten: nodes of files, nodes of directories that none is left below, and in a directory
//! with more names than make a table, the names.
//!
//! Of an ephemeral upper nothing is forgotten: there a moved directory is merged with what only its node
//! remembers, and the number of nodes is bounded by the upper's own quota. Lower files that were
//! opened leave something in any overlay, which goes.

use super::Shared;
use super::children::{Child, Children};
use super::node::Node;
use crate::at_once;
use crate::error::Result;
use crate::meta::Kind;
use crate::sync::atomic::Ordering;
use std::sync::Arc;

impl Shared {
    /// Counts names that a directory keeps from now on.
    pub(super) fn count_names(&self, more: usize) {
        self.names.fetch_add(more, Ordering::Relaxed);
    }

    /// How many names the directories keep, at most.
    pub(super) fn kept_names(&self) -> usize {
        let added = self.names.load(Ordering::Relaxed);
        added.saturating_add(self.names_swept.load(Ordering::Relaxed))
    }

    /// Forgets what nobody uses, if too many names were counted.
    ///
    /// Preconditions: no lock is held, or the very directory that grows would be passed over.
    ///
    /// # Errors
    /// `would-block` if that is to be done, and this thread must not wait: a sweep takes milliseconds.
    #[inline]
    pub(super) fn sweep_if_large(&self) -> Result<()> {
        match self.names.load(Ordering::Relaxed) > self.limits.kept_nodes {
            true => self.sweep_if_due(),
            false => Ok(()),
        }
    }

    /// A full sweep, once for every `kept_nodes` new names. Where nearly all names stay it comes less often,
    /// so that a large tree does not cost the square of its names.
    #[cold]
    fn sweep_if_due(&self) -> Result<()> {
        let may_forget = self.upper.is_some() && !self.is_ephemeral;
        let stay = match may_forget {
            true => 0,
            false => self.names_swept.load(Ordering::Relaxed),
        };
        let most = self.limits.kept_nodes.max(stay);
        if self.names.load(Ordering::Relaxed) <= most {
            return Ok(());
        }
        at_once::may_wait()?;
        // One sweep at a time: whoever resets the count does it.
        if self.names.swap(0, Ordering::Relaxed) > most {
            self.sweep(may_forget);
        }
        Ok(())
    }

    /// Where names change just now nothing is forgotten.
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
        // Children before their parents, which they hold.
        while let Some(dir) = dirs.pop() {
            self.forget_dir(&dir);
        }
    }

    /// Forgets a directory that nobody holds but the one that it is in, and the caller.
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
            let seen = Child::Unread {
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
    /// Forgets lower files that nobody has open any more.
    pub(super) fn forget_dead(&mut self) {
        self.map.retain(|_, child| match child {
            Child::Lower(node) => node.strong_count() > 0,
            Child::Node(_) | Child::Unread { .. } | Child::Whiteout => true,
        });
    }

    pub(super) fn forget_files(&mut self) {
        for child in self.map.values_mut() {
            let Child::Node(node) = child else { continue };
            if let (1, Some(part)) = (Arc::strong_count(node), node.upper.get())
                && node.kind != Kind::Dir
            {
                *child = Child::Unread {
                    kind: node.kind,
                    inode: part.number().1,
                };
            }
        }
    }

    /// Makes a directory one that is asked for single names.
    pub(super) fn forget_names(&mut self) {
        self.complete = false;
        self.too_large = true;
        self.map.retain(|_, child| match child {
            Child::Node(_) => true,
            Child::Lower(node) => node.strong_count() > 0,
            Child::Unread { .. } | Child::Whiteout => false,
        });
        self.map.shrink_to_fit();
    }
}
