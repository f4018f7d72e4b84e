//! The index of an archive from its tree, once the archive was read to its end.
//!
//! The tree takes more memory than the index, and both are there for a while. So the index is written where it
//! stays, and what is no longer needed is freed first.

use super::index::{ENTRY_BYTES, NODE_BYTES, TarIndex, Writer};
use super::node::{HIDDEN, Node, NodeFlags};
use super::tree::{NameRecord, ROOT, Slot, Tree};
use crate::error::Result;
use crate::name::Name;

/// The number of a node that has no number in the index yet.
const UNNUMBERED: u32 = u32::MAX;

/// The nodes in the order of the index: those of each directory come together, and after those of the
/// directories before it.
struct Order {
    /// The numbers in the tree.
    nodes: Vec<u32>,
    /// By the number in the tree, that in the index.
    numbers: Vec<u32>,
    entries: usize,
    name_bytes: usize,
}

impl Tree {
    /// Makes the index of an archive of `archive_bytes` bytes.
    ///
    /// # Errors
    /// Those of hard links; `overflow` if the index is too large.
    pub(super) fn finish(mut self, archive_bytes: u64) -> Result<TarIndex> {
        self.resolve_links()?;
        self.drop_lookup();
        let sorted = self.sorted_records();
        let order = self.order(&sorted);
        self.set_links_and_whiteouts(&sorted, &order.numbers);
        let warnings = std::mem::take(&mut self.warnings.lines).into_bytes();
        let mut writer = Writer::new(
            order.nodes.len() * NODE_BYTES
                + order.entries * ENTRY_BYTES
                + order.name_bytes
                + self.extras.len()
                + warnings.len(),
        );
        for number in &order.nodes {
            let node = self.node(*number).copied().unwrap_or_default();
            writer.write(&node.to_bytes());
        }
        writer.end_part()?;
        let mut end = 0_u32;
        for record in self.records_of(&order.nodes, &sorted) {
            end = end.saturating_add(u32::from(record.name_bytes()));
            writer.write(&end.to_le_bytes());
            let node = match record.slot {
                Slot::Node(node) => order.numbers.get(node as usize).copied(),
                Slot::Empty | Slot::Whiteout | Slot::Link(_) => None,
            };
            writer.write(&node.unwrap_or(HIDDEN).to_le_bytes());
        }
        writer.end_part()?;
        for record in self.records_of(&order.nodes, &sorted) {
            writer.write(self.name(record));
        }
        writer.end_part()?;
        writer.write(&self.extras);
        writer.end_part()?;
        writer.write(&warnings);
        writer.end_part()?;
        writer.finish(archive_bytes)
    }

    /// Numbers the nodes that can be reached, and tells each directory where its entries are.
    fn order(&mut self, sorted: &[u32]) -> Order {
        let mut order = Order {
            nodes: vec![ROOT],
            numbers: vec![UNNUMBERED; self.node_count()],
            entries: 0,
            name_bytes: 0,
        };
        if let Some(root) = order.numbers.first_mut() {
            *root = ROOT;
        }
        // Grows while it is walked: the directories of each directory come after it.
        let mut at = 0;
        while let Some(number) = order.nodes.get(at).copied() {
            at += 1;
            if !self.is_dir(number) {
                continue;
            }
            let first = order.entries as u64;
            for record in self.records_in(number, sorted) {
                order.entries += 1;
                order.name_bytes += self.name(record).len();
                if let Slot::Node(node) = record.slot
                    && let Some(numbered) = order.numbers.get_mut(node as usize)
                    && *numbered == UNNUMBERED
                {
                    *numbered = u32::try_from(order.nodes.len()).unwrap_or(UNNUMBERED);
                    order.nodes.push(node);
                }
            }
            let count = order.entries as u64 - first;
            if let Some(node) = self.node_mut(number) {
                node.data = first | count << 32;
            }
        }
        order
    }

    /// The records of the directories among `nodes`, in their order.
    fn records_of<'a>(
        &'a self,
        nodes: &'a [u32],
        sorted: &'a [u32],
    ) -> impl Iterator<Item = &'a NameRecord> {
        let dirs = nodes.iter().filter(|number| self.is_dir(**number));
        dirs.flat_map(|number| self.records_in(*number, sorted))
    }

    /// The records of a directory, by name.
    fn records_in<'a>(
        &'a self,
        dir: u32,
        sorted: &'a [u32],
    ) -> impl Iterator<Item = &'a NameRecord> {
        let record = |number: &u32| self.records().get(*number as usize);
        let start =
            sorted.partition_point(|number| record(number).is_some_and(|record| record.dir < dir));
        sorted
            .get(start..)
            .unwrap_or_default()
            .iter()
            .map_while(record)
            .take_while(move |record| record.dir == dir)
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
