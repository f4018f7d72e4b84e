//! The registry of the places of all layers that this process uses. An upper has one user; a lower layer
//! may have any number of stacks.
//!
//! Lock order: `IN_USE` is a leaf. No call of a layer or of the system is made while it is held.

use super::{Place, Relation, Stored};
use crate::error::{Errno, Error, Result};
#[cfg(feature = "dir")]
use crate::plain::dir::location::LazyMounts;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Not `crate::sync::Mutex`: it outlives the runs of the schedule tests, each of which has its own
/// locks, and threads cannot switch while it is held.
static IN_USE: Mutex<BTreeMap<Key, Entry>> = Mutex::new(BTreeMap::new());

/// What a place is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A lower layer of a stack.
    Lower,
    /// The upper of an overlay.
    Upper,
}

/// The key of a place in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Unique(u64),
    /// A directory by device and inode number, and whether it crosses mounts.
    #[cfg(feature = "dir")]
    Dir(u64, u64, bool),
}

struct Entry {
    place: Place,
    /// The label of its first user.
    label: String,
    uppers: usize,
    lowers: usize,
}

/// A registered use of a place, until it is dropped.
#[derive(Debug)]
pub(crate) struct InUse {
    key: Key,
    role: Role,
}

/// Stands in for the table of mounts where there are no directories.
#[cfg(not(feature = "dir"))]
#[derive(Default)]
struct LazyMounts;

#[cfg(not(feature = "dir"))]
impl LazyMounts {
    fn is_missing(&self) -> bool {
        false
    }

    fn read(&self) -> Result<()> {
        Ok(())
    }
}

/// Registers a use of `place`. `label` names the layer in errors.
///
/// # Errors
/// `busy` if it shares storage with a layer in use and either of the two is an upper; `mfile` if
/// the process has no descriptor left for the comparison; those of the system.
pub(crate) fn register(place: &Place, role: Role, label: &str) -> Result<InUse> {
    let key = key(place);
    let mounts = LazyMounts::default();
    let mut in_use = loop {
        let in_use = lock_to_compare(place, role)?;
        let conflict = conflict(&in_use, place, key, role, &mounts);
        let refused = conflict.map(|(relation, other)| in_use_error(role, relation, other));
        if mounts.is_missing() {
            drop(in_use);
            mounts.read()?;
            continue;
        }
        match refused {
            Some(refused) => return Err(refused.in_layer(|| label.to_owned())),
            None => break in_use,
        }
    };
    let entry = in_use.entry(key).or_insert_with(|| Entry {
        place: place.clone(),
        label: label.to_owned(),
        uppers: 0,
        lowers: 0,
    });
    *entry.users(role) += 1;
    Ok(InUse { key, role })
}

impl Entry {
    fn users(&mut self, role: Role) -> &mut usize {
        match role {
            Role::Lower => &mut self.lowers,
            Role::Upper => &mut self.uppers,
        }
    }

    /// Whether its use forbids that a layer that shares its storage is used as `role`.
    fn excludes(&self, role: Role) -> bool {
        role == Role::Upper || self.uppers > 0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut in_use = lock();
        let Some(entry) = in_use.get_mut(&self.key) else {
            return;
        };
        let users = entry.users(self.role);
        *users = users.saturating_sub(1);
        let is_unused = entry.uppers == 0 && entry.lowers == 0;
        let removed = is_unused.then(|| in_use.remove(&self.key));
        drop(in_use);
        // Dropped after the lock: it may close the directory.
        drop(removed);
    }
}

/// Locks the map. Every critical section leaves it consistent, so a poisoned lock is ignored.
fn lock() -> MutexGuard<'static, BTreeMap<Key, Entry>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks the map once all places that `place` must be compared with are resolved, so that
/// no system call on a layer's directory is made under the lock.
fn lock_to_compare(place: &Place, role: Role) -> Result<MutexGuard<'static, BTreeMap<Key, Entry>>> {
    loop {
        let in_use = lock();
        let others = in_use.values().filter(|entry| entry.excludes(role));
        let mut unresolved: Vec<_> = others.map(|entry| entry.place.clone()).collect();
        if !unresolved.is_empty() {
            unresolved.push(place.clone());
        }
        unresolved.retain(|place| !place.is_resolved());
        if unresolved.is_empty() {
            return Ok(in_use);
        }
        drop(in_use);
        Place::resolve(&unresolved)?;
    }
}

fn key(place: &Place) -> Key {
    match &place.0 {
        Stored::Unique(number) => Key::Unique(*number),
        #[cfg(feature = "dir")]
        Stored::Dir(dir) => {
            let (device, inode) = dir.id();
            Key::Dir(device, inode, dir.crosses_mounts())
        }
    }
}

/// Finds a layer in use that shares storage with `place` and forbids its use as `role`.
fn conflict<'a>(
    in_use: &'a BTreeMap<Key, Entry>,
    place: &Place,
    key: Key,
    role: Role,
    #[cfg_attr(
        not(feature = "dir"),
        expect(
            unused_variables,
            reason = "only directories can be mounted inside others"
        )
    )]
    mounts: &LazyMounts,
) -> Option<(Relation, &'a Entry)> {
    match &place.0 {
        Stored::Unique(_) => {
            let entry = in_use.get(&key).filter(|entry| entry.excludes(role))?;
            Some((Relation::Same, entry))
        }
        #[cfg(feature = "dir")]
        Stored::Dir(dir) => {
            let dirs = in_use.range(Key::Dir(0, 0, false)..);
            dirs.filter(|(_, entry)| entry.excludes(role))
                .find_map(|(_, entry)| match &entry.place.0 {
                    Stored::Dir(other) => Some((dir.relation(other, mounts)?, entry)),
                    Stored::Unique(_) => None,
                })
        }
    }
}

fn in_use_error(role: Role, relation: Relation, other: &Entry) -> Error {
    let label = &other.label;
    let message = match role {
        Role::Upper if other.uppers > 0 => format!(
            "{relation} {label}, which is in use as the upper of another mount: end that mount, \
             or give this one an upper of its own"
        ),
        Role::Upper => format!(
            "{relation} {label}, which is in use as a lower layer and must never change: give the \
             upper a directory of its own, outside every layer"
        ),
        Role::Lower => format!(
            "{relation} {label}, which is in use as the upper of a mount, and a lower layer must \
             never change: end that mount first, or give a copy as the layer"
        ),
    };
    Error::new(Errno::Busy, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_free_once_its_last_user_is_dropped() {
        let place = Place::unique();
        let lower = register(&place, Role::Lower, "one").unwrap();
        let again = register(&place, Role::Lower, "two").unwrap();
        let upper = || register(&place.clone(), Role::Upper, "three");
        let error = upper().unwrap_err();
        assert_eq!(error.errno(), Errno::Busy);
        let message = error.to_string();
        assert!(
            message.starts_with("three: ") && message.contains(" one, "),
            "{message}"
        );
        drop(lower);
        assert!(upper().is_err());
        drop(again);
        let held = upper().unwrap();
        assert!(upper().is_err());
        assert!(register(&place, Role::Lower, "four").is_err());
        drop(held);
        let key = key(&place);
        assert!(!lock().contains_key(&key));
    }
}
