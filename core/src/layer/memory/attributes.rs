//! The attributes of a node: times, permission bits, owner, link count, extended attributes.

use super::entries::MAX_NAME;
use super::node::Node;
use super::quota::Charge;
use crate::error::{Errno, Result};
use crate::meta::{CAPABILITY, SetTime, SetTimes, Timestamp};
use std::collections::BTreeMap;

/// Bytes charged for an extended attribute besides its name and value: about the overhead of storing it.
const XATTR_COST: u64 = 64;

/// The maximum size in bytes of an extended attribute's value, as in Linux (`XATTR_SIZE_MAX`).
const MAX_XATTR: usize = 65_536;

/// The attributes of a node. Guarded by `Node::attrs`.
#[derive(Debug)]
pub(super) struct Attrs {
    pub(super) accessed: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) mode: u32,
    pub(super) owner: Option<(u32, u32)>,
    /// The number of names of this node.
    pub(super) links: u64,
    /// A charge for each name except the first: a name takes memory too.
    pub(super) more_links: Vec<Charge>,
    xattrs: BTreeMap<Box<[u8]>, Vec<u8>>,
    /// Bytes charged to the quota for `xattrs`.
    pub(super) xattr_bytes: u64,
}

impl Attrs {
    pub(super) fn new(mode: u32) -> Self {
        let now = Timestamp::now();
        Self {
            accessed: now,
            modified: now,
            changed: now,
            mode,
            owner: None,
            links: 0,
            more_links: Vec::new(),
            xattrs: BTreeMap::new(),
            xattr_bytes: 0,
        }
    }

    fn touch(&mut self) {
        let now = Timestamp::now();
        self.modified = now;
        self.changed = now;
    }
}

impl Node {
    /// Increments the link count. `another` is the charge for a name besides the first.
    ///
    /// # Errors
    /// `no-entry` if the last name was removed meanwhile: a deleted file stays deleted.
    pub(super) fn link_added(&self, another: Option<Charge>) -> Result<()> {
        let mut attrs = self.attrs.lock();
        if let Some(charge) = another {
            if attrs.links == 0 {
                return Err(Errno::NoEntry.into());
            }
            attrs.more_links.push(charge);
            attrs.changed = Timestamp::now();
        }
        attrs.links += 1;
        Ok(())
    }

    /// Decrements the link count.
    pub(super) fn link_removed(&self) {
        let mut attrs = self.attrs.lock();
        attrs.links = attrs.links.saturating_sub(1);
        attrs.more_links.pop();
        attrs.changed = Timestamp::now();
    }

    /// Updates the times after a change of the node's name.
    pub(super) fn name_changed(&self) {
        self.attrs.lock().changed = Timestamp::now();
    }

    /// Updates the times after a change of the names in the directory.
    pub(super) fn touch(&self) {
        self.attrs.lock().touch();
    }

    /// Updates the times after a change of the data. As in Linux, it also removes capabilities, which were
    /// granted to the old program.
    pub(super) fn data_changed(&self) {
        let mut attrs = self.attrs.lock();
        attrs.touch();
        if !attrs.xattrs.is_empty() {
            self.take_xattr(&mut attrs, CAPABILITY);
        }
    }

    pub(super) fn set_times(&self, times: SetTimes) {
        if times.is_noop() {
            return;
        }
        let now = Timestamp::now();
        let mut attrs = self.attrs.lock();
        attrs.accessed = applied_time(times.accessed, attrs.accessed, now);
        attrs.modified = applied_time(times.modified, attrs.modified, now);
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
        self.quota.charge_bytes(cost)?;
        attrs.xattr_bytes += cost;
        if let Some(old) = attrs.xattrs.insert(attribute.into(), value.to_vec()) {
            let freed = xattr_cost(attribute, &old);
            attrs.xattr_bytes -= freed;
            self.quota.return_bytes(freed);
        }
        attrs.changed = Timestamp::now();
        Ok(())
    }

    pub(super) fn remove_xattr(&self, attribute: &[u8]) -> Result<()> {
        let mut attrs = self.attrs.lock();
        if !self.take_xattr(&mut attrs, attribute) {
            return Err(Errno::NoEntry.into());
        }
        attrs.changed = Timestamp::now();
        Ok(())
    }

    /// Removes an attribute. Returns whether it existed.
    fn take_xattr(&self, attrs: &mut Attrs, attribute: &[u8]) -> bool {
        let Some(old) = attrs.xattrs.remove(attribute) else {
            return false;
        };
        let freed = xattr_cost(attribute, &old);
        attrs.xattr_bytes -= freed;
        self.quota.return_bytes(freed);
        true
    }
}

fn applied_time(set: SetTime, old: Timestamp, now: Timestamp) -> Timestamp {
    match set {
        SetTime::Keep => old,
        SetTime::Now => now,
        SetTime::To(to) => to,
    }
}

fn xattr_cost(attribute: &[u8], value: &[u8]) -> u64 {
    XATTR_COST + attribute.len() as u64 + value.len() as u64
}
