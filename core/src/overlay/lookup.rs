//! Lookup of one name in one directory of the merged tree.
//!
//! ```text
//! a directory that has a node:
//!   1. its table, `Children`   Node → that node                  Whiteout → there is no such name
//!                              NotInUpper → 3, unless the lower file has a node
//!                              Listed, or the table cannot tell → 2
//!   2. the upper               an entry → its node               a whiteout → there is no such name
//!                              nothing → 3
//! a directory that has none, since it is only in the stack:
//!   3. the stack
//! ```
//! A directory has two locks (their order is in [`super`]). `children` guards the table, and is never held
//! while a layer is called. `names` is *the directory lock*: exclusive while names change. Step 2 holds it,
//! so that what the upper answers is still true when the table gets it. Steps 1 and 3 work without it, so
//! their answer may be out of date when the caller has it: [`Shared::materialize`] checks it again.

use super::Shared;
use super::children::Child;
use super::node::{Node, Position};
use crate::at_once;
use crate::error::{Errno, Error, Result};
use crate::layer::{Found, Listed};
use crate::meta::Kind;
use crate::name::{NAME_MAX, Name};
use crate::stack::LowerNode;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A file of the merged tree (of any kind), as a lookup finds it. The variant says what a caller may do next.
/// Fast paths borrow the file; every lookup here returns an owned one.
#[derive(Clone)]
pub(crate) enum MergedFile<'a> {
    /// The file has a node, through which it can be opened and, once it is copied up, changed.
    Node(Cow<'a, Arc<Node>>),
    /// Only the stack has the file, and it has no node. The stack answers for its metadata, names and link
    /// target; before the file is opened or changed, [`Shared::materialize`] makes its node.
    Lower(Cow<'a, Arc<LowerNode>>),
}

impl MergedFile<'_> {
    pub(super) fn from_node(node: Arc<Node>) -> Self {
        Self::Node(Cow::Owned(node))
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Node(node) => node.kind,
            Self::Lower(lower) => lower.kind(),
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind() == Kind::Dir
    }
}

impl Shared {
    /// Looks up `name` in `dir`. None: there is no such name, or it is one that whiteouts use, which a guest
    /// never sees.
    ///
    /// # Errors
    /// `name-too-long`; `not-directory`; any error returned by a layer.
    pub(super) fn lookup(
        &self,
        dir: &MergedFile<'_>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        if name.as_bytes().len() > NAME_MAX {
            return Err(Error::because(
                Errno::NameTooLong,
                || "a name is longer than 255 bytes",
            ));
        }
        if name.is_reserved() {
            return Ok(None);
        }
        match dir {
            MergedFile::Lower(lower) => self.lookup_in_stack(Some(lower), name),
            MergedFile::Node(node) => self.lookup_in_node(node, name),
        }
    }

    fn lookup_in_node(
        &self,
        dir: &Arc<Node>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        // Read before the table. A rename of `dir` copies up everything in it, which enters the children into
        // the table, and then detaches `dir` from its lower part: read after the table, both could lack one.
        let below = dir.below();
        match dir.table_entry(name)? {
            Some(Child::Node(node)) => Ok(Some(MergedFile::from_node(node))),
            Some(Child::Whiteout) => Ok(None),
            Some(Child::NotInUpper(node)) => match node.upgrade() {
                Some(node) => Ok(Some(MergedFile::from_node(node))),
                None => self.lookup_in_stack(below, name),
            },
            Some(Child::Listed { .. }) | None => {
                let _names = at_once::read(&dir.dir()?.names)?;
                self.lookup_locked(dir, name)
            }
        }
    }

    /// Looks up `name` in a directory of the stack, if there is one.
    fn lookup_in_stack(
        &self,
        dir: Option<&Arc<LowerNode>>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        let Some(dir) = dir else { return Ok(None) };
        let child = dir.child(&self.stack, name)?;
        Ok(child.map(|child| MergedFile::Lower(Cow::Owned(child.into_owned()))))
    }

    /// [`lookup`](Self::lookup) for a caller that holds the directory lock. Its answer stays true while the
    /// caller holds it.
    ///
    /// Preconditions: the directory lock of `dir` is held, shared or exclusive.
    pub(super) fn lookup_locked(
        &self,
        dir: &Arc<Node>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        // One listing answers every later lookup of a name that does not exist.
        if dir.upper.get().is_some() {
            self.fill_table_locked(dir)?;
        }
        match dir.table_entry(name)? {
            Some(Child::Node(node)) => Ok(Some(MergedFile::from_node(node))),
            Some(Child::Whiteout) => Ok(None),
            Some(Child::NotInUpper(node)) => match node.upgrade() {
                Some(node) => Ok(Some(MergedFile::from_node(node))),
                None => self.lookup_in_stack(dir.below(), name),
            },
            Some(Child::Listed { .. }) | None => self.find_in_upper_locked(dir, name),
        }
    }

    /// Whether `name` exists in the lower layers of `dir`. Queries the stack, because a node does not know:
    /// what lies below an upper file or an opaque directory was never looked up.
    pub(super) fn exists_below(&self, dir: &Node, name: Name<'_>) -> Result<bool> {
        match dir.below() {
            Some(below) => below.has(&self.stack, name),
            None => Ok(false),
        }
    }

    /// Whether the upper has a whiteout of `name` in `dir`.
    ///
    /// Preconditions: the directory lock of `dir` is held, and it is in the upper.
    pub(super) fn has_whiteout_locked(&self, dir: &Arc<Node>, name: Name<'_>) -> Result<bool> {
        match dir.table_entry(name)? {
            Some(Child::Whiteout) => Ok(true),
            Some(Child::Node(_) | Child::Listed { .. } | Child::NotInUpper(_)) => Ok(false),
            None => {
                let handle = dir.handle(self)?;
                Ok(self.upper_to_read()?.find(&handle, name)? == Found::Hidden)
            }
        }
    }

    /// Fills the table of `dir` from one listing of the upper, unless the names are too many. Returns whether
    /// the table is complete.
    ///
    /// Preconditions: the directory lock of `dir` is held, and it is in the upper.
    pub(super) fn fill_table_locked(&self, dir: &Arc<Node>) -> Result<bool> {
        let state = dir.dir()?;
        {
            let children = state.children.read();
            if children.complete {
                return Ok(true);
            }
            if children.never_complete {
                return Ok(false);
            }
        }
        let handle = dir.handle(self)?;
        let mut names = Vec::new();
        let most = self.limits.table_entries;
        let listed = self.upper_to_read()?.list(&handle, &mut |name, listed| {
            names.push((name.to_owned(), listed));
            if names.len() > most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match listed {
            Ok(()) => {}
            // For example a directory without read permission: its names can be looked up one by one.
            Err(error) if error.allows_lookups() => {
                state.children.write().never_complete = true;
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        // Two threads that hold the lock shared may both list: the second finds nothing to add.
        let mut children = state.children.write();
        if names.len() > most {
            children.never_complete = true;
            return Ok(false);
        }
        self.count_names(names.len());
        for (name, listed) in names {
            let child = match listed {
                Listed::Here { kind, inode } => Child::Listed { kind, inode },
                Listed::Hidden => Child::Whiteout,
            };
            match children.map.get(&name) {
                // The table knows at least as much. An upper may have both an entry and a whiteout of a name:
                // the entry is what counts.
                Some(Child::Node(_) | Child::Listed { .. }) => {}
                Some(Child::Whiteout) if matches!(child, Child::Whiteout) => {}
                Some(Child::Whiteout | Child::NotInUpper(_)) | None => {
                    children.map.insert(name, child);
                }
            }
        }
        children.complete = true;
        Ok(true)
    }

    /// Finds `name` in the upper, and makes the node of the file. What the upper does not have is looked up
    /// in the stack.
    ///
    /// Preconditions: the directory lock of `dir` is held, and it is in the upper.
    fn find_in_upper_locked(
        &self,
        dir: &Arc<Node>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        let handle = dir.handle(self)?;
        let (meta, opaque) = match self.upper_to_read()?.find(&handle, name)? {
            Found::Here { meta, opaque } => (meta, opaque),
            Found::Hidden => return Ok(None),
            Found::Absent => return self.lookup_in_stack(dir.below(), name),
        };
        if meta.kind == Kind::Dir {
            self.check_depth(dir, 1)?;
        }
        let below = match (meta.kind, opaque) {
            (Kind::Dir, false) => self.lower_dir(dir, name)?,
            _ => None,
        };
        let position = Position::At(Arc::clone(dir), name.to_owned());
        let node = self.node_of_upper_file(&meta, position, below);
        let mut children = dir.dir()?.children.write();
        // Another thread that holds the lock shared may have made the node first.
        if let Some(Child::Node(node)) = children.map.get(name.as_bytes()) {
            return Ok(Some(MergedFile::from_node(Arc::clone(node))));
        }
        let child = Child::Node(Arc::clone(&node));
        children.map.insert(name.to_owned(), child);
        drop(children);
        self.count_names(1);
        Ok(Some(MergedFile::from_node(node)))
    }

    /// The directory called `name` in the lower layers of `dir`, with which an upper directory of that name
    /// merges, unless it is opaque.
    fn lower_dir(&self, dir: &Node, name: Name<'_>) -> Result<Option<Arc<LowerNode>>> {
        let Some(below) = dir.below() else {
            return Ok(None);
        };
        let child = below.child(&self.stack, name)?;
        let lower = child.filter(|child| child.kind() == Kind::Dir);
        Ok(lower.map(Cow::into_owned))
    }
}
