//! Names of a directory that are held in memory.

use super::depth::KnownDepth;
use super::handle::UpperHandle;
use super::node::Node;
use super::sync::Unsynced;
use crate::cache::LazySlot;
use crate::error::Result;
use crate::hash::HashMap;
use crate::listing::Listing;
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use crate::sync::{Rank, RwLock};
use std::sync::{Arc, Weak};

/// State that only a directory has.
pub(super) struct DirState {
    /// The directory lock: exclusive while names change, shared while the upper is queried.
    pub(super) names: RwLock<()>,
    /// Guard: its own lock, below the directory lock; never held while a layer is called.
    pub(super) children: RwLock<Children>,
    /// The listing, if it is cached; emptied by each change of names.
    pub(super) listing: LazySlot<Listing>,
    /// The handle in the upper, if it is cached.
    pub(super) handle: LazySlot<UpperHandle>,
    /// Changes of names, times and attributes that may not be on disk.
    pub(super) unsynced: Unsynced,
    pub(super) depth: KnownDepth,
}

impl Default for DirState {
    fn default() -> Self {
        Self {
            names: RwLock::ranked(Rank::Names, ()),
            children: RwLock::ranked(Rank::Children, Children::default()),
            listing: LazySlot::default(),
            handle: LazySlot::default(),
            unsynced: Unsynced::default(),
            depth: KnownDepth::default(),
        }
    }
}

/// The names of a directory, as far as the overlay holds them in memory.
#[derive(Default)]
pub(super) struct Children {
    pub(super) map: HashMap<NameBuf, Child>,
    /// Whether `map` has every name that the upper has in this directory.
    pub(super) complete: bool,
    /// Whether the upper has more names in this directory than a table may hold, or cannot list it: then the
    /// upper is queried for single names.
    pub(super) never_complete: bool,
    /// Insertions of [`Child::NotInUpper`] since those without a node were last removed.
    lower_insertions: usize,
}

/// A name in a directory's table. The variant says what a lookup of the name does next.
#[derive(Clone)]
pub(super) enum Child {
    /// The upper has the name: use the node. During a copy-up, a thread that does not hold the directory
    /// lock can see the node here before [`Node::upper`] is set.
    Node(Arc<Node>),
    /// The upper lists the name, and the file has no node: query the upper.
    Listed { kind: Kind, inode: u64 },
    /// The upper has a whiteout: there is no such name.
    Whiteout,
    /// The upper has nothing under the name: use the node, which is that of the lower file, or look the name
    /// up in the stack if nothing holds one.
    NotInUpper(Weak<Node>),
}

/// A directory, and a name in it.
pub(super) type At<'a> = (&'a Arc<Node>, Name<'a>);

impl Node {
    /// The entry of `name` in the table of this directory. Also [`NotInUpper`](Child::NotInUpper) for a name
    /// that a complete table lacks, and for each name of a directory that is not in the upper. None: only the
    /// upper can tell, which is queried with the directory lock held.
    ///
    /// # Errors
    /// `not-directory`.
    #[inline]
    pub(super) fn table_entry(&self, name: Name<'_>) -> Result<Option<Child>> {
        let children = self.dir()?.children.read();
        Ok(match children.map.get(name.as_bytes()) {
            Some(child) => Some(child.clone()),
            None if children.complete || self.upper.get().is_none() => {
                Some(Child::NotInUpper(Weak::new()))
            }
            None => None,
        })
    }
}

impl Children {
    /// Adds a lower file that was opened.
    ///
    /// Preconditions: the table has no entry for `name`, and the upper has nothing under it.
    pub(super) fn insert_lower(&mut self, name: Name<'_>, node: &Arc<Node>) {
        self.lower_insertions += 1;
        if self.lower_insertions > 64 + self.map.len() / 2 {
            self.lower_insertions = 0;
            self.forget_dead();
        }
        let child = Child::NotInUpper(Arc::downgrade(node));
        self.map.insert(name.to_owned(), child);
    }

    /// Nodes of the directories in this one that the upper has.
    pub(super) fn upper_dirs(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.map.values().filter_map(|child| match child {
            Child::Node(node) if node.kind == Kind::Dir => Some(node),
            Child::Node(_) | Child::Listed { .. } | Child::Whiteout | Child::NotInUpper(_) => None,
        })
    }
}
