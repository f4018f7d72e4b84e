//! [`Entries`]: the names in a directory, with their nodes and whiteouts.

use super::node::Node;
use super::quota::Charge;
use crate::error::{Errno, Result};
use crate::name::{Name, NameBuf};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The maximum length of a name in bytes, as on every usual filesystem of Linux.
pub(super) const MAX_NAME: usize = 255;

/// The names in a directory. Guarded by `Body::Dir::entries`.
#[derive(Debug, Default)]
pub(super) struct Entries {
    slots: BTreeMap<NameBuf, Slot>,
    /// The number of slots that are entries.
    entry_count: usize,
    pub(super) opaque: bool,
    removed: bool,
}

/// What a directory holds at a name.
#[derive(Debug)]
pub(super) enum Slot {
    /// A whiteout, which is charged as an inode.
    Whiteout(#[expect(dead_code, reason = "held for its drop")] Charge),
    Entry(Arc<Node>),
}

/// Checks the length of a name.
pub(super) fn check_length(name: Name<'_>) -> Result<()> {
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

    /// Marks a directory without entries as removed.
    pub(super) fn remove(&mut self) -> Result<()> {
        if self.entry_count > 0 {
            return Err(Errno::NotEmpty.into());
        }
        self.removed = true;
        self.slots.clear();
        Ok(())
    }

    /// Empties the directory and returns its entries.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<Node>> + use<> {
        self.entry_count = 0;
        std::mem::take(&mut self.slots)
            .into_values()
            .filter_map(|slot| match slot {
                Slot::Entry(node) => Some(node),
                Slot::Whiteout(_) => None,
            })
    }

    /// Fails if the directory was removed.
    pub(super) fn check_not_removed(&self) -> Result<()> {
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
        self.entry_count += usize::from(matches!(slot, Slot::Entry(_)));
        let old = match self.slots.get_mut(name.as_bytes()) {
            Some(place) => Some(std::mem::replace(place, slot)),
            None => self.slots.insert(name.to_owned(), slot),
        };
        self.entry_count -= usize::from(matches!(old, Some(Slot::Entry(_))));
    }

    pub(super) fn clear(&mut self, name: Name<'_>) {
        let old = self.slots.remove(name.as_bytes());
        self.entry_count -= usize::from(matches!(old, Some(Slot::Entry(_))));
    }

    /// The slots with names after `name`, in byte order.
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
