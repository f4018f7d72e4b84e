//! Table of all names of a merged directory.

use super::children::Hidden;
use super::merge::{Merge, Record};
use super::node::LowerNode;
use crate::error::Result;
use crate::hash::RandomState;
use crate::layer::Listed;
use crate::meta::Kind;
use crate::name::Name;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, OnceLock};

/// All names in a merged directory: a name that is not in the table does not exist.
pub(crate) struct Table {
    /// All names, one after the other, sorted.
    names: Box<[u8]>,
    /// In the order of the names.
    entries: Box<[Entry]>,
    /// For directories that continue in layers below that of their entry: the index of the entry, and those
    /// layers from the top down.
    more: Box<[(u32, Box<[u16]>)]>,
    /// Hash table by name, with linear probing. A bucket holds the index of an entry plus one, or 0.
    index: Box<[u16]>,
}

struct Entry {
    /// The node, made by the first lookup.
    node: OnceLock<Arc<LowerNode>>,
    inode: u64,
    /// Where the name ends. It begins where the previous one ends.
    end: u32,
    layer: u16,
    kind: Kind,
}

/// Tables of up to this many names are searched rather than hashed.
const FEW: usize = 4;

impl Table {
    pub(super) fn new(merge: Merge, hasher: &RandomState) -> Self {
        let mut more = Vec::new();
        let (unsorted, records) = merge.finish(|at, layers| {
            more.push((u32::try_from(at).unwrap_or(u32::MAX), layers.into()));
        });
        let bytes = records.iter().map(|record| record.length as usize).sum();
        let mut names = Vec::with_capacity(bytes);
        let mut entry = |record: &Record| {
            names.extend_from_slice(record.name(&unsorted));
            Entry {
                node: OnceLock::new(),
                inode: record.inode,
                end: u32::try_from(names.len()).unwrap_or(u32::MAX),
                layer: record.layer,
                kind: record.kind.unwrap_or(Kind::File),
            }
        };
        let entries = records.iter().map(&mut entry).collect();
        let mut table = Self {
            names: names.into(),
            entries,
            more: more.into(),
            index: Box::default(),
        };
        table.index = table.make_index(hasher);
        table
    }

    /// Returns an empty index if there are few names, or more than an index can count: then `find` does a
    /// binary search.
    fn make_index(&self, hasher: &RandomState) -> Box<[u16]> {
        let count = self.entries.len();
        if count <= FEW || count >= usize::from(u16::MAX) {
            return Box::default();
        }
        let mut index = vec![0; (count + count / 3).next_power_of_two()];
        for (at, number) in (0..count).zip(1..=u16::MAX) {
            let mut bucket = Self::bucket(self.bytes(at), hasher, index.len());
            while index[bucket] != 0 {
                bucket = (bucket + 1) & (index.len() - 1);
            }
            index[bucket] = number;
        }
        index.into()
    }

    /// The bucket where the search for `name` begins. `buckets` is a power of two.
    fn bucket(name: &[u8], hasher: &RandomState, buckets: usize) -> usize {
        let mut hasher = hasher.build_hasher();
        hasher.write(name);
        hasher.finish() as usize & (buckets - 1)
    }

    fn bytes(&self, at: usize) -> &[u8] {
        let start = match at.checked_sub(1) {
            Some(before) => self.entries[before].end,
            None => 0,
        };
        &self.names[start as usize..self.entries[at].end as usize]
    }

    /// The name of entry `at`.
    pub(super) fn name(&self, at: u32) -> Name<'_> {
        Name::checked(self.bytes(at as usize))
    }

    /// Whether all names are ASCII.
    pub(crate) fn is_ascii(&self) -> bool {
        self.names.is_ascii()
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The name of entry `at`, in the order of the names, and its kind in the topmost layer.
    pub(crate) fn get(&self, at: usize) -> Option<(Name<'_>, Kind)> {
        let entry = self.entries.get(at)?;
        Some((Name::checked(self.bytes(at)), entry.kind))
    }

    /// The topmost layer that has each name, and the inode number that it lists.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u16, u64)> {
        self.entries.iter().map(|entry| (entry.layer, entry.inode))
    }

    /// The index of the entry of `name`.
    pub(super) fn find(&self, name: Name<'_>, hasher: &RandomState) -> Option<usize> {
        let name = name.as_bytes();
        if self.index.is_empty() {
            let (mut low, mut high) = (0, self.entries.len());
            while low < high {
                let middle = low.midpoint(high);
                match self.bytes(middle).cmp(name) {
                    std::cmp::Ordering::Equal => return Some(middle),
                    std::cmp::Ordering::Less => low = middle + 1,
                    std::cmp::Ordering::Greater => high = middle,
                }
            }
            return None;
        }
        let mut bucket = Self::bucket(name, hasher, self.index.len());
        loop {
            // An index is never full.
            let at = usize::from(self.index[bucket].checked_sub(1)?);
            if self.bytes(at) == name {
                return Some(at);
            }
            bucket = (bucket + 1) & (self.index.len() - 1);
        }
    }

    pub(super) fn has(&self, name: Name<'_>, hasher: &RandomState) -> bool {
        self.find(name, hasher).is_some()
    }

    /// The kind of entry `at` in the topmost layer.
    pub(super) fn kind(&self, at: usize) -> Kind {
        self.entries[at].kind
    }

    /// The node of entry `at`, if it was looked up.
    pub(super) fn node(&self, at: usize) -> Option<&Arc<LowerNode>> {
        self.entries[at].node.get()
    }

    /// The node of entry `at`. If there is none yet, `look` makes it, given the index, the topmost layer, and
    /// the layers that the directory continues in.
    pub(super) fn make(
        &self,
        at: usize,
        look: impl FnOnce(u32, u16, &[u16]) -> Result<Option<Arc<LowerNode>>>,
    ) -> Result<Option<&Arc<LowerNode>>> {
        let entry = &self.entries[at];
        if let Some(node) = entry.node.get() {
            return Ok(Some(node));
        }
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let more = match self.more.binary_search_by_key(&at, |more| more.0) {
            Ok(index) => &self.more[index].1[..],
            Err(_) => &[],
        };
        // If two threads look it up at the same time, the first node stays.
        let node = look(at, entry.layer, more)?;
        Ok(node.map(|node| entry.node.get_or_init(|| node)))
    }

    /// Whether every name is in `hidden`.
    pub(super) fn is_covered_by(&self, hidden: &Hidden) -> bool {
        let mut all = 0..self.len();
        all.all(|at| hidden.contains_key(self.bytes(at)))
    }

    /// Adds all names to a listing.
    pub(super) fn list(&self, into: &mut Merge) {
        into.reserve(self.entries.len(), self.names.len());
        for (at, entry) in self.entries.iter().enumerate() {
            let listed = Listed::Here {
                kind: entry.kind,
                inode: entry.inode,
            };
            if !into.add(entry.layer, Name::checked(self.bytes(at)), listed) {
                break;
            }
        }
    }

    pub(super) fn into_nodes(self) -> impl Iterator<Item = Arc<LowerNode>> {
        let entries = self.entries.into_iter();
        entries.filter_map(|entry| entry.node.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With few names, some, and more than the index can count.
    #[test]
    fn every_name_is_found_and_no_other() {
        let hasher = RandomState::default();
        for count in [0, 1, FEW, FEW + 1, 100, 4096, 66_000] {
            let mut merge = Merge::new(usize::MAX);
            let names: Vec<String> = (0..count).map(|name| format!("{name}")).collect();
            for (inode, name) in (0..).zip(&names) {
                let listed = Listed::Here {
                    kind: Kind::File,
                    inode,
                };
                merge.add(0, Name::new(name.as_bytes()).unwrap(), listed);
            }
            let table = Table::new(merge, &hasher);
            assert_eq!(table.entries.len(), count);
            for (inode, name) in (0..).zip(&names) {
                let name = Name::new(name.as_bytes()).unwrap();
                let at = table.find(name, &hasher).unwrap();
                assert_eq!(table.entries[at].inode, inode);
                assert_eq!(table.name(at as u32), name);
            }
            for other in ["x", "-1", "0 ", &count.to_string()] {
                assert!(!table.has(Name::new(other.as_bytes()).unwrap(), &hasher));
            }
        }
    }
}
