//! Copy-up of a directory with everything below it, for a rename. The tree is staged where no reader sees
//! it, and published in one step.
//!
//! If each file were copied up by itself, each copy would have to be on disk before it gets its name, and
//! thousands of syncs take longer than all the rest. Here one sync covers the whole tree.
//!
//! ```text
//!   1. stage      every directory, file and link of the tree                 copy lock of the directory
//!   2. sync       each file; or, if there are more than a few, all at once
//!   3. publish    rename to its name                                         tree exclusive
//!   4. switch     nodes that are in use, from the top down
//! ```
//! Nothing below the directory changes meanwhile: a call that would change something there copies the
//! directory up first, and waits for its copy lock. Open files continue with the copies, which they open
//! at the next use ([`OverlayFile`](super::OverlayFile)).

use super::Shared;
use super::children::{Child, Children};
use super::copy_data::copy_data;
use super::copy_up::{Data, never_copied};
use super::node::{Node, Position};
use crate::error::{Errno, Error, Result};
use crate::hash::HashMap;
use crate::layer::erased::{AnyAt, AnyUpper, DirHandle};
use crate::layer::{Attributes, Copied, New, WriteAt};
use crate::log;
use crate::meta::{Identity, Kind};
use crate::name::{Name, NameBuf};
use crate::stack::{LowerNode, Merge};
use crate::walk::{self, Visitor};
use std::sync::Arc;

/// Up to this many files are synced one by one. One sync of the whole filesystem would save 3 ms, but may
/// take 150 ms more, since it also waits for the writes of other processes.
const FEW: usize = 8;

/// The copy of a whole directory, under construction.
struct Tree<'a> {
    shared: &'a Shared,
    upper: &'a dyn AnyUpper,
    /// Whether one call can sync the whole tree to disk.
    syncs_whole: bool,
    /// The copies, by the [`address`] of the lower directory that contains the originals. A stack keeps its
    /// directories, so an address stays unique.
    copied: HashMap<usize, Vec<Copy>>,
    /// How many files are in the directories that were entered so far.
    files: usize,
}

/// The copy of one file.
struct Copy {
    name: NameBuf,
    kind: Kind,
    /// Device and inode number of the copy.
    number: (u64, u64),
    /// The original, if it is a directory.
    dir: Option<Arc<LowerNode>>,
    /// The identity that the copy takes over. None for a file with other names, which continue to show the
    /// lower file.
    identity: Option<Identity>,
}

fn address(dir: &Arc<LowerNode>) -> usize {
    Arc::as_ptr(dir).addr()
}

impl Shared {
    /// Copies up the directory `dir` with everything below it, unless the upper has the directory already.
    /// Returns whether the upper has everything below it.
    ///
    /// # Errors
    /// As [`copy_up`](Self::copy_up).
    pub(super) fn copy_up_tree(&self, dir: &Arc<Node>) -> Result<bool> {
        if dir.upper.get().is_some() {
            return Ok(false);
        }
        let _changing = self.begin_change()?;
        let _copying = dir.copying.lock();
        if dir.upper.get().is_some() {
            return Ok(false);
        }
        let upper = self.upper()?;
        let syncs_whole = upper.syncs_whole();
        if self.keeps_no_order && !syncs_whole {
            // Links and directories cannot be synced one by one.
            return Ok(false);
        }
        let Some(lower) = dir.below() else {
            // Copied up with a directory above it (see below), and detached by a move of that since.
            return match dir.upper.get() {
                Some(_) => Ok(true),
                None => Err(Errno::Io.into()),
            };
        };
        let _copying = log::copy_up_span(|| super::path_of(dir), None);
        let staged = upper.stage(New::Dir { opaque: false })?;
        let Some(top) = upper.staged_dir(&staged)? else {
            return Ok(false);
        };
        let mut tree = Tree {
            shared: self,
            upper,
            syncs_whole,
            copied: HashMap::default(),
            files: 0,
        };
        let made = walk::walk(&mut tree, (Arc::clone(lower), top))
            .and_then(|()| self.with_attributes(lower, staged))
            .and_then(|copy| tree.sync().map(|()| copy));
        // If the mount ended meanwhile, `unmount` removed what was staged: report that instead.
        let copy = made.map_err(|error| self.upper().err().unwrap_or(error))?;
        self.copy_up_above(dir)?;

        let _tree = self.tree.write();
        if dir.upper.get().is_some() {
            // Another thread copied up a directory above it, with everything below.
            return Ok(true);
        }
        self.publish_locked(dir, copy)?;
        self.switch_below(dir, &tree);
        Ok(true)
    }

    /// Switches all nodes below `dir` to their copies. Nothing here can fail.
    ///
    /// Preconditions: the tree lock is held, exclusive; `dir` was just published.
    fn switch_below(&self, dir: &Arc<Node>, tree: &Tree<'_>) {
        tree.record_identities();
        let mut dirs = vec![(Arc::clone(dir), None)];
        while let Some((dir, number)) = dirs.pop() {
            let (Some(state), Some(below)) = (&dir.dir, dir.below()) else {
                continue;
            };
            let copies = tree.copied.get(&address(below));
            let copies = copies.map_or(&[][..], Vec::as_slice);
            let _names = state.names.write();
            let mut children = state.children.write();
            let nodes = children.insert_copies(copies, |name, copy| {
                if tree.is_synced_whole() {
                    return None;
                }
                // The node of a directory records what a sync of a file in it has to bring to disk.
                let position = Position::At(Arc::clone(&dir), name.to_owned());
                Some(Arc::new(Node::lower(position, copy.dir.as_ref()?)))
            });
            self.count_names(copies.len());
            for (node, number) in nodes {
                match node.kind {
                    Kind::Dir => dirs.push((node, Some(number))),
                    _ => self.switch(&node, number),
                }
            }
            if copies.len() > self.limits.table_entries {
                children.forget_names();
            }
            drop(children);
            // Files with several names have new identities.
            state.listing.clear();
            if !tree.is_synced_whole() {
                state.unsynced.mark();
            }
            if let Some(number) = number {
                self.switch(&dir, number);
            }
        }
    }

    /// Switches a node to its copy, which has this device and inode number.
    fn switch(&self, node: &Node, number: (u64, u64)) {
        let part = self.upper_part(number);
        let _state = node.state.lock();
        node.touch();
        if node.upper.set(part).is_err() {
            debug_assert!(false, "the copy lock of the directory admits one");
        }
    }
}

impl Children {
    /// Records that the upper has copies of everything in this directory. Nodes that are in use stay, and
    /// `make` may make more. Returns all these nodes, with the numbers of their copies.
    fn insert_copies(
        &mut self,
        copies: &[Copy],
        mut make: impl FnMut(Name<'_>, &Copy) -> Option<Arc<Node>>,
    ) -> Vec<(Arc<Node>, (u64, u64))> {
        let mut nodes = Vec::new();
        for copy in copies {
            let seen = Child::Listed {
                kind: copy.kind,
                inode: copy.number.1,
            };
            let node = match self.map.insert(copy.name.clone(), seen) {
                Some(Child::NotInUpper(node)) => node.upgrade(),
                Some(Child::Node(_) | Child::Listed { .. } | Child::Whiteout) | None => None,
            };
            if let Some(node) = node.or_else(|| make(copy.name.as_name(), copy)) {
                let child = Child::Node(Arc::clone(&node));
                self.map.insert(copy.name.clone(), child);
                nodes.push((node, copy.number));
            }
        }
        self.complete = true;
        nodes
    }
}

impl Tree<'_> {
    /// Whether one call syncs the whole tree.
    fn is_synced_whole(&self) -> bool {
        let is_better = self.files > FEW || self.shared.keeps_no_order;
        self.shared.syncs_copies && is_better && self.syncs_whole
    }

    /// Syncs the tree, so that a crash of the machine that keeps later changes keeps the tree, too.
    fn sync(&self) -> Result<()> {
        if self.is_synced_whole() {
            self.upper.sync_all()
        } else {
            Ok(())
        }
    }

    /// Records the identities that the copies take over.
    fn record_identities(&self) {
        let mut origins = self.shared.origins.lock();
        for copy in self.copied.values().flatten() {
            if let Some(identity) = copy.identity {
                origins.insert(copy.number, identity);
            }
        }
    }

    /// Copies `name` of a lower directory to `to`.
    fn copy(&mut self, dir: &Arc<LowerNode>, to: &DirHandle, name: Name<'_>) -> Result<Copy> {
        let shared = self.shared;
        let lower = child(shared, dir, name)?;
        let kind = lower.kind();
        let mut fill = |_: &dyn WriteAt| Ok(());
        let at = AnyAt { dir: to, name };
        let meta = match kind {
            Kind::Dir => {
                let copied = Copied {
                    new: New::Dir { opaque: false },
                    attributes: Attributes::default(),
                    fill: &mut fill,
                    sync: false,
                };
                self.upper.copy_into(at, copied)?
            }
            Kind::Symlink => {
                let copied = Copied {
                    new: New::Symlink(lower.target(&shared.stack)?),
                    attributes: shared.attributes(&lower, Data::Keep, None)?,
                    fill: &mut fill,
                    sync: false,
                };
                self.upper.copy_into(at, copied)?
            }
            Kind::File => {
                let mut xattrs = None;
                let from = lower.open_by(&shared.stack, &mut |layer, dir, name| {
                    let (file, names) = layer.open_to_copy(dir, name)?;
                    xattrs = Some(names);
                    Ok(file)
                })?;
                let mut fill = |to: &dyn WriteAt| copy_data(&lower.meta(), from.as_file(), to);
                let copied = Copied {
                    new: New::File,
                    attributes: shared.attributes(&lower, Data::Keep, xattrs)?,
                    fill: &mut fill,
                    sync: shared.syncs_copies && !self.is_synced_whole(),
                };
                self.upper.copy_into(at, copied)?
            }
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {
                return Err(never_copied());
            }
        };
        let is_one = kind == Kind::Dir || lower.meta().links < 2;
        Ok(Copy {
            name: name.to_owned(),
            kind,
            number: (meta.device, meta.inode),
            identity: is_one.then(|| shared.identity_of_lower(&lower)),
            dir: (kind == Kind::Dir).then_some(lower),
        })
    }
}

/// The child `name` of a lower directory that has just listed it.
fn child(shared: &Shared, dir: &Arc<LowerNode>, name: Name<'_>) -> Result<Arc<LowerNode>> {
    let child = dir.child(&shared.stack, name)?.ok_or_else(|| {
        let message =
            "a lower directory lists a name that it does not have: was the layer changed?";
        Error::new(Errno::Io, message)
    })?;
    Ok(child.into_owned())
}

impl Visitor for Tree<'_> {
    /// A lower directory, and its copy.
    type Dir = (Arc<LowerNode>, DirHandle);
    const LEAVES: bool = true;

    fn open(&self, (dir, to): &Self::Dir, name: Name<'_>) -> Result<Option<Self::Dir>> {
        let opened = (
            child(self.shared, dir, name)?,
            self.upper.open_dir(to, name)?,
        );
        Ok(Some(opened))
    }

    fn enter(&mut self, (dir, to): &Self::Dir, names: &mut Vec<u8>) -> Result<()> {
        let mut merge = Merge::new(usize::MAX);
        dir.list(&self.shared.stack, &mut merge)?;
        let (bytes, records) = merge.finish(|_, _| {});
        // Counted before the first copy: if there are many, no file is synced by itself.
        self.files += records
            .iter()
            .filter(|record| record.kind == Some(Kind::File))
            .count();
        let mut copies = Vec::with_capacity(records.len());
        for record in &records {
            let name = Name::checked(record.name(&bytes));
            let copy = self.copy(dir, to, name)?;
            if copy.kind == Kind::Dir {
                walk::push_name(names, name);
            }
            copies.push(copy);
        }
        self.copied.insert(address(dir), copies);
        Ok(())
    }

    fn leave(&mut self, (dir, to): &Self::Dir, name: Name<'_>) -> Result<()> {
        let lower = child(self.shared, dir, name)?;
        let at = AnyAt { dir: to, name };
        let attributes = self.shared.attributes(&lower, Data::Keep, None)?;
        self.upper.set_dir_attributes(at, attributes)
    }
}
