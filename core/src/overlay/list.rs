//! The merged listing of a directory.

use super::Shared;
use super::lookup::is_reserved;
use super::node::{Child, Node};
use crate::descriptor::Listing;
use crate::error::Result;
use crate::layer::Listed;
use crate::meta::{Identity, Kind};
use crate::name::NameBuf;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The number that a guest is shown: of what has none, 0, which WASI's C library takes for *ask*.
fn shown(inode: u64, identity: impl FnOnce() -> Identity) -> u64 {
    match inode {
        0 => 0,
        _ => identity().lower,
    }
}

impl Shared {
    /// The names in a directory as they are now, in the order of their bytes.
    ///
    /// # Errors
    /// `no-entry` if the directory was removed; those of the layers.
    pub(super) fn list(&self, node: &Arc<Node>) -> Result<Arc<Listing>> {
        node.must_live()?;
        let dir = node.dir()?;
        // The directory lock, shared: no name changes until the listing is stored.
        let names = dir.names.read();
        let kept = dir.listing.lock().clone();
        if let Some(listing) = kept {
            return Ok(listing);
        }
        let listing = Arc::new(self.list_locked(node)?);
        *dir.listing.lock() = Some(Arc::clone(&listing));
        drop(names);
        self.bound_listings(node);
        Ok(listing)
    }

    /// Preconditions: the directory lock of `node` is held.
    fn list_locked(&self, node: &Arc<Node>) -> Result<Listing> {
        // In the order of the names; none for what the upper hides.
        let mut entries: BTreeMap<NameBuf, Option<(Kind, u64)>> = BTreeMap::new();
        if let Some(part) = node.upper.get() {
            let inode_of = |inode| shown(inode, || self.identity_of_upper(part.device, inode));
            if self.complete_locked(node)? {
                let children = node.dir()?.children.read();
                for (name, child) in &children.map {
                    let entry = match child {
                        Child::Node(child) => Some((child.kind, child.identity().lower)),
                        Child::Seen { kind, inode } => Some((*kind, inode_of(*inode))),
                        Child::Hidden => None,
                        Child::Lower(_) => continue,
                    };
                    entries.insert(name.clone(), entry);
                }
            } else {
                let handle = node.handle(self)?;
                self.upper()?.list(&handle, &mut |name, listed| {
                    match listed {
                        Listed::Here { kind, inode } => {
                            entries.insert(name.to_owned(), Some((kind, inode_of(inode))));
                        }
                        // A cut may have left a mark beside an entry: the entry counts.
                        Listed::Hidden => {
                            entries.entry(name.to_owned()).or_insert(None);
                        }
                    }
                    ControlFlow::Continue(())
                })?;
            }
        }
        if let Some(below) = &*node.below.load() {
            below.list(&self.stack, &mut |name, origin| {
                if !entries.contains_key(name.as_bytes()) && !is_reserved(name) {
                    let layer = u32::from(origin.layer);
                    let identity = || self.key.of(layer, origin.device, origin.inode);
                    let inode = shown(origin.inode, identity);
                    entries.insert(name.to_owned(), Some((origin.kind, inode)));
                }
            })?;
        }
        let mut listing = Listing::default();
        for (name, entry) in &entries {
            if let Some((kind, inode)) = entry {
                listing.push(name.as_name(), *kind, *inode);
            }
        }
        Ok(listing)
    }

    /// Whether a directory shows no names.
    ///
    /// Preconditions: the directory lock of `node` is held.
    pub(super) fn is_empty_locked(&self, node: &Arc<Node>) -> Result<bool> {
        Ok(self.list_locked(node)?.is_empty())
    }

    /// Keeps the number of kept listings within its bound: the oldest goes.
    fn bound_listings(&self, node: &Arc<Node>) {
        let mut listings = self.listings.lock();
        listings.push_back(Arc::downgrade(node));
        let oldest = match listings.len() > self.limits.kept_listings {
            true => listings.pop_front(),
            false => None,
        };
        drop(listings);
        // If the directory listed anew meanwhile it loses a listing that it may want: no harm.
        if let Some(dir) = oldest.and_then(|oldest| oldest.upgrade())
            && !Arc::ptr_eq(&dir, node)
            && let Some(dir) = &dir.dir
        {
            *dir.listing.lock() = None;
        }
    }
}
