//! The tree of an archive while it is being read.
//!
//! Entries are applied in the order of the archive, as a program that unpacks it would: the last entry of
//! a path counts, one that is not a directory takes the place of a directory and all that it contains, and
//! a path through something else than a directory takes its place. Nothing is followed: a name below a
//! symbolic link of the archive replaces the link. Whiteouts are only collected here: they hide names in
//! lower layers, so their order does not matter.

use super::extras::Extras;
use super::node::{Node, NodeFlags};
use super::path::{check_path, components, split};
use super::warnings::Warnings;
use crate::error::{Errno, Error, Result};
use crate::hash::RandomState;
use crate::log::Escaped;
use crate::name::Name;
use crate::whiteouts::{NameKind, classify};
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// The number of the root.
pub(super) const ROOT: u32 = 0;

/// What an archive has at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// No entry.
    Empty,
    /// A whiteout in the form of an entry, such as the kernel's character device.
    Whiteout,
    /// A hard link whose target comes later: the number of the link.
    Link(u32),
    /// The node with this number.
    Node(u32),
}

/// A name in a directory.
#[derive(Debug)]
pub(super) struct NameRecord {
    /// The number of the directory.
    pub(super) dir: u32,
    /// Where the name begins in [`Tree::names`].
    start: u32,
    length: u16,
    /// Whether a whiteout lies beside it.
    pub(super) hides: bool,
    pub(super) slot: Slot,
}

impl NameRecord {
    /// Bytes of the name.
    pub(super) fn name_bytes(&self) -> u16 {
        self.length
    }

    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        let end = start + usize::from(self.length);
        names.get(start..end).unwrap_or_default()
    }
}

/// A hard link whose target comes later.
#[derive(Debug)]
pub(super) struct PendingLink {
    /// The path of the link, for messages.
    pub(super) path: Box<[u8]>,
    pub(super) target: Box<[u8]>,
    pub(super) bound: Bound,
}

/// What a pending link is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Nothing yet.
    No,
    /// Nothing yet: its target is being looked for.
    Following,
    /// This node.
    Node(u32),
}

/// The tree under construction. Numbers of nodes are in the order of their creation; some may not be
/// reachable at the end.
pub(super) struct Tree {
    nodes: Vec<Node>,
    records: Vec<NameRecord>,
    names: Vec<u8>,
    /// The numbers of the records, by directory and name.
    lookup: HashTable<u32>,
    hasher: RandomState,
    pub(super) links: Vec<PendingLink>,
    /// Bytes of the paths and targets of `links`.
    link_bytes: usize,
    pub(super) extras: Vec<u8>,
    pub(super) warnings: Warnings,
    /// The directory of the last entry, since most entries lie in the directory of the previous one.
    last_dir: Option<(Box<[u8]>, u32)>,
    max_entries: usize,
    max_bytes: usize,
}

impl Tree {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            nodes: vec![Node::implied_dir()],
            records: Vec::new(),
            names: Vec::new(),
            lookup: HashTable::new(),
            hasher: RandomState::default(),
            links: Vec::new(),
            link_bytes: 0,
            extras: Vec::new(),
            warnings: Warnings::default(),
            last_dir: None,
            max_entries,
            max_bytes,
        }
    }

    pub(super) fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.get(number as usize)
    }

    pub(super) fn node_mut(&mut self, number: u32) -> Option<&mut Node> {
        self.nodes.get_mut(number as usize)
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn records(&self) -> &[NameRecord] {
        &self.records
    }

    pub(super) fn record_mut(&mut self, number: u32) -> Option<&mut NameRecord> {
        self.records.get_mut(number as usize)
    }

    pub(super) fn name(&self, record: &NameRecord) -> &[u8] {
        record.name(&self.names)
    }

    /// Checks the bounds on the size of the index.
    fn check_bounds(&self) -> Result<()> {
        let counts = [self.nodes.len(), self.records.len(), self.links.len()];
        if counts.iter().any(|count| *count > self.max_entries) {
            return Err(Error::new(
                Errno::Overflow,
                format_args!(
                    "the archive has more than {} entries (Limits::archive_entries)",
                    self.max_entries
                ),
            ));
        }
        let bytes = self.nodes.len() * super::index::NODE_BYTES
            + self.records.len() * super::index::ENTRY_BYTES
            + self.names.len()
            + self.extras.len()
            + self.link_bytes;
        if bytes > self.max_bytes {
            return Err(self.too_large());
        }
        Ok(())
    }

    fn too_large(&self) -> Error {
        Error::new(
            Errno::Overflow,
            format_args!(
                "the index of the archive would take more than {} bytes \
                 (Limits::archive_index_bytes)",
                self.max_bytes
            ),
        )
    }

    /// The number of the record of a name in a directory.
    pub(super) fn find(&self, dir: u32, name: &[u8]) -> Option<u32> {
        let found = self
            .lookup
            .find(hash(&self.hasher, dir, name), self.has(dir, name));
        found.copied()
    }

    /// Whether the record with a number is that of this name.
    fn has<'a>(&'a self, dir: u32, name: &'a [u8]) -> impl Fn(&u32) -> bool + 'a {
        move |number| {
            let record = self.records.get(*number as usize);
            record.is_some_and(|record| record.dir == dir && self.name(record) == name)
        }
    }

    /// The number of the record of a name in a directory, made if there is none.
    fn record(&mut self, dir: u32, name: &[u8]) -> Result<u32> {
        if let Some(found) = self.find(dir, name) {
            return Ok(found);
        }
        let too_many = || Error::new(Errno::Overflow, "the archive has too many names");
        let number = u32::try_from(self.records.len()).map_err(|_| too_many())?;
        let start = u32::try_from(self.names.len()).map_err(|_| too_many())?;
        let length = u16::try_from(name.len()).map_err(|_| too_many())?;
        self.names.extend_from_slice(name);
        self.records.push(NameRecord {
            dir,
            start,
            length,
            hides: false,
            slot: Slot::Empty,
        });
        let hash_of = |number: &u32| match self.records.get(*number as usize) {
            Some(record) => hash(&self.hasher, record.dir, record.name(&self.names)),
            None => 0,
        };
        let hash = hash(&self.hasher, dir, name);
        self.lookup.insert_unique(hash, number, hash_of);
        self.check_bounds()?;
        Ok(number)
    }

    /// Frees what only finds entries by their paths, once the archive was read.
    pub(super) fn drop_lookup(&mut self) {
        self.lookup = HashTable::new();
        self.last_dir = None;
    }

    /// The directory at `path`, which was checked, and whose missing directories are implied. None if the path lies below a
    /// whiteout, so that nothing of it is shown.
    pub(super) fn dir(&mut self, path: &[u8]) -> Result<Option<u32>> {
        if let Some((last, dir)) = &self.last_dir
            && **last == *path
        {
            return Ok(Some(*dir));
        }
        let mut dir = ROOT;
        for name in components(path) {
            if self.apply_whiteout(dir, name)? {
                return Ok(None);
            }
            let record = self.record(dir, name)?;
            dir = match self.slot(record) {
                Slot::Node(node) if self.is_dir(node) => node,
                Slot::Empty => self.add(record, Node::implied_dir(), &Extras::default())?,
                Slot::Node(_) | Slot::Whiteout | Slot::Link(_) => {
                    self.warnings.add(format_args!(
                        "{}: a path leads through a file or link that is not a directory, and \
                         replaces it",
                        Escaped::new(path)
                    ));
                    self.add(record, Node::implied_dir(), &Extras::default())?
                }
            };
        }
        self.last_dir = Some((path.into(), dir));
        Ok(Some(dir))
    }

    fn slot(&self, record: u32) -> Slot {
        self.records
            .get(record as usize)
            .map_or(Slot::Empty, |record| record.slot)
    }

    pub(super) fn is_dir(&self, node: u32) -> bool {
        self.node(node).is_some_and(Node::is_dir)
    }

    /// Adds a node at a record, in the place of what it had.
    fn add(&mut self, record: u32, mut node: Node, extras: &Extras) -> Result<u32> {
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.save_extras(&mut node, extras)?;
        self.nodes.push(node);
        self.check_bounds()?;
        self.set_slot(record, Slot::Node(number));
        Ok(number)
    }

    fn save_extras(&mut self, node: &mut Node, extras: &Extras) -> Result<()> {
        if self.extras.len().saturating_add(extras.bytes()) > self.max_bytes {
            return Err(self.too_large());
        }
        extras.save(node, &mut self.extras);
        Ok(())
    }

    /// Puts something at a record. What a directory contained is lost with it.
    fn set_slot(&mut self, record: u32, slot: Slot) {
        if let Some(record) = self.records.get_mut(record as usize) {
            if let Slot::Node(node) = record.slot
                && self.nodes.get(node as usize).is_some_and(Node::is_dir)
            {
                self.last_dir = None;
            }
            record.slot = slot;
        }
    }

    /// Applies `name` in `dir` if it is a whiteout. Returns whether it is one.
    ///
    /// # Errors
    /// `invalid` for a whiteout of nothing, `.` or `..`.
    fn apply_whiteout(&mut self, dir: u32, name: &[u8]) -> Result<bool> {
        match classify(Name::checked(name)) {
            // Files that aufs left behind are not shown, but may be the target of hard links.
            NameKind::Entry | NameKind::Reserved => return Ok(false),
            NameKind::Whiteout(hidden) => {
                let record = self.record(dir, hidden.as_bytes())?;
                if let Some(record) = self.record_mut(record) {
                    record.hides = true;
                }
            }
            NameKind::Opaque => {
                if let Some(node) = self.node_mut(dir) {
                    node.flags.set(NodeFlags::OPAQUE, true);
                }
            }
            NameKind::Broken => {
                return Err(Error::new(
                    Errno::Invalid,
                    "the name is that of a whiteout, but hides no name",
                ));
            }
        }
        Ok(true)
    }

    /// Applies an entry at `path`.
    pub(super) fn put(&mut self, path: &[u8], node: Node, extras: &Extras) -> Result<()> {
        let record = match self.target(path)? {
            Target::Record(record) => record,
            Target::Nothing => return Ok(()),
            Target::Root if node.is_dir() => return self.set_attributes(ROOT, node, extras),
            Target::Root => return Err(root_is_not_a_dir()),
        };
        match self.slot(record) {
            Slot::Node(old) if node.is_dir() && self.is_dir(old) => {
                return self.set_attributes(old, node, extras);
            }
            Slot::Node(_) | Slot::Whiteout | Slot::Link(_) => {
                self.warnings.add(format_args!(
                    "{}: the path occurs more than once, and the last one counts",
                    Escaped::new(path)
                ));
            }
            Slot::Empty => {}
        }
        self.add(record, node, extras).map(drop)
    }

    /// Replaces the attributes of a directory, which stays opaque.
    fn set_attributes(&mut self, dir: u32, mut node: Node, extras: &Extras) -> Result<()> {
        self.save_extras(&mut node, extras)?;
        if let Some(old) = self.node_mut(dir) {
            let opaque = old.flags.contains(NodeFlags::OPAQUE);
            *old = node;
            if opaque {
                old.flags.set(NodeFlags::OPAQUE, true);
            }
        }
        self.check_bounds()
    }

    /// Puts a whiteout in the form of an entry at `path`.
    pub(super) fn put_whiteout(&mut self, path: &[u8]) -> Result<()> {
        match self.target(path)? {
            Target::Record(record) => self.set_slot(record, Slot::Whiteout),
            Target::Nothing => {}
            Target::Root => return Err(root_is_not_a_dir()),
        }
        Ok(())
    }

    /// Where an entry at `path` goes.
    fn target(&mut self, path: &[u8]) -> Result<Target> {
        let (above, name) = split(path);
        if name.is_empty() {
            return Ok(Target::Root);
        }
        check_path(path)?;
        let Some(dir) = self.dir(above)? else {
            return Ok(Target::Nothing);
        };
        if self.apply_whiteout(dir, name)? {
            return Ok(Target::Nothing);
        }
        self.record(dir, name).map(Target::Record)
    }

    /// Makes a hard link at `path` to what `target` is now. If there is nothing yet, it is resolved at the
    /// end.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        check_path(target)?;
        let slot = match self.resolve(target) {
            Some(Slot::Node(node)) if self.is_dir(node) => {
                return Err(super::links::to_dir(target));
            }
            Some(slot @ (Slot::Node(_) | Slot::Link(_))) => slot,
            Some(Slot::Empty | Slot::Whiteout) | None => {
                let number = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
                self.link_bytes += path.len() + target.len();
                self.links.push(PendingLink {
                    path: path.into(),
                    target: target.into(),
                    bound: Bound::No,
                });
                self.check_bounds()?;
                Slot::Link(number)
            }
        };
        match self.target(path)? {
            Target::Record(record) => self.set_slot(record, slot),
            Target::Nothing => {}
            Target::Root => return Err(root_is_not_a_dir()),
        }
        Ok(())
    }

    /// What is at `path`, which was checked, now. No directory is made, and no link followed.
    pub(super) fn resolve(&self, path: &[u8]) -> Option<Slot> {
        let mut slot = Slot::Node(ROOT);
        for name in components(path) {
            let Slot::Node(dir) = slot else {
                return None;
            };
            slot = self.slot(self.find(dir, name)?);
        }
        Some(slot)
    }
}

/// The hash of a name in a directory.
fn hash(hasher: &RandomState, dir: u32, name: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write_u32(dir);
    hasher.write(name);
    hasher.finish()
}

/// Where an entry goes.
enum Target {
    Root,
    /// The record of its name.
    Record(u32),
    /// Nowhere: it is a whiteout, which was applied, or lies below one.
    Nothing,
}

fn root_is_not_a_dir() -> Error {
    Error::new(Errno::Invalid, "the root of the archive is not a directory")
}
