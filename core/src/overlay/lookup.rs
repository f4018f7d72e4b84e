//! One name in one directory.

use super::Shared;
use super::node::{At, Child, Known, Node, Number, Place, UpperPart};
use crate::at_once;
use crate::error::{Errno, Error, Result};
use crate::keep::Slot;
use crate::layer::erased::{AnyUpper, DirHandle};
use crate::layer::{Found, Listed};
use crate::meta::{Identity, Kind, Meta};
use crate::name::Name;
use crate::stack::LowerNode;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A file of the merged tree.
#[derive(Clone)]
pub(crate) enum Pos {
    /// One with a node.
    Node(Arc<Node>),
    /// One that is only in lower layers, as are all its ancestors down from the nearest node.
    Lower(Arc<LowerNode>),
}

impl Pos {
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

/// The longest name that a directory on Linux holds (`NAME_MAX`). Names longer than that are
/// refused before any layer is asked, so that a cached answer is the same as a fresh one.
pub(super) const NAME_MAX: usize = 255;

/// What stands for the upper where an identity is made, and for what has a number that is [in use
/// twice](super::removed). No stack has so many layers.
const LAYER_OF_UPPER: u32 = u32::MAX;
const LAYER_OF_REUSE: u32 = u32::MAX - 1;

impl Shared {
    /// What `name` is in `dir`.
    pub(super) fn step(&self, dir: &Pos, name: Name<'_>) -> Result<Option<Pos>> {
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
            Pos::Lower(lower) => self.child_below(Some(lower), name),
            Pos::Node(node) => self.step_node(node, name),
        }
    }

    fn step_node(&self, dir: &Arc<Node>, name: Name<'_>) -> Result<Option<Pos>> {
        // Before what is known: what moves with its directory is known there before the directory
        // parts from what is below.
        let below = dir.below();
        let (known, complete) = dir.known(name)?;
        match known {
            Known::Upper(node) | Known::Lower(Some(node)) => return Ok(Some(Pos::Node(node))),
            Known::Hidden => return Ok(None),
            Known::Seen => return self.look(dir, name),
            Known::Lower(None) => {}
            Known::Nothing if complete || dir.upper.get().is_none() => {}
            Known::Nothing => return self.look(dir, name),
        }
        self.child_below(below, name)
    }

    fn child_below(&self, dir: Option<&Arc<LowerNode>>, name: Name<'_>) -> Result<Option<Pos>> {
        let Some(dir) = dir else { return Ok(None) };
        let child = dir.child(&self.stack, name)?;
        Ok(child.map(|child| Pos::Lower(child.into_owned())))
    }

    /// Whether `name` exists in the lower layers of `dir`: asked of them now, never read off a
    /// node, since an upper file or an opaque directory never looked below.
    pub(super) fn exists_below(&self, dir: &Node, name: Name<'_>) -> Result<bool> {
        match dir.below() {
            Some(below) => below.has(&self.stack, name),
            None => Ok(false),
        }
    }

    /// Calls `ask` with the upper and its directory `dir` while `name` there is `node`'s: names
    /// do not change meanwhile. The mount may have been closed, which is for `ask` to see if it
    /// changes anything ([`upper`](Self::upper)).
    ///
    /// # Errors
    /// `no-entry` if the name is gone, or another file's by now; those of `ask`.
    pub(super) fn at_name<T>(
        &self,
        node: &Arc<Node>,
        (dir, name): At<'_>,
        ask: impl FnOnce(&dyn AnyUpper, &DirHandle) -> Result<T>,
    ) -> Result<T> {
        let _names = at_once::read(&dir.dir()?.names)?;
        match dir.known(name)?.0 {
            Known::Upper(found) if Arc::ptr_eq(&found, node) => {}
            _ => return Err(Errno::NoEntry.into()),
        }
        ask(self.upper_to_read()?, &*dir.handle(self)?)
    }

    /// As [`at_name`](Self::at_name), `at` the name where `node` was found, or at its place if that is
    /// not known: the copy-up came after the walk, or there was none.
    pub(super) fn at_any_name<T>(
        &self,
        node: &Arc<Node>,
        at: Option<At<'_>>,
        ask: impl FnOnce(&dyn AnyUpper, &DirHandle, Name<'_>) -> Result<T>,
    ) -> Result<T> {
        let placed;
        let (dir, name) = match at {
            Some(at) => at,
            None => {
                placed = node.parent().ok_or(Errno::NoEntry)?;
                (&placed.0, placed.1.as_name())
            }
        };
        self.at_name(node, (dir, name), |upper, dir| ask(upper, dir, name))
    }

    /// Asks the upper about a name that is not known well enough.
    fn look(&self, dir: &Arc<Node>, name: Name<'_>) -> Result<Option<Pos>> {
        let _names = at_once::read(&dir.dir()?.names)?;
        self.look_locked(dir, name)
    }

    /// [`step`](Self::step) for who changes names.
    ///
    /// Preconditions: the directory lock of `dir` is held, shared or exclusive.
    pub(super) fn look_locked(&self, dir: &Arc<Node>, name: Name<'_>) -> Result<Option<Pos>> {
        if dir.upper.get().is_some() && !self.complete_locked(dir)? {
            // Too many names for a table: probe for this one.
            let (known, _) = dir.known(name)?;
            if !matches!(known, Known::Upper(_) | Known::Hidden) {
                return self.probe_locked(dir, name);
            }
        }
        let (known, _) = dir.known(name)?;
        match known {
            Known::Upper(node) | Known::Lower(Some(node)) => Ok(Some(Pos::Node(node))),
            Known::Hidden => Ok(None),
            Known::Seen => self.probe_locked(dir, name),
            Known::Lower(None) | Known::Nothing => self.child_below(dir.below(), name),
        }
    }

    /// Whether the upper itself hides `name` in `dir`.
    ///
    /// Preconditions: the directory lock of `dir` is held, and it is in the upper.
    pub(super) fn has_mark_locked(&self, dir: &Arc<Node>, name: Name<'_>) -> Result<bool> {
        let (known, complete) = dir.known(name)?;
        match known {
            Known::Hidden => Ok(true),
            Known::Upper(_) | Known::Seen | Known::Lower(_) => Ok(false),
            Known::Nothing if complete => Ok(false),
            Known::Nothing => {
                let handle = dir.handle(self)?;
                Ok(self.upper_to_read()?.find(&handle, name)? == Found::Hidden)
            }
        }
    }

    /// Lists the upper's names in `dir` once, if they are not too many. Returns whether all are
    /// known.
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
            match names.len() > most {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        match listed {
            Ok(()) => {}
            // It cannot be listed, but names can still be looked up.
            Err(error) if error.is_of_listing() => {
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
                Listed::Here { kind, inode } => Child::Seen { kind, inode },
                Listed::Hidden => Child::Hidden,
            };
            match children.map.get(&name) {
                // What is known is at least as good. An entry beats a mark of its name.
                Some(Child::Node(_) | Child::Seen { .. }) => {}
                Some(Child::Hidden) if matches!(child, Child::Hidden) => {}
                Some(Child::Hidden | Child::Lower(_)) | None => {
                    children.map.insert(name, child);
                }
            }
        }
        children.complete = true;
        Ok(true)
    }

    /// Makes the node of a name that the upper may have.
    ///
    /// Preconditions: the directory lock of `dir` is held, and it is in the upper.
    fn probe_locked(&self, dir: &Arc<Node>, name: Name<'_>) -> Result<Option<Pos>> {
        let handle = dir.handle(self)?;
        let found = self.upper_to_read()?.find(&handle, name)?;
        let (meta, opaque) = match found {
            Found::Here { meta, opaque } => (meta, opaque),
            Found::Hidden => return Ok(None),
            Found::Absent => {
                if let (Known::Lower(Some(node)), _) = dir.known(name)? {
                    return Ok(Some(Pos::Node(node)));
                }
                return self.child_below(dir.below(), name);
            }
        };
        if cfg!(feature = "native") && meta.kind == Kind::Dir {
            self.check_depth_below(dir, 1)?;
        }
        let below = match (meta.kind, opaque) {
            (Kind::Dir, false) => self.dir_below(dir, name)?,
            _ => None,
        };
        let node = self.adopt(&meta, Place::At(Arc::clone(dir), name.to_owned()), below);
        let mut children = dir.dir()?.children.write();
        if let Some(Child::Node(node)) = children.map.get(name.as_bytes()) {
            return Ok(Some(Pos::Node(Arc::clone(node))));
        }
        children
            .map
            .insert(name.to_owned(), Child::Node(Arc::clone(&node)));
        drop(children);
        self.count_names(1);
        Ok(Some(Pos::Node(node)))
    }

    /// The directory of that name in the lower layers of `dir`, which an upper directory that
    /// is not opaque merges with.
    fn dir_below(&self, dir: &Node, name: Name<'_>) -> Result<Option<Arc<LowerNode>>> {
        let Some(below) = dir.below() else {
            return Ok(None);
        };
        let child = below.child(&self.stack, name)?;
        let dir = child.filter(|child| child.kind() == Kind::Dir);
        Ok(dir.map(Cow::into_owned))
    }

    /// The node of a file that the upper has: the same one for all names of a file.
    pub(super) fn adopt(
        &self,
        meta: &Meta,
        place: Place,
        below: Option<Arc<LowerNode>>,
    ) -> Arc<Node> {
        let part = self.upper_part((meta.device, meta.inode));
        let make = || Arc::new(Node::new(meta.kind, place, below, Some(part)));
        if meta.kind == Kind::Dir {
            return make();
        }
        let mut objects = self.objects.lock();
        let key = (meta.device, meta.inode);
        // One that has a single name now may have had more, and be open since.
        if let Some(node) = objects.get(&key).and_then(std::sync::Weak::upgrade) {
            return node;
        }
        if meta.links < 2 {
            return make();
        }
        if objects.len() >= 64 && objects.len().is_power_of_two() {
            objects.retain(|_, node| node.strong_count() > 0);
        }
        let node = make();
        objects.insert(key, Arc::downgrade(&node));
        node
    }

    pub(super) fn upper_part(&self, (device, inode): (u64, u64)) -> UpperPart {
        UpperPart {
            number: Number::of((device, inode)),
            identity: self.identity_of_upper(device, inode),
            handle: Slot::default(),
        }
    }

    /// Who a file of the upper is: who it was before copy-up, if it was copied up in this mount; and
    /// nobody that was removed and is held.
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
            // Somebody else may have asked meanwhile: all agree on one.
            Some(_) => *self.origins.lock().entry(number).or_insert(identity),
        }
    }

    pub(super) fn identity_of_lower(&self, lower: &LowerNode) -> Identity {
        let (device, inode) = lower.place();
        self.key.of(u32::from(lower.layer()), device, inode)
    }

    /// The node of the last of `walked`, made for it and for each that leads there if they have
    /// none. The first of `walked` must be one with a node.
    pub(super) fn materialize(&self, walked: &[Pos]) -> Result<Arc<Node>> {
        let from = walked.iter().rposition(|pos| matches!(pos, Pos::Node(_)));
        let mut lowers = walked.iter().skip(from.unwrap_or(0));
        let Some(Pos::Node(node)) = lowers.next() else {
            debug_assert!(false, "a walk begins at a node");
            return Err(Errno::Io.into());
        };
        let mut node = Arc::clone(node);
        if cfg!(feature = "native") {
            // Not as deep as in its layer, where a directory above it was moved.
            let dirs = lowers.clone().filter(|lower| lower.is_dir()).count();
            if dirs > 0 {
                self.check_depth_below(&node, dirs)?;
            }
        }
        for pos in lowers {
            let Pos::Lower(lower) = pos else { break };
            node = self.child_node(&node, lower)?;
        }
        Ok(node)
    }

    /// The node of `lower`, which was seen in `dir` a moment ago.
    ///
    /// # Errors
    /// `no-entry` if it is not what it was any more: whoever walks again finds what there is.
    pub(super) fn child_node(&self, dir: &Arc<Node>, lower: &Arc<LowerNode>) -> Result<Arc<Node>> {
        if let Some(node) = self.make_node(dir, lower, false)? {
            return Ok(node);
        }
        // What the upper has there is not all known: ask, and let nobody change it meanwhile.
        let _names = at_once::read(&dir.dir()?.names)?;
        dir.must_live()?;
        let below = dir.below().ok_or(Errno::NoEntry)?;
        match self.look_locked(dir, below.name_of(lower)?)? {
            Some(Pos::Node(node)) => Ok(node),
            Some(Pos::Lower(_)) => self.child_node_locked(dir, lower),
            None => Err(Errno::NoEntry.into()),
        }
    }

    /// As [`child_node`](Self::child_node).
    ///
    /// Preconditions: the directory lock of `dir` is held, and `lower` was seen there since.
    pub(super) fn child_node_locked(
        &self,
        dir: &Arc<Node>,
        lower: &Arc<LowerNode>,
    ) -> Result<Arc<Node>> {
        let node = self.make_node(dir, lower, true)?;
        node.ok_or_else(|| Errno::Io.into())
    }

    /// The node of `lower`; none if the upper may have something under that name, or hide it, and
    /// it is not `sure` that it does not.
    fn make_node(
        &self,
        dir: &Arc<Node>,
        lower: &Arc<LowerNode>,
        sure: bool,
    ) -> Result<Option<Arc<Node>>> {
        let mut children = dir.dir()?.children.write();
        // The directory may be another one by now, or have parted from what is below.
        let Some(below) = dir.below().filter(|below| lower.is_in(below)) else {
            return Err(Errno::NoEntry.into());
        };
        let name = below.name_of(lower)?;
        let make = || {
            let place = Place::At(Arc::clone(dir), name.to_owned());
            Arc::new(Node::lower(place, lower))
        };
        let is_complete = children.complete;
        let node = match children.map.get_mut(name.as_bytes()) {
            // Somebody was faster, with the same file or with another one.
            Some(Child::Node(node)) => return Ok(Some(Arc::clone(node))),
            Some(Child::Lower(known)) => match known.upgrade() {
                Some(node) => return Ok(Some(node)),
                None => {
                    let node = make();
                    *known = Arc::downgrade(&node);
                    node
                }
            },
            Some(Child::Hidden) => return Err(Errno::NoEntry.into()),
            None if sure || is_complete || dir.upper.get().is_none() => {
                let node = make();
                children.insert_lower(name, &node);
                self.count_names(1);
                node
            }
            Some(Child::Seen { .. }) | None => return Ok(None),
        };
        Ok(Some(node))
    }
}
