//! The state that a power loss leaves on a filesystem that does not keep directory operations in order, such as
//! btrfs after a sync: all synced operations, and any subset of the others.
//!
//! ```text
//!   operations   1  2  3  4  5  6  7      each is the difference between two moments
//!                ●     ●        ○         ● synced, ○ drawn; the rest is lost
//! ```
//! An operation is kept only with those that it depends on: earlier ones on the same inode, those that created
//! the directory that it changes, and the last one at the same name.

use crate::disk::{Inode, Names, What};
use crate::journal::{Moment, Synced};
use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wasi_overlay_core::Kind;

/// A name in a directory.
type Slot = (u64, Vec<u8>);

/// A change of a slot: the inode before and after.
type Change = (Slot, Option<u64>, Option<u64>);

/// One directory operation, or a change of attributes.
struct Operation {
    slots: Vec<Change>,
    /// Inodes whose attributes changed, new ones included.
    attributes: Vec<u64>,
}

impl Operation {
    /// The operation between two moments.
    fn between(before: &Names, after: &Names) -> Self {
        let (mut slots, mut attributes) = (Vec::new(), Vec::new());
        for (&number, inode) in &after.inodes {
            let old = before.inodes.get(&number);
            if old.is_some_and(|old| Arc::ptr_eq(old, inode)) {
                continue;
            }
            if old.is_none_or(|old| is_altered(old, inode)) {
                attributes.push(number);
            }
            let none = BTreeMap::new();
            let was = old.and_then(|old| old.entries().ok()).unwrap_or(&none);
            let is = inode.entries().unwrap_or(&none);
            let names: BTreeSet<_> = was.keys().chain(is.keys()).collect();
            for name in names {
                let (was, is) = (was.get(name).copied(), is.get(name).copied());
                if was != is {
                    slots.push(((number, name.clone()), was, is));
                }
            }
        }
        Self { slots, attributes }
    }

    /// The inodes that it creates, moves, removes or changes.
    fn inodes(&self) -> BTreeSet<u64> {
        let in_slots = self.slots.iter().flat_map(|(_, was, is)| [*was, *is]);
        in_slots.flatten().chain(self.attributes.clone()).collect()
    }
}

/// Whether anything else changed than the names and times of a directory.
fn is_altered(old: &Inode, new: &Inode) -> bool {
    let is_dir = new.kind() == Kind::Dir;
    old.mode != new.mode || old.xattrs != new.xattrs || !is_dir
}

/// The operations up to a moment, and their dependencies.
struct Log {
    operations: Vec<Operation>,
    /// The earlier operations that each operation depends on.
    depends_on: Vec<BTreeSet<usize>>,
    /// The operations on each inode, in order.
    on_inode: BTreeMap<u64, Vec<usize>>,
    /// The operations in each directory, in order.
    in_dir: BTreeMap<u64, Vec<usize>>,
}

impl Log {
    fn of(moments: &[Moment]) -> Self {
        let mut log = Self {
            operations: Vec::new(),
            depends_on: Vec::new(),
            on_inode: BTreeMap::new(),
            in_dir: BTreeMap::new(),
        };
        let mut at_slot: BTreeMap<Slot, usize> = BTreeMap::new();
        for pair in moments.windows(2) {
            let index = log.operations.len();
            let operation = Operation::between(&pair[0].names, &pair[1].names);
            let mut below = BTreeSet::new();
            let inodes = operation.inodes();
            for inode in &inodes {
                below.extend(log.on_inode.get(inode).into_iter().flatten());
            }
            for (slot, was, _) in &operation.slots {
                below.extend(at_slot.get(slot));
                below.extend(log.on_inode.get(&slot.0).into_iter().flatten());
                // A directory is removed after its entries.
                let goes = was.filter(|was| pair[1].names.inode(*was).is_ok_and(Inode::is_removed));
                let inside = goes.and_then(|gone| log.in_dir.get(&gone));
                below.extend(inside.into_iter().flatten());
            }
            for (slot, ..) in &operation.slots {
                at_slot.insert(slot.clone(), index);
                let in_dir = log.in_dir.entry(slot.0).or_default();
                in_dir.push(index);
            }
            for inode in inodes {
                log.on_inode.entry(inode).or_default().push(index);
            }
            log.operations.push(operation);
            log.depends_on.push(below);
        }
        log
    }

    /// The operations that a sync after `moment` brought to disk.
    fn synced(&self, moment: usize, what: Synced) -> Vec<usize> {
        let all: Vec<usize> = (0..moment).collect();
        let none = Vec::new();
        let of = match what {
            Synced::All => &all,
            Synced::File(inode) => self.on_inode.get(&inode).unwrap_or(&none),
            Synced::Dir(inode) => self.in_dir.get(&inode).unwrap_or(&none),
        };
        of.iter().copied().filter(|index| *index < moment).collect()
    }

    /// Adds the dependencies of the kept operations.
    fn close(&self, kept: &mut BTreeSet<usize>) {
        for index in (0..self.operations.len()).rev() {
            if kept.contains(&index) {
                kept.extend(&self.depends_on[index]);
            }
        }
    }
}

/// Names that a power loss after the last of `moments` may leave.
pub(crate) fn names_left(
    moments: &[Moment],
    syncs: &[(usize, Synced)],
    random: &mut Random,
) -> Names {
    let log = Log::of(moments);
    let last = moments.len() - 1;
    let made = syncs.iter().filter(|(moment, _)| *moment <= last);
    let mut kept: BTreeSet<usize> = made
        .flat_map(|&(moment, what)| log.synced(moment, what))
        .collect();
    let of_ten = [0, 1, 5, 9][random.below(4)];
    kept.extend((0..log.operations.len()).filter(|_| random.below(10) < of_ten));
    log.close(&mut kept);
    let mut names = moments[0].names.clone();
    for index in kept {
        replay(
            &mut names,
            &log.operations[index],
            &moments[index + 1].names,
        );
    }
    names.count_links();
    names
}

fn replay(names: &mut Names, operation: &Operation, after: &Names) {
    for number in operation.inodes() {
        let inode = &after.inodes[&number];
        let entries = match names.inodes.get(&number).map(|inode| &inode.what) {
            Some(What::Dir(entries)) => entries.clone(),
            _ => BTreeMap::new(),
        };
        let mut inode = Inode::clone(inode);
        if let What::Dir(inside) = &mut inode.what {
            *inside = entries;
        }
        names.inodes.insert(number, Arc::new(inode));
    }
    for ((dir, name), was, is) in &operation.slots {
        let Some(What::Dir(entries)) = names
            .inodes
            .get_mut(dir)
            .map(|inode| &mut Arc::make_mut(inode).what)
        else {
            continue;
        };
        match is {
            Some(number) => drop(entries.insert(name.clone(), *number)),
            None if entries.get(name) == was.as_ref() => drop(entries.remove(name)),
            None => {}
        }
    }
}
