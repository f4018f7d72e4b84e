//! Merged listings of directories.

use super::Shared;
use super::children::Child;
use super::dir::OverlayDir;
use super::node::Node;
use crate::at_once;
use crate::error::{Errno, Result};
use crate::layer::Listed;
use crate::listing::{InodeNumbers, Listing, NO_INODE};
use crate::name::Name;
use crate::stack::{Hidden, Merge, UPPER};
use std::ops::ControlFlow;
use std::sync::Arc;

impl OverlayDir {
    pub(crate) fn list(&self) -> Result<Arc<Listing>> {
        self.shared.list(&self.node)
    }
}

impl Shared {
    /// The current names in a directory, in the order of their bytes.
    ///
    /// # Errors
    /// `no-entry` if the directory was removed; `insufficient-memory` if guests hold too many listings; any
    /// error returned by a layer.
    pub(super) fn list(&self, node: &Arc<Node>) -> Result<Arc<Listing>> {
        match self.list_once(node) {
            // Evicting cached listings may free enough bytes. Those that guests hold stay.
            Err(error) if error.errno() == Errno::InsufficientMemory => {
                self.listings.clear();
                self.list_once(node)
            }
            listed => listed,
        }
    }

    fn list_once(&self, node: &Arc<Node>) -> Result<Arc<Listing>> {
        node.check_not_removed()?;
        let dir = node.dir()?;
        // The directory lock, shared: no name changes until the listing is stored.
        let names = at_once::read(&dir.names)?;
        if let Some(listing) = dir.listing.get() {
            return Ok(listing);
        }
        let merge = Merge::charged(self.listing_bytes.charge());
        let listing = Arc::new(self.list_locked(node, merge)?);
        let listing = self.listings.put(dir.listing.slot(), listing, 1);
        drop(names);
        Ok(listing)
    }

    /// As [`list`](Self::list), for a rename that copies what it lists. Listings that guests hold must not
    /// make it fail, so its bytes are not counted; the listing is dropped with the call.
    pub(super) fn list_for_change(&self, node: &Arc<Node>) -> Result<Arc<Listing>> {
        node.check_not_removed()?;
        let dir = node.dir()?;
        let _names = dir.names.read();
        match dir.listing.get() {
            Some(listing) => Ok(listing),
            None => Ok(Arc::new(self.list_locked(node, Merge::new(usize::MAX))?)),
        }
    }

    /// Adds all names to `merge`, which is empty, and makes a listing of them.
    ///
    /// Preconditions: the directory lock of `node` is held.
    fn list_locked(&self, node: &Arc<Node>, mut merge: Merge) -> Result<Listing> {
        if let Some(part) = node.upper.get() {
            let (device, _) = part.number();
            let inode_of = |inode| match inode {
                NO_INODE => NO_INODE,
                inode => self.identity_of_upper(device, inode).lower,
            };
            if self.fill_table_locked(node)? {
                let children = node.dir()?.children.read();
                for (name, child) in &children.map {
                    let (kind, inode) = match child {
                        Child::Node(child) => (Some(child.kind), child.identity(self).lower),
                        Child::Listed { kind, inode } => (Some(*kind), inode_of(*inode)),
                        Child::Whiteout => (None, 0),
                        Child::NotInUpper(_) => continue,
                    };
                    let listed = match kind {
                        Some(kind) => Listed::Here { kind, inode },
                        None => Listed::Hidden,
                    };
                    if !merge.add(UPPER, name.as_name(), listed) {
                        break;
                    }
                }
            } else {
                let handle = node.handle(self)?;
                self.upper_to_read()?
                    .list(&handle, &mut |name, mut listed| {
                        if let Listed::Here { inode, .. } = &mut listed {
                            *inode = inode_of(*inode);
                        }
                        if merge.add(UPPER, name, listed) {
                            ControlFlow::Continue(())
                        } else {
                            ControlFlow::Break(())
                        }
                    })?;
            }
        }
        let below = node.below();
        if let Some(below) = below {
            if node.upper.get().is_none()
                && let Some(listing) = Listing::lower(below, &self.stack, &self.key)?
            {
                return Ok(listing);
            }
            below.list(&self.stack, &mut merge)?;
        }
        let charge = merge.take_charge()?;
        let (names, mut entries) = merge.finish(|_, _| {});
        if let Some(below) = below {
            let mut inodes = InodeNumbers::of(below, &self.stack, &self.key);
            for entry in entries.iter_mut().filter(|entry| entry.layer != UPPER) {
                entry.inode = inodes.number(entry.layer, entry.inode)?;
            }
        }
        Ok(Listing::new(names, entries, charge))
    }

    /// Whether a directory shows no names.
    ///
    /// # Errors
    /// `no-entry` if the directory was removed; any error returned by a layer.
    pub(super) fn is_empty(&self, node: &Arc<Node>) -> Result<bool> {
        node.check_not_removed()?;
        let dir = node.dir()?;
        let _names = dir.names.read();
        self.is_empty_locked(node)
    }

    /// Whether a directory shows no names. Stops at the first name: a guest decides how many there are.
    ///
    /// Preconditions: the directory lock of `node` is held.
    pub(super) fn is_empty_locked(&self, node: &Arc<Node>) -> Result<bool> {
        let dir = node.dir()?;
        if let Some(listing) = dir.listing.get() {
            return Ok(listing.is_empty());
        }
        let below = node.below();
        // The names that the upper hides in the lower layers.
        let mut hidden = Hidden::default();
        let mut is_empty = true;
        let mut see = |name: Name<'_>, is_here: bool| {
            if is_here {
                is_empty = false;
                return ControlFlow::Break(());
            }
            if below.is_some() {
                hidden.insert(name.to_owned(), ());
            }
            ControlFlow::Continue(())
        };
        if node.upper.get().is_none() {
            // Nothing is hidden.
        } else if self.fill_table_locked(node)? {
            for (name, child) in &dir.children.read().map {
                let is_here = match child {
                    Child::Node(_) | Child::Listed { .. } => true,
                    Child::Whiteout => false,
                    Child::NotInUpper(_) => continue,
                };
                if see(name.as_name(), is_here).is_break() {
                    break;
                }
            }
        } else {
            let handle = node.handle(self)?;
            self.upper_to_read()?.list(&handle, &mut |name, listed| {
                if name.is_reserved() {
                    ControlFlow::Continue(())
                } else {
                    see(name, matches!(listed, Listed::Here { .. }))
                }
            })?;
        }
        match below {
            Some(below) if is_empty => below.is_empty_without(&self.stack, hidden),
            _ => Ok(is_empty),
        }
    }
}
