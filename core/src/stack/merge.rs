//! Merge of the names that several layers have in one directory.
//!
//! The bytes of all names are collected in one buffer, and sorted once at the end.

use crate::budget::Charge;
use crate::error::Result;
use crate::layer::Listed;
use crate::meta::Kind;
use crate::name::Name;
use std::collections::BinaryHeap;

/// The layer number of names that the upper has.
pub(crate) const UPPER: u16 = u16::MAX;

/// A merge under construction: layers are added from the top down.
pub(crate) struct Merge {
    /// All names, one after the other.
    names: Vec<u8>,
    records: Vec<Record>,
    /// The maximum number of names, whiteouts included.
    most: usize,
    /// The bytes of names and records, if they are counted.
    charge: Option<Charge>,
    /// Whether a name was left out because the budget has no bytes left.
    exceeds_budget: bool,
    /// Index of the first record of the layer that was added last.
    layer_start: usize,
    /// Whether the names were added in ascending order, like those of one table. Then there is nothing to
    /// sort, and no name occurs twice.
    is_sorted: bool,
}

/// The entry of a layer under a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Where the name begins in the buffer of names.
    pub(crate) start: usize,
    pub(crate) inode: u64,
    /// Bytes of the name.
    pub(crate) length: u32,
    pub(crate) layer: u16,
    /// None for a whiteout.
    pub(crate) kind: Option<Kind>,
}

impl Record {
    /// The name, in the buffer of all names.
    pub(crate) fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        &names[self.start..self.start + self.length as usize]
    }
}

impl Merge {
    /// A merge of at most `most` names, whiteouts included.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            names: Vec::new(),
            records: Vec::new(),
            most,
            charge: None,
            exceeds_budget: false,
            layer_start: 0,
            is_sorted: true,
        }
    }

    /// A merge of any number of names, whose bytes are counted.
    pub(crate) fn charged(charge: Charge) -> Self {
        Self {
            charge: Some(charge),
            ..Self::new(usize::MAX)
        }
    }

    /// Returns the bytes that were counted.
    ///
    /// # Errors
    /// `insufficient-memory` if a name was left out because the budget has no bytes left.
    pub(crate) fn take_charge(&mut self) -> Result<Option<Charge>> {
        if self.exceeds_budget {
            Err(crate::budget::exceeded())
        } else {
            Ok(self.charge.take())
        }
    }

    /// Reserves memory for `names` more names, of `bytes` bytes in total.
    pub(crate) fn reserve(&mut self, names: usize, bytes: usize) {
        self.records.reserve(names);
        self.names.reserve(bytes);
    }

    /// Adds the entry of `layer` under `name`, unless the name is reserved. Returns whether there is room
    /// for more.
    pub(crate) fn add(&mut self, layer: u16, name: Name<'_>, listed: Listed) -> bool {
        if name.is_reserved() {
            return true;
        }
        let (kind, inode) = match listed {
            Listed::Hidden => (None, 0),
            Listed::Here { kind, inode } => (Some(kind), inode),
        };
        let name = name.as_bytes();
        if let Some(charge) = &mut self.charge
            && !charge.add(name.len() + size_of::<Record>())
        {
            self.exceeds_budget = true;
            return false;
        }
        if let Some(last) = self.records.last() {
            if last.layer != layer {
                self.layer_start = self.records.len();
            }
            self.is_sorted = self.is_sorted && last.name(&self.names) < name;
        }
        self.records.push(Record {
            start: self.names.len(),
            inode,
            length: u32::try_from(name.len()).unwrap_or(u32::MAX),
            layer,
            kind,
        });
        self.names.extend_from_slice(name);
        self.records.len() - self.layer_start <= self.most
    }

    /// Whether there are too many names or bytes. Called after each layer.
    pub(crate) fn is_full(&mut self) -> bool {
        if self.exceeds_budget {
            return true;
        }
        if self.records.len() <= self.most {
            return false;
        }
        self.sort();
        let names = &self.names;
        let groups = self
            .records
            .chunk_by(|one, other| one.name(names) == other.name(names));
        groups.count() > self.most
    }

    /// Sorts the records by name. Records of one name keep their order: the layers from the top down.
    fn sort(&mut self) {
        // The faster sort is omitted from the component build to save code size.
        self.records = if cfg!(feature = "native") {
            sorted_by_keys(&self.records, &self.names)
        } else {
            sorted_by_heap(&self.records, &self.names)
        };
    }

    /// Returns the buffer of names, and one record for each name that exists, in the order of the names.
    /// Calls `merges` for each directory that continues in lower layers, with the index of its record and
    /// those layers.
    pub(crate) fn finish(
        mut self,
        mut merges: impl FnMut(usize, &[u16]),
    ) -> (Vec<u8>, Vec<Record>) {
        // Omitted from the component build to save code size.
        if cfg!(feature = "native") && self.is_sorted {
            self.records.retain(|record| record.kind.is_some());
            return (self.names, self.records);
        }
        self.sort();
        let (names, mut records) = (self.names, self.records);
        let mut more = Vec::new();
        let (mut from, mut to) = (0, 0);
        while let Some(first) = records.get(from) {
            let others = records[from + 1..].iter();
            let same = others.take_while(|record| record.name(&names) == first.name(&names));
            let length = 1 + same.count();
            if let Some(top) = merged(&records[from..from + length], &mut more) {
                if !more.is_empty() {
                    merges(to, &more);
                }
                records[to] = top;
                to += 1;
            }
            from += length;
        }
        records.truncate(to);
        (names, records)
    }
}

/// Sorts `records` by name, and keeps the order of those with one name. Names of one directory often have a
/// common prefix, so the sort compares the eight bytes after it, and more only where those are equal.
fn sorted_by_keys(records: &[Record], names: &[u8]) -> Vec<Record> {
    let Some((first, others)) = records.split_first() else {
        return Vec::new();
    };
    let first = first.name(names);
    let common = others.iter().fold(first, |common, other| {
        let other = other.name(names);
        if other.starts_with(common) {
            return common;
        }
        let alike = common
            .iter()
            .zip(other)
            .take_while(|(one, other)| one == other);
        &common[..alike.count()]
    });
    let common = common.len();
    let mut keys: Vec<(u64, usize)> = records
        .iter()
        .map(|record| key(&record.name(names)[common..]))
        .zip(0..)
        .collect();
    let rest = |at: usize| records[at].name(names).get(common + KEY..);
    keys.sort_unstable_by(|&(key, at), &(other_key, other)| {
        key.cmp(&other_key)
            .then_with(|| rest(at).cmp(&rest(other)))
            .then(at.cmp(&other))
    });
    keys.into_iter().map(|(_, at)| records[at]).collect()
}

/// Bytes of a [`key`].
const KEY: usize = size_of::<u64>();

/// The first bytes of `end`, the part of a name after the common prefix, as a number that sorts as they do.
/// A shorter name comes first, since no name contains a NUL.
fn key(end: &[u8]) -> u64 {
    let mut key = [0; KEY];
    let length = end.len().min(KEY);
    key[..length].copy_from_slice(&end[..length]);
    u64::from_be_bytes(key)
}

/// Sorts `records` by name, and keeps the order of those with one name. A heap takes a fraction of the code
/// size of the standard library's sort.
fn sorted_by_heap(records: &[Record], names: &[u8]) -> Vec<Record> {
    let places = records.iter().enumerate();
    let heap: BinaryHeap<_> = places.map(|(at, one)| (one.name(names), at)).collect();
    let sorted = heap.into_sorted_vec().into_iter();
    sorted.map(|(_, at)| records[at]).collect()
}

/// Merges `records`, which have one name. Returns that of the topmost layer, and adds to `more` the layers
/// that its directory continues in: down to the first whiteout or other file.
fn merged(records: &[Record], more: &mut Vec<u16>) -> Option<Record> {
    more.clear();
    if let [one] = records {
        return one.kind.is_some().then_some(*one);
    }
    let mut top: Option<Record> = None;
    for layer in records.chunk_by(|one, other| one.layer == other.layer) {
        // A layer that has an entry and a whiteout of one name lists them in any order. The entry
        // counts, and the whiteout hides the name in lower layers.
        let entry = layer.iter().find(|record| record.kind.is_some());
        let has_whiteout = layer.iter().any(|record| record.kind.is_none());
        let is_dir = entry.is_some_and(|entry| entry.kind == Some(Kind::Dir));
        match (&top, entry) {
            (None, entry) => top = entry.copied(),
            (Some(_), Some(entry)) if is_dir => more.push(entry.layer),
            (Some(_), _) => {}
        }
        if has_whiteout || !is_dir {
            break;
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: Listed = Listed::Here {
        kind: Kind::Dir,
        inode: 1,
    };
    const FILE: Listed = Listed::Here {
        kind: Kind::File,
        inode: 2,
    };

    fn finish(merge: Merge) -> Vec<(String, u16, Vec<u16>)> {
        let mut more = Vec::new();
        let (names, records) = merge.finish(|at, layers| more.push((at, layers.to_vec())));
        let name = |record: &Record| String::from_utf8(record.name(&names).to_vec()).unwrap();
        let more = |at| {
            more.iter()
                .find(|more| more.0 == at)
                .map(|more| more.1.clone())
        };
        let records = records.iter().enumerate();
        records
            .map(|(at, record)| (name(record), record.layer, more(at).unwrap_or_default()))
            .collect()
    }

    /// Names in one layer or in all, unordered: with and without a common prefix, equal for longer than a
    /// key, and prefixes of other names.
    #[test]
    fn heap_and_key_sorts_equal_a_stable_sort() {
        for (begin, end) in [
            ("", ""),
            ("file-", ".txt"),
            ("a", "-the-same-in-all-of-them"),
        ] {
            let mut merge = Merge::new(1000);
            for layer in (0..5).rev() {
                for at in 0..100 {
                    let number = at * 37 % 101 + u16::from(at % 3 == 0) * layer * 7;
                    let end = [end, "", end, "\u{ff}"][usize::from(at) % 4];
                    let middle = ["", "much-the-same-"][usize::from(at) % 2];
                    let name = format!("{begin}{middle}{number}{end}");
                    merge.add(layer, Name::new(name.as_bytes()).unwrap(), FILE);
                }
                if !begin.is_empty() {
                    merge.add(layer, Name::new(begin.as_bytes()).unwrap(), FILE);
                }
            }
            let (records, names) = (&merge.records, &merge.names);
            let places = |records: &[Record]| records.iter().map(|r| r.start).collect::<Vec<_>>();
            let mut sorted = records.clone();
            sorted.sort_by(|one, other| one.name(names).cmp(other.name(names)));
            assert_ne!(places(&sorted), places(records));
            assert_eq!(places(&sorted), places(&sorted_by_heap(records, names)));
            assert_eq!(places(&sorted), places(&sorted_by_keys(records, names)));
        }
        assert!(sorted_by_keys(&[], b"").is_empty());
    }

    /// A layer with an entry and a whiteout of one name lists them in any order. With the whiteout first,
    /// the directory was missing from the merge with those above it.
    #[test]
    fn entry_beats_whiteout_of_its_layer_in_either_order() {
        let name = Name::new(b"d").unwrap();
        for listed in [[DIR, Listed::Hidden], [Listed::Hidden, DIR]] {
            let mut merge = Merge::new(10);
            merge.add(2, name, DIR);
            for listed in listed {
                merge.add(1, name, listed);
            }
            merge.add(0, name, DIR);
            assert_eq!(finish(merge), [("d".to_owned(), 2, vec![1])]);
        }
    }

    #[test]
    fn names_added_in_order_merge_like_unordered_names() {
        let name = |name: &'static [u8]| Name::new(name).unwrap();
        let entries = [("a", FILE), ("b", Listed::Hidden), ("c", DIR), ("d", FILE)];
        let mut sorted = Merge::new(10);
        let mut unsorted = Merge::new(10);
        for (index, (entry, listed)) in entries.iter().enumerate() {
            sorted.add(0, name(entry.as_bytes()), *listed);
            let (entry, listed) = entries[entries.len() - 1 - index];
            unsorted.add(0, name(entry.as_bytes()), listed);
        }
        assert!(sorted.is_sorted && !unsorted.is_sorted);
        assert_eq!(finish(sorted), finish(unsorted));
        // A name in two layers is not in ascending order.
        let mut twice = Merge::new(10);
        twice.add(1, name(b"a"), FILE);
        twice.add(0, name(b"a"), FILE);
        assert_eq!(finish(twice), [("a".to_owned(), 1, vec![])]);
    }

    #[test]
    fn first_file_or_whiteout_hides_all_lower_layers() {
        let mut merge = Merge::new(10);
        let name = |name: &'static [u8]| Name::new(name).unwrap();
        for (layer, listed) in [(3, DIR), (2, DIR), (1, FILE), (0, DIR)] {
            merge.add(layer, name(b"dir-over-file"), listed);
        }
        for (layer, listed) in [(3, FILE), (2, DIR)] {
            merge.add(layer, name(b"file-over-dir"), listed);
        }
        for (layer, listed) in [(3, Listed::Hidden), (2, FILE)] {
            merge.add(layer, name(b"gone"), listed);
        }
        merge.add(0, name(b"a"), FILE);
        let names = [
            ("a".to_owned(), 0, vec![]),
            ("dir-over-file".to_owned(), 3, vec![2]),
            ("file-over-dir".to_owned(), 3, vec![]),
        ];
        assert_eq!(finish(merge), names);
    }

    /// A name counts once, even if many layers have it.
    #[test]
    fn fullness_counts_names_not_layers() {
        let names: Vec<String> = (0..11).map(|name| name.to_string()).collect();
        let mut merge = Merge::new(10);
        for layer in (0..5).rev() {
            for name in &names[..10] {
                assert!(merge.add(layer, Name::new(name.as_bytes()).unwrap(), FILE));
            }
            assert!(!merge.is_full());
        }
        merge.add(0, Name::new(b"more").unwrap(), FILE);
        assert!(merge.is_full());
        let mut merge = Merge::new(10);
        for (count, name) in names.iter().enumerate() {
            let room = merge.add(0, Name::new(name.as_bytes()).unwrap(), FILE);
            assert_eq!(room, count < 10);
        }
        assert!(merge.is_full());
    }
}
