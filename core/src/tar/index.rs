//! [`TarIndex`]: the tree of an archive as arrays, in the form in which they are saved.
//!
//! ```text
//!   header     magic, checksum, size of the archive, sizes of the parts
//!   nodes      48 bytes each: attributes, and where the data is; node 0 is the root
//!   entries    8 bytes each: end of the name, node; those of a directory are adjacent, sorted by name
//!   names      of all entries, in their order
//!   extras     what few nodes have: link targets, extended attributes, maps of sparse files
//!   warnings   lines of UTF-8
//! ```
//! All numbers are little-endian. The arrays are read where they are, so loading a saved index takes a
//! read and one pass that checks it. An index may come from a disk that another user can write: it is
//! checked for all that its readers rely on, and readers of a damaged one get wrong answers at most.

use super::node::{HIDDEN, Node, NodeFlags};
use crate::error::{Errno, Error, Result};
use crate::meta::Timestamp;
use crate::name::Name;
use std::ops::Range;

/// The format and its version. A change of the format changes it, so that older indexes are rebuilt.
const MAGIC: [u8; 8] = *b"wovltar\x01";

const HEADER_BYTES: usize = 48;
pub(super) const NODE_BYTES: usize = 48;
pub(super) const ENTRY_BYTES: usize = 8;

/// The tree of an archive: names, attributes, and where the data of each file is.
///
/// It is immutable, and belongs to the archive that it was made from: with another one, files have wrong
/// data. It takes about 70 bytes for each entry, its name included, in memory as well as saved.
#[derive(Clone)]
pub struct TarIndex {
    bytes: Box<[u8]>,
    parts: Parts,
}

/// Where the arrays lie in the bytes of an index.
#[derive(Clone, Debug)]
struct Parts {
    archive_bytes: u64,
    nodes: Range<usize>,
    entries: Range<usize>,
    names: Range<usize>,
    extras: Range<usize>,
    warnings: Range<usize>,
}

/// Writes the parts of an index one after another.
pub(super) struct Writer {
    bytes: Vec<u8>,
    lengths: Vec<u32>,
    /// Where the part begins that is being written.
    start: usize,
}

impl Writer {
    /// A writer for parts of `bytes` bytes in total.
    pub(super) fn new(bytes: usize) -> Self {
        let mut all = Vec::with_capacity(HEADER_BYTES + bytes);
        all.resize(HEADER_BYTES, 0);
        Self {
            bytes: all,
            lengths: Vec::new(),
            start: HEADER_BYTES,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Ends a part.
    ///
    /// # Errors
    /// `overflow` if it is larger than 4 GiB.
    pub(super) fn end_part(&mut self) -> Result<()> {
        let length = self.bytes.len() - self.start;
        let length = u32::try_from(length)
            .map_err(|_| Error::new(Errno::Overflow, "the index is larger than 4 GiB"))?;
        self.lengths.push(length);
        self.start = self.bytes.len();
        Ok(())
    }

    /// The index of an archive of `archive_bytes` bytes.
    ///
    /// # Errors
    /// `overflow` if it is too large for this platform.
    pub(super) fn finish(mut self, archive_bytes: u64) -> Result<TarIndex> {
        let mut header = MAGIC.to_vec();
        header.extend([0; 4]); // The checksum.
        for length in &self.lengths {
            header.extend(length.to_le_bytes());
        }
        header.extend(archive_bytes.to_le_bytes());
        self.bytes[..header.len()].copy_from_slice(&header);
        let checksum = checksum(&self.bytes);
        self.bytes[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        let bytes = self.bytes.into_boxed_slice();
        let parts = Parts::of(&bytes)?;
        Ok(TarIndex { bytes, parts })
    }
}

/// Where the checksum is: after the magic.
const CHECKSUM: Range<usize> = 8..12;

/// The CRC-32 of everything after the checksum.
fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes.get(CHECKSUM.end..).unwrap_or_default())
}

impl TarIndex {
    /// The saved form, for [`from_bytes`](Self::from_bytes).
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// An index that was saved, for an archive of `archive_bytes` bytes.
    ///
    /// # Errors
    /// `invalid` if the index has another version, is damaged, or was made from an archive of another
    /// size: scan the archive again.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>, archive_bytes: u64) -> Result<Self> {
        let bytes = bytes.into();
        let invalid = |what| Error::new(Errno::Invalid, format_args!("the saved index {what}"));
        if bytes.len() < HEADER_BYTES || bytes[..MAGIC.len()] != MAGIC {
            return Err(invalid("has another version"));
        }
        if le_u32(&bytes, CHECKSUM.start) != checksum(&bytes) {
            return Err(invalid("is damaged"));
        }
        let parts = Parts::of(&bytes)?;
        if parts.archive_bytes != archive_bytes {
            return Err(invalid("belongs to an archive of another size"));
        }
        let index = Self { bytes, parts };
        if !index.is_consistent() {
            return Err(invalid("is damaged"));
        }
        Ok(index)
    }

    /// Odd things in the archive that people may want to know: a path that occurs twice, for example.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        let lines = std::str::from_utf8(&self.bytes[self.parts.warnings.clone()]);
        lines.unwrap_or_default().lines()
    }

    /// The number of files, directories and links, the root and implied directories included.
    pub fn len(&self) -> usize {
        self.parts.nodes.len() / NODE_BYTES
    }

    /// Whether there is nothing in it. Never: it has at least the root.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The node with this number.
    pub(super) fn node(&self, number: u32) -> Node {
        let at = self.parts.nodes.start + number as usize * NODE_BYTES;
        match self.bytes.get(at..at + NODE_BYTES) {
            Some(bytes) => Node::from_bytes(bytes),
            None => Node::default(),
        }
    }

    /// The indexes of the entries of a directory.
    pub(super) fn children(&self, dir: u32) -> Range<u32> {
        let node = self.node(dir);
        let first = node.data as u32;
        first..first.saturating_add((node.data >> 32) as u32)
    }

    /// The name of an entry, and its node, or [`HIDDEN`].
    pub(super) fn entry(&self, at: u32) -> (Name<'_>, u32) {
        (Name::checked(self.name(at)), self.entry_node(at))
    }

    fn entry_at(&self, at: u32) -> usize {
        self.parts.entries.start + at as usize * ENTRY_BYTES
    }

    fn entry_node(&self, at: u32) -> u32 {
        le_u32(&self.bytes, self.entry_at(at) + 4)
    }

    fn name(&self, at: u32) -> &[u8] {
        let start = match at.checked_sub(1) {
            Some(before) => le_u32(&self.bytes, self.entry_at(before)),
            None => 0,
        };
        let end = le_u32(&self.bytes, self.entry_at(at));
        let names = &self.bytes[self.parts.names.clone()];
        names.get(start as usize..end as usize).unwrap_or(b"?")
    }

    /// The node called `name` in a directory, or [`HIDDEN`].
    pub(super) fn find(&self, dir: u32, name: Name<'_>) -> Option<u32> {
        let Range { mut start, mut end } = self.children(dir);
        while start < end {
            let middle = start + (end - start) / 2;
            match self.name(middle).cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => start = middle + 1,
                std::cmp::Ordering::Greater => end = middle,
                std::cmp::Ordering::Equal => return Some(self.entry_node(middle)),
            }
        }
        None
    }

    /// The target of a symbolic link.
    pub(super) fn target(&self, node: &Node) -> &[u8] {
        let start = node.data as usize;
        self.extras()
            .get(start..start.saturating_add(node.size as usize))
            .unwrap_or_default()
    }

    /// The [`extras`](super::extras) of all nodes.
    pub(super) fn extras(&self) -> &[u8] {
        &self.bytes[self.parts.extras.clone()]
    }

    /// Whether all numbers in the arrays lie in their bounds, and names are names in ascending order, so
    /// that a lookup finds what a listing shows.
    fn is_consistent(&self) -> bool {
        let (nodes, entries) = (self.len(), self.parts.entries.len() / ENTRY_BYTES);
        let (Ok(nodes), Ok(entries)) = (u32::try_from(nodes), u32::try_from(entries)) else {
            return false;
        };
        nodes > 0
            && self.node(0).is_dir()
            && (0..nodes).all(|number| self.is_node_consistent(&self.node(number), entries))
            && (0..entries).all(|at| {
                let node = self.entry_node(at);
                Name::new(self.name(at)).is_ok() && (node < nodes || node == HIDDEN) && node != 0
            })
            && std::str::from_utf8(&self.bytes[self.parts.warnings.clone()]).is_ok()
    }

    fn is_node_consistent(&self, node: &Node, entries: u32) -> bool {
        let Some(kind) = node.kind() else {
            return false;
        };
        let has_place = match kind {
            crate::Kind::Dir => {
                let (first, count) = (node.data as u32, (node.data >> 32) as u32);
                let end = first.checked_add(count);
                end.is_some_and(|end| end <= entries && self.are_sorted(first..end))
            }
            crate::Kind::Symlink => {
                let end = node.data.checked_add(node.size);
                end.is_some_and(|end| end <= self.extras().len() as u64)
            }
            crate::Kind::File if node.flags.contains(NodeFlags::SPARSE) => true,
            crate::Kind::File => {
                let end = node.data.checked_add(node.size);
                end.is_some_and(|end| end <= self.parts.archive_bytes)
            }
            _ => true,
        };
        has_place && super::extras::are_consistent(self.extras(), node, self.parts.archive_bytes)
    }

    fn are_sorted(&self, entries: Range<u32>) -> bool {
        let after = entries.start.saturating_add(1)..entries.end;
        after
            .into_iter()
            .all(|at| self.name(at - 1) < self.name(at))
    }
}

impl Parts {
    /// Reads the sizes of the parts.
    fn of(bytes: &[u8]) -> Result<Self> {
        let mut end = HEADER_BYTES;
        let mut parts = [0, 1, 2, 3, 4].map(|part: usize| {
            let start = end;
            end = end.saturating_add(le_u32(bytes, CHECKSUM.end + part * 4) as usize);
            start..end
        });
        let [nodes, entries, names, extras, warnings] = &mut parts;
        if end != bytes.len() || nodes.len() % NODE_BYTES != 0 || entries.len() % ENTRY_BYTES != 0 {
            return Err(Error::new(Errno::Invalid, "the saved index is damaged"));
        }
        Ok(Self {
            archive_bytes: le_u64(bytes, CHECKSUM.end + 20),
            nodes: nodes.clone(),
            entries: entries.clone(),
            names: names.clone(),
            extras: extras.clone(),
            warnings: warnings.clone(),
        })
    }
}

impl std::fmt::Debug for TarIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarIndex")
            .field("archive_bytes", &self.parts.archive_bytes)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The number at `at`; 0 if it does not lie in `bytes`, which it does in a consistent index.
pub(super) fn le_u32(bytes: &[u8], at: usize) -> u32 {
    let number = at.checked_add(4).and_then(|end| bytes.get(at..end));
    number
        .and_then(|number| number.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

/// As [`le_u32`].
pub(super) fn le_u64(bytes: &[u8], at: usize) -> u64 {
    let number = at.checked_add(8).and_then(|end| bytes.get(at..end));
    number
        .and_then(|number| number.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

/// A time of an entry that has none: 1970, so that equal archives give equal trees.
pub(super) const EPOCH: Timestamp = Timestamp {
    seconds: 0,
    nanoseconds: 0,
};
