//! The arrays of an index from the tree of an archive that was read to its end.

use super::index::{Arrays, TarIndex};
use super::node::{HIDDEN, Node, NodeFlags};
use super::tree::{NameRecord, ROOT, Slot, Tree};
use crate::error::Result;
use crate::name::Name;
use std::ops::Range;

/// The number of a node that has no number in the index yet.
const UNNUMBERED: u32 = u32::MAX;

impl Tree {
    /// Makes the index of an archive of `archive_bytes` bytes.
    ///
    /// # Errors
    /// Those of hard links; `overflow` if the index is too large.
    pub(super) fn finish(mut self, archive_bytes: u64) -> Result<TarIndex> {
        self.resolve_links()?;
        let sorted = self.sorted_records();
        let ranges = self.ranges(&sorted);
        let mut numbers = vec![UNNUMBERED; self.node_count()];
        let mut reached = vec![ROOT];
        if let Some(root) = numbers.first_mut() {
            *root = ROOT;
        }
        let mut arrays = Arrays::default();
        // Grows while it is walked: the directories of each directory come after it.
        let mut at = 0;
        while let Some(number) = reached.get(at).copied() {
            at += 1;
            let range = ranges.get(number as usize).cloned().unwrap_or_default();
            let first = (arrays.entries.len() / super::index::ENTRY_BYTES) as u64;
            let mut count = 0;
            for record in sorted.get(range).unwrap_or_default() {
                let Some(record) = self.records().get(*record as usize) else {
                    continue;
                };
                let node = match record.slot {
                    Slot::Node(node) => {
                        let numbered = numbers.get_mut(node as usize);
                        let Some(numbered) = numbered else { continue };
                        if *numbered == UNNUMBERED {
                            *numbered = u32::try_from(reached.len()).unwrap_or(UNNUMBERED);
                            reached.push(node);
                        }
                        *numbered
                    }
                    _ => HIDDEN,
                };
                arrays.names.extend_from_slice(self.name(record));
                let end = u32::try_from(arrays.names.len()).unwrap_or(u32::MAX);
                arrays.entries.extend(end.to_le_bytes());
                arrays.entries.extend(node.to_le_bytes());
                count += 1;
            }
            if let Some(node) = self.node_mut(number)
                && node.is_dir()
            {
                node.data = first | count << 32;
            }
        }
        self.set_links_and_whiteouts(&sorted, &numbers);
        arrays
            .nodes
            .reserve(reached.len() * super::index::NODE_BYTES);
        for number in reached {
            let node = self.node(number).copied().unwrap_or_default();
            arrays.nodes.extend(node.to_bytes());
        }
        arrays.extras = std::mem::take(&mut self.extras);
        arrays.warnings = std::mem::take(&mut self.warnings.lines).into_bytes();
        arrays.finish(archive_bytes)
    }

    /// The numbers of the records that are shown or hide something, by directory and name.
    fn sorted_records(&self) -> Vec<u32> {
        let is_shown = |record: &NameRecord| {
            let has_something = record.hides || record.slot != Slot::Empty;
            has_something && !Name::checked(self.name(record)).is_reserved()
        };
        let mut sorted: Vec<u32> = (0..)
            .zip(self.records())
            .filter_map(|(number, record)| is_shown(record).then_some(number))
            .collect();
        sorted.sort_unstable_by(|one, other| {
            let key = |number: u32| {
                let record = self.records().get(number as usize);
                record.map(|record| (record.dir, self.name(record)))
            };
            key(*one).cmp(&key(*other))
        });
        sorted
    }

    /// Where the records of each directory are in `sorted`.
    fn ranges(&self, sorted: &[u32]) -> Vec<Range<usize>> {
        let mut ranges = vec![0..0; self.node_count()];
        for (at, record) in sorted.iter().enumerate() {
            let record = self.records().get(*record as usize);
            if let Some(range) = record.and_then(|record| ranges.get_mut(record.dir as usize)) {
                if range.start == range.end {
                    range.start = at;
                }
                range.end = at + 1;
            }
        }
        ranges
    }

    /// Counts the names of each node, and makes a directory opaque that has a whiteout of its own name
    /// beside it: the directory counts, and the whiteout hides what lower layers have there.
    fn set_links_and_whiteouts(&mut self, sorted: &[u32], numbers: &[u32]) {
        for record in sorted {
            let Some(record) = self.records().get(*record as usize) else {
                continue;
            };
            let hides = record.hides;
            let dir_is_shown = numbers.get(record.dir as usize) != Some(&UNNUMBERED);
            if let Slot::Node(node) = record.slot
                && dir_is_shown
                && let Some(node) = self.node_mut(node)
            {
                node.links = node.links.saturating_add(1);
                if hides && Node::is_dir(node) {
                    node.flags.set(NodeFlags::OPAQUE, true);
                }
            }
        }
        if let Some(root) = self.node_mut(ROOT) {
            root.links = 1;
        }
    }
}
