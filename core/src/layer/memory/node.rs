//! The objects of a memory layer.

use super::data::Data;
use super::quota::{Charge, Quota};
use crate::error::{Errno, Result};
use crate::meta::{Kind, Meta, SetTime, SetTimes, Timestamp};
use crate::name::{Name, NameBuf};
use crate::sync::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard, Weak};

/// Bytes of a name, as on every usual filesystem of Linux.
const MAX_NAME: usize = 255;

/// What an extended attribute costs beside its name and value: about what keeping it takes.
const XATTR_COST: u64 = 64;

/// Most bytes of an extended attribute's value, as in Linux (`XATTR_SIZE_MAX`).
const MAX_XATTR: usize = 65_536;

/// A file, directory, symbolic link or special file; its names lie in directories.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) inode: u64,
    pub(super) device: u64,
    pub(super) quota: Arc<Quota>,
    pub(super) body: Body,
    /// Itself the guard.
    pub(super) attrs: Mutex<Attrs>,
    _charge: Charge,
}

#[derive(Debug)]
pub(super) enum Body {
    Dir {
        /// Itself the guard.
        entries: RwLock<Entries>,
        /// Where the directory lies; itself the guard. It changes under the layer's tree lock.
        parent: Mutex<Weak<Node>>,
    },
    /// Itself the guard.
    File(RwLock<Data>),
    Symlink(Box<[u8]>),
    Special {
        kind: Kind,
        rdev: u64,
    },
}

/// What may be known and set of every node. Guarded by `Node::attrs`.
#[derive(Debug)]
pub(super) struct Attrs {
    pub(super) accessed: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) mode: u32,
    pub(super) owner: Option<(u32, u32)>,
    /// Names of this node, with a charge for each but the first: a name costs memory too.
    pub(super) links: u64,
    pub(super) more_links: Vec<Charge>,
    xattrs: BTreeMap<Box<[u8]>, Vec<u8>>,
    /// Bytes that `xattrs` took from the quota.
    xattr_bytes: u64,
}

/// The names in a directory. Guarded by `Body::Dir::entries`.
#[derive(Debug, Default)]
pub(super) struct Entries {
    slots: BTreeMap<NameBuf, Slot>,
    /// How many slots are entries.
    shown: usize,
    pub(super) opaque: bool,
    removed: bool,
}

/// What a name stands for.
#[derive(Debug)]
pub(super) enum Slot {
    /// A whiteout, which costs an inode.
    Mark(#[expect(dead_code, reason = "held for its drop")] Charge),
    Entry(Arc<Node>),
}

impl Node {
    pub(super) fn new(
        inode: u64,
        device: u64,
        quota: &Arc<Quota>,
        charge: Charge,
        body: Body,
    ) -> Self {
        let now = Timestamp::now();
        let mode = match body {
            Body::Dir { .. } => 0o755,
            Body::File(_) | Body::Special { .. } => 0o644,
            Body::Symlink(_) => 0o777,
        };
        Self {
            inode,
            device,
            quota: Arc::clone(quota),
            body,
            attrs: Mutex::new(Attrs {
                accessed: now,
                modified: now,
                changed: now,
                mode,
                owner: None,
                links: 0,
                more_links: Vec::new(),
                xattrs: BTreeMap::new(),
                xattr_bytes: 0,
            }),
            _charge: charge,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.body {
            Body::Dir { .. } => Kind::Dir,
            Body::File(_) => Kind::File,
            Body::Symlink(_) => Kind::Symlink,
            Body::Special { kind, .. } => kind,
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        matches!(self.body, Body::Dir { .. })
    }

    pub(super) fn meta(&self) -> Meta {
        let (size, allocated, rdev) = match &self.body {
            Body::File(data) => {
                let data = data.read();
                (data.size(), data.allocated(), 0)
            }
            Body::Symlink(target) => (target.len() as u64, 0, 0),
            Body::Dir { .. } => (0, 0, 0),
            Body::Special { rdev, .. } => (0, 0, *rdev),
        };
        let attrs = self.attrs.lock();
        Meta {
            kind: self.kind(),
            size,
            allocated: Some(allocated),
            links: attrs.links,
            accessed: attrs.accessed,
            modified: attrs.modified,
            changed: attrs.changed,
            device: self.device,
            inode: self.inode,
            mode: Some(attrs.mode),
            owner: attrs.owner,
            rdev,
        }
    }

    pub(super) fn file(&self) -> Result<&RwLock<Data>> {
        match &self.body {
            Body::File(data) => Ok(data),
            Body::Dir { .. } => Err(Errno::IsDirectory.into()),
            Body::Symlink(_) => Err(Errno::Loop.into()),
            Body::Special { .. } => Err(Errno::Unsupported.into()),
        }
    }

    pub(super) fn entries(&self) -> Result<&RwLock<Entries>> {
        match &self.body {
            Body::Dir { entries, .. } => Ok(entries),
            _ => Err(Errno::NotDirectory.into()),
        }
    }

    /// The names, of a directory that is still there.
    pub(super) fn live(&self) -> Result<RwLockReadGuard<'_, Entries>> {
        let entries = self.entries()?.read();
        entries.check_live()?;
        Ok(entries)
    }

    /// As [`live`](Self::live), to change them.
    pub(super) fn live_mut(&self) -> Result<RwLockWriteGuard<'_, Entries>> {
        let entries = self.entries()?.write();
        entries.check_live()?;
        Ok(entries)
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.entries().is_ok_and(|entries| entries.read().opaque)
    }

    /// What stands at `name`, if it is an entry.
    pub(super) fn child(&self, name: Name<'_>) -> Result<Arc<Node>> {
        check(name)?;
        match self.live()?.get(name) {
            Some(Slot::Entry(node)) => Ok(Arc::clone(node)),
            Some(Slot::Mark(_)) | None => Err(Errno::NoEntry.into()),
        }
    }

    /// Says that the directory now lies in `parent`.
    pub(super) fn adopt(&self, into: &Arc<Node>) {
        if let Body::Dir { parent, .. } = &self.body {
            *parent.lock() = Arc::downgrade(into);
        }
    }

    /// The directory that this one lies in; none for the root and for what was never published.
    ///
    /// Preconditions: the tree lock is held, or the answer may be out of date.
    pub(super) fn parent(&self) -> Option<Arc<Node>> {
        match &self.body {
            Body::Dir { parent, .. } => parent.lock().upgrade(),
            _ => None,
        }
    }

    /// Removes a directory that shows nothing.
    ///
    /// Preconditions: the tree lock is held, since the parent is locked as well.
    pub(super) fn remove_dir_locked(&self) -> Result<()> {
        let mut entries = self.live_mut()?;
        if entries.shown > 0 {
            return Err(Errno::NotEmpty.into());
        }
        entries.removed = true;
        entries.slots.clear();
        Ok(())
    }

    /// Counts a name less.
    pub(super) fn unlinked(&self) {
        let mut attrs = self.attrs.lock();
        attrs.links = attrs.links.saturating_sub(1);
        attrs.more_links.pop();
        attrs.changed = Timestamp::now();
    }

    /// Notes that a name of the node changed now.
    pub(super) fn renamed(&self) {
        self.attrs.lock().changed = Timestamp::now();
    }

    /// Notes that the data, or the names in the directory, changed now.
    pub(super) fn touch(&self) {
        let now = Timestamp::now();
        let mut attrs = self.attrs.lock();
        attrs.modified = now;
        attrs.changed = now;
    }

    pub(super) fn set_times(&self, times: SetTimes) {
        if times.is_noop() {
            return;
        }
        let now = Timestamp::now();
        let mut attrs = self.attrs.lock();
        attrs.accessed = applied(times.accessed, attrs.accessed, now);
        attrs.modified = applied(times.modified, attrs.modified, now);
        attrs.changed = now;
    }

    pub(super) fn set_mode(&self, mode: u32) {
        let mut attrs = self.attrs.lock();
        attrs.mode = mode & 0o7777;
        attrs.changed = Timestamp::now();
    }

    pub(super) fn xattrs(&self) -> Vec<Box<[u8]>> {
        self.attrs.lock().xattrs.keys().cloned().collect()
    }

    pub(super) fn xattr(&self, attribute: &[u8]) -> Option<Vec<u8>> {
        self.attrs.lock().xattrs.get(attribute).cloned()
    }

    pub(super) fn set_xattr(&self, attribute: &[u8], value: &[u8]) -> Result<()> {
        if attribute.is_empty() {
            return Err(Errno::Invalid.into());
        }
        if attribute.len() > MAX_NAME {
            return Err(Errno::NameTooLong.into());
        }
        if value.len() > MAX_XATTR {
            return Err(Errno::Overflow.into());
        }
        let cost = xattr_cost(attribute, value);
        let mut attrs = self.attrs.lock();
        self.quota.take_bytes(cost)?;
        attrs.xattr_bytes += cost;
        if let Some(old) = attrs.xattrs.insert(attribute.into(), value.to_vec()) {
            let freed = xattr_cost(attribute, &old);
            attrs.xattr_bytes -= freed;
            self.quota.give_bytes(freed);
        }
        attrs.changed = Timestamp::now();
        Ok(())
    }

    pub(super) fn remove_xattr(&self, attribute: &[u8]) -> Result<()> {
        let mut attrs = self.attrs.lock();
        let Some(old) = attrs.xattrs.remove(attribute) else {
            return Err(Errno::NoEntry.into());
        };
        let freed = xattr_cost(attribute, &old);
        attrs.xattr_bytes -= freed;
        self.quota.give_bytes(freed);
        attrs.changed = Timestamp::now();
        Ok(())
    }
}

fn applied(set: SetTime, old: Timestamp, now: Timestamp) -> Timestamp {
    match set {
        SetTime::Keep => old,
        SetTime::Now => now,
        SetTime::To(to) => to,
    }
}

fn xattr_cost(attribute: &[u8], value: &[u8]) -> u64 {
    XATTR_COST + attribute.len() as u64 + value.len() as u64
}

/// A tree is dropped by a worklist: its depth is chosen by a guest, the stack is not.
impl Drop for Node {
    fn drop(&mut self) {
        self.quota.give_bytes(self.attrs.get_mut().xattr_bytes);
        if let Body::Symlink(target) = &self.body {
            self.quota.give_bytes(target.len() as u64);
        }
        let mut rest = Vec::new();
        self.take_children(&mut rest);
        while let Some(child) = rest.pop() {
            if let Some(mut node) = Arc::into_inner(child) {
                node.take_children(&mut rest);
            }
        }
    }
}

impl Node {
    fn take_children(&mut self, into: &mut Vec<Arc<Node>>) {
        if let Body::Dir { entries, .. } = &mut self.body {
            let slots = std::mem::take(&mut entries.get_mut().slots);
            into.extend(slots.into_values().filter_map(|slot| match slot {
                Slot::Entry(node) => Some(node),
                Slot::Mark(_) => None,
            }));
        }
    }
}

/// Whether a name can be held at all.
pub(super) fn check(name: Name<'_>) -> Result<()> {
    if name.as_bytes().len() > MAX_NAME {
        return Err(Errno::NameTooLong.into());
    }
    Ok(())
}

impl Entries {
    pub(super) fn new(opaque: bool) -> Self {
        Self {
            opaque,
            ..Self::default()
        }
    }

    fn check_live(&self) -> Result<()> {
        if self.removed {
            return Err(Errno::NoEntry.into());
        }
        Ok(())
    }

    pub(super) fn get(&self, name: Name<'_>) -> Option<&Slot> {
        self.slots.get(name.as_bytes())
    }

    pub(super) fn holds(&self, name: Name<'_>, node: &Arc<Node>) -> bool {
        matches!(self.get(name), Some(Slot::Entry(here)) if Arc::ptr_eq(here, node))
    }

    pub(super) fn set(&mut self, name: Name<'_>, slot: Slot) {
        self.shown += usize::from(matches!(slot, Slot::Entry(_)));
        let old = match self.slots.get_mut(name.as_bytes()) {
            Some(place) => Some(std::mem::replace(place, slot)),
            None => self.slots.insert(name.to_owned(), slot),
        };
        self.shown -= usize::from(matches!(old, Some(Slot::Entry(_))));
    }

    pub(super) fn clear(&mut self, name: Name<'_>) {
        let old = self.slots.remove(name.as_bytes());
        self.shown -= usize::from(matches!(old, Some(Slot::Entry(_))));
    }

    /// The slots whose names come after `name`, in order of their bytes.
    pub(super) fn after<'a>(
        &'a self,
        name: Option<&[u8]>,
    ) -> impl Iterator<Item = (Name<'a>, &'a Slot)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = name.map_or(Unbounded, Excluded);
        self.slots
            .range::<[u8], _>((from, Unbounded))
            .map(|(name, slot)| (name.as_name(), slot))
    }
}
