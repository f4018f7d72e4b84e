//! Lookup of one name in one directory of the merged tree.
//!
//! ```text
//!   1. the directory's table   Child::Node → that node      Child::Whiteout → not found
//!                              Child::Lower → step 3        Child::Unread, or no entry → step 2
//!   2. the upper               an entry → its node          a whiteout → not found     nothing → step 3
//!   3. the lower stack
//! ```
//! Step 1 takes no lock that is held while a layer is called. Step 2 holds the directory lock, shared.

use super::Shared;
use super::children::{At, Child};
use super::node::{Node, Number, Position, UpperPart};
use crate::at_once;
use crate::error::{Errno, Error, Result};
use crate::layer::erased::{AnyUpper, DirHandle};
use crate::layer::{Found, Listed};
use crate::meta::{Identity, Kind, Meta};
use crate::name::Name;
use crate::stack::LowerNode;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A file of the merged tree, as a lookup finds it. The variant says what a caller may do next.
#[derive(Clone)]
pub(crate) enum MergedFile<'a> {
    /// The file has a node: it can be opened and changed.
    Node(Cow<'a, Arc<Node>>),
    /// Only lower layers have the file and its directories, down from the nearest one with a node. It can
    /// be read; to open or change it, [`Shared::materialize`] makes its node.
    Lower(Cow<'a, Arc<LowerNode>>),
}

impl MergedFile<'_> {
    pub(super) fn node(node: Arc<Node>) -> Self {
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

/// The longest name that a directory on Linux holds (`NAME_MAX`). Longer names are refused before any layer
/// is asked, so that a cached answer is the same as a fresh one.
pub(super) const NAME_MAX: usize = 255;

/// The layer number of the upper in an identity, and that of a file whose inode number is [in use
/// twice](super::removed). No stack has so many layers.
const LAYER_OF_UPPER: u32 = u32::MAX;
const LAYER_OF_REUSE: u32 = u32::MAX - 1;

impl Shared {
    /// Looks up `name` in `dir`. None: there is no such name.
    ///
    /// # Errors
    /// `name-too-long`; any error returned by a layer.
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
            MergedFile::Lower(lower) => self.lookup_below(Some(lower), name),
            MergedFile::Node(node) => self.lookup_in_node(node, name),
        }
    }

    fn lookup_in_node(
        &self,
        dir: &Arc<Node>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        // Read before the table: a child that moves with its directory enters the table before the directory
        // is detached from its lower part.
        let below = dir.below();
        match dir.lookup(name)? {
            Some(Child::Node(node)) => Ok(Some(MergedFile::node(node))),
            Some(Child::Whiteout) => Ok(None),
            Some(Child::Lower(node)) => match node.upgrade() {
                Some(node) => Ok(Some(MergedFile::node(node))),
                None => self.lookup_below(below, name),
            },
            Some(Child::Unread { .. }) | None => {
                let _names = at_once::read(&dir.dir()?.names)?;
                self.lookup_locked(dir, name)
            }
        }
    }

    fn lookup_below(
        &self,
        dir: Option<&Arc<LowerNode>>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        let Some(dir) = dir else { return Ok(None) };
        let child = dir.child(&self.stack, name)?;
        Ok(child.map(|child| MergedFile::Lower(Cow::Owned(child.into_owned()))))
    }

    /// [`lookup`](Self::lookup) for a caller that changes names, and where the table cannot tell.
    ///
    /// Preconditions: the directory lock of `dir` is held, shared or exclusive.
    pub(super) fn lookup_locked(
        &self,
        dir: &Arc<Node>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        if dir.upper.get().is_some() {
            self.complete_locked(dir)?;
        }
        match dir.lookup(name)? {
            Some(Child::Node(node)) => Ok(Some(MergedFile::node(node))),
            Some(Child::Whiteout) => Ok(None),
            Some(Child::Lower(node)) => match node.upgrade() {
                Some(node) => Ok(Some(MergedFile::node(node))),
                None => self.lookup_below(dir.below(), name),
            },
            Some(Child::Unread { .. }) | None => self.ask_upper_locked(dir, name),
        }
    }

    /// Whether `name` exists in the lower layers of `dir`. Asks the layers now: a node does not know, because
    /// an upper file or an opaque directory was never looked up below.
    pub(super) fn exists_below(&self, dir: &Node, name: Name<'_>) -> Result<bool> {
        match dir.below() {
            Some(below) => below.has(&self.stack, name),
            None => Ok(false),
        }
    }

    /// Calls `act` with the upper and the handle of `dir`, while `name` there is `node`'s: no name changes
    /// meanwhile. Also after the mount was closed; an `act` that changes something asks for the upper
    /// [itself](Self::upper).
    ///
    /// # Errors
    /// `no-entry` if the name is gone or is another file's by now; any error that `act` returns.
    pub(super) fn at_name<T>(
        &self,
        node: &Arc<Node>,
        (dir, name): At<'_>,
        act: impl FnOnce(&dyn AnyUpper, &DirHandle) -> Result<T>,
    ) -> Result<T> {
        let _names = at_once::read(&dir.dir()?.names)?;
        match dir.lookup(name)? {
            Some(Child::Node(found)) if Arc::ptr_eq(&found, node) => {}
            _ => return Err(Errno::NoEntry.into()),
        }
        act(self.upper_to_read()?, &*dir.handle(self)?)
    }

    /// As [`at_name`](Self::at_name), where `at` is the name under which `node` was found. Without one, uses
    /// `node`'s own position: a copy-up came after the walk, or there was no walk.
    pub(super) fn at_any_name<T>(
        &self,
        node: &Arc<Node>,
        at: Option<At<'_>>,
        act: impl FnOnce(&dyn AnyUpper, &DirHandle, Name<'_>) -> Result<T>,
    ) -> Result<T> {
        let placed;
        let (dir, name) = match at {
            Some(at) => at,
            None => {
                placed = node.parent().ok_or(Errno::NoEntry)?;
                (&placed.0, placed.1.as_name())
            }
        };
        self.at_name(node, (dir, name), |upper, dir| act(upper, dir, name))
    }

    /// Whether the upper itself hides `name` in `dir`.
    ///
    /// Preconditions: the directory lock of `dir` is held, and it is in the upper.
    pub(super) fn has_whiteout_locked(&self, dir: &Arc<Node>, name: Name<'_>) -> Result<bool> {
        match dir.lookup(name)? {
            Some(Child::Whiteout) => Ok(true),
            Some(Child::Node(_) | Child::Unread { .. } | Child::Lower(_)) => Ok(false),
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
    pub(super) fn complete_locked(&self, dir: &Arc<Node>) -> Result<bool> {
        let state = dir.dir()?;
        {
            let children = state.children.read();
            if children.complete {
                return Ok(true);
            }
            if children.too_large {
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
            // It cannot be listed, but names can still be looked up.
            Err(error) if error.allows_lookups() => {
                state.children.write().too_large = true;
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let mut children = state.children.write();
        if names.len() > most {
            children.too_large = true;
            return Ok(false);
        }
        self.count_names(names.len());
        for (name, listed) in names {
            let child = match listed {
                Listed::Here { kind, inode } => Child::Unread { kind, inode },
                Listed::Hidden => Child::Whiteout,
            };
            match children.map.get(&name) {
                // The table knows at least as much. An entry beats a whiteout of its name.
                Some(Child::Node(_) | Child::Unread { .. }) => {}
                Some(Child::Whiteout) if matches!(child, Child::Whiteout) => {}
                Some(Child::Whiteout | Child::Lower(_)) | None => {
                    children.map.insert(name, child);
                }
            }
        }
        children.complete = true;
        Ok(true)
    }

    /// Asks the upper for `name`, and makes the node of what it has. What the upper does not have is looked up
    /// below.
    ///
    /// Preconditions: the directory lock of `dir` is held, and it is in the upper.
    fn ask_upper_locked(
        &self,
        dir: &Arc<Node>,
        name: Name<'_>,
    ) -> Result<Option<MergedFile<'static>>> {
        let handle = dir.handle(self)?;
        let (meta, opaque) = match self.upper_to_read()?.find(&handle, name)? {
            Found::Here { meta, opaque } => (meta, opaque),
            Found::Hidden => return Ok(None),
            Found::Absent => return self.lookup_below(dir.below(), name),
        };
        if meta.kind == Kind::Dir {
            self.check_depth_below(dir, 1)?;
        }
        let below = match (meta.kind, opaque) {
            (Kind::Dir, false) => self.dir_below(dir, name)?,
            _ => None,
        };
        let node = self.adopt(&meta, Position::At(Arc::clone(dir), name.to_owned()), below);
        let mut children = dir.dir()?.children.write();
        if let Some(Child::Node(node)) = children.map.get(name.as_bytes()) {
            return Ok(Some(MergedFile::node(Arc::clone(node))));
        }
        children
            .map
            .insert(name.to_owned(), Child::Node(Arc::clone(&node)));
        drop(children);
        self.count_names(1);
        Ok(Some(MergedFile::node(node)))
    }

    /// The directory called `name` in the lower layers of `dir`: an upper directory that is not opaque merges
    /// with it.
    fn dir_below(&self, dir: &Node, name: Name<'_>) -> Result<Option<Arc<LowerNode>>> {
        let Some(below) = dir.below() else {
            return Ok(None);
        };
        let child = below.child(&self.stack, name)?;
        let dir = child.filter(|child| child.kind() == Kind::Dir);
        Ok(dir.map(Cow::into_owned))
    }

    /// Returns the node of a file that the upper has: one node for all names of the file.
    pub(super) fn adopt(
        &self,
        meta: &Meta,
        position: Position,
        below: Option<Arc<LowerNode>>,
    ) -> Arc<Node> {
        let part = self.upper_part((meta.device, meta.inode));
        let make = || Arc::new(Node::new(meta.kind, position, below, Some(part)));
        if meta.kind == Kind::Dir {
            return make();
        }
        let mut objects = self.objects.lock();
        let key = (meta.device, meta.inode);
        // A file with one name now may have had more, and be open under one of those.
        if let Some(node) = objects.get(&key) {
            return node;
        }
        if meta.links < 2 {
            return make();
        }
        let node = make();
        objects.insert(key, &node);
        node
    }

    pub(super) fn upper_part(&self, (device, inode): (u64, u64)) -> UpperPart {
        UpperPart {
            number: Number::of((device, inode)),
            identity: self.identity_of_upper(device, inode),
        }
    }

    /// The identity of a file of the upper: the one it had before copy-up, if it was copied up in this mount.
    /// Never that of a removed directory that is still held under the same inode number.
    pub(super) fn identity_of_upper(&self, device: u64, inode: u64) -> Identity {
        let number = (device, inode);
        let origin = self.origins.lock().get(&number).copied();
        if let Some(origin) = origin {
            return origin;
        }
        let reuse = self.removed_dirs.lock().reuse(number);
        let (layer, of) = match reuse {
            None => (LAYER_OF_UPPER, inode),
            Some(reuse) => (LAYER_OF_REUSE, reuse),
        };
        let identity = self.key.of(layer, device, of);
        match reuse {
            None => identity,
            // Another thread may have made one meanwhile: the first one stays.
            Some(_) => *self.origins.lock().entry(number).or_insert(identity),
        }
    }

    pub(super) fn identity_of_lower(&self, lower: &LowerNode) -> Identity {
        let (device, inode) = lower.number();
        self.key.of(u32::from(lower.layer()), device, inode)
    }

    /// Makes the node of the last of `walked`, and of each file on the way that has none. The first of
    /// `walked` must have a node.
    pub(super) fn materialize(&self, walked: &[MergedFile<'_>]) -> Result<Arc<Node>> {
        let from = walked
            .iter()
            .rposition(|file| matches!(file, MergedFile::Node(_)));
        let mut lowers = walked.iter().skip(from.unwrap_or(0));
        let Some(MergedFile::Node(node)) = lowers.next() else {
            debug_assert!(false, "a walk begins at a node");
            return Err(Errno::Io.into());
        };
        let mut node = Arc::clone(node);
        // A directory above may have moved, so the depth is not that of the layer.
        let dirs = lowers.clone().filter(|lower| lower.is_dir()).count();
        if dirs > 0 {
            self.check_depth_below(&node, dirs)?;
        }
        for file in lowers {
            let MergedFile::Lower(lower) = file else {
                break;
            };
            node = self.child_node(&node, lower)?;
        }
        Ok(node)
    }

    /// Makes the node of `lower`, which was found in `dir` a moment ago.
    ///
    /// # Errors
    /// `no-entry` if `dir` no longer shows `lower` under its name: a caller that walks again finds what is
    /// there now.
    pub(super) fn child_node(&self, dir: &Arc<Node>, lower: &Arc<LowerNode>) -> Result<Arc<Node>> {
        if let Some(node) = self.make_node(dir, lower, false)? {
            return Ok(node);
        }
        // The table does not have all names of the upper: ask, and let no name change meanwhile.
        let _names = at_once::read(&dir.dir()?.names)?;
        dir.check_not_removed()?;
        let below = dir.below().ok_or(Errno::NoEntry)?;
        match self.lookup_locked(dir, below.name_of(lower)?)? {
            Some(MergedFile::Node(node)) => Ok(node.into_owned()),
            Some(MergedFile::Lower(_)) => self.child_node_locked(dir, lower),
            None => Err(Errno::NoEntry.into()),
        }
    }

    /// As [`child_node`](Self::child_node).
    ///
    /// Preconditions: the directory lock of `dir` is held, and `lower` was found there since.
    pub(super) fn child_node_locked(
        &self,
        dir: &Arc<Node>,
        lower: &Arc<LowerNode>,
    ) -> Result<Arc<Node>> {
        let node = self.make_node(dir, lower, true)?;
        node.ok_or_else(|| Errno::Io.into())
    }

    /// Makes the node of `lower`. None if the upper may have the name or hide it; with `is_shown` the caller
    /// knows that it does not.
    fn make_node(
        &self,
        dir: &Arc<Node>,
        lower: &Arc<LowerNode>,
        is_shown: bool,
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
            // Another thread was faster, with the same file or with another one.
            Some(Child::Node(node)) => return Ok(Some(Arc::clone(node))),
            Some(Child::Lower(held)) => match held.upgrade() {
                Some(node) => return Ok(Some(node)),
                None => {
                    let node = make();
                    *held = Arc::downgrade(&node);
                    node
                }
            },
            Some(Child::Whiteout) => return Err(Errno::NoEntry.into()),
            None if is_shown || is_complete || dir.upper.get().is_none() => {
                let node = make();
                children.insert_lower(name, &node);
                self.count_names(1);
                node
            }
            Some(Child::Unread { .. }) | None => return Ok(None),
        };
        Ok(Some(node))
    }
}
