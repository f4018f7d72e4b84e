//! What few nodes have: a time of last access, extended attributes, the map of a sparse file.
//!
//! ```text
//!   flags        1 byte: which of these follow
//!   accessed     seconds (8), nanoseconds (4)
//!   attributes   count (4), then for each: length of the name (4), of the value (4), name, value
//!   chunks       count (4), then for each: offset (8), length (8), start of the data in the archive (8)
//! ```

use super::index::{le_u32, le_u64};
use super::node::Node;
use crate::meta::Timestamp;

const ACCESSED: u8 = 1;
const ATTRIBUTES: u8 = 2;
const CHUNKS: u8 = 4;

const ACCESSED_BYTES: usize = 12;
const CHUNK_BYTES: usize = 24;

/// A part of a sparse file that has data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// How many bytes it has.
    pub(super) length: u64,
    /// Where its data begins in the archive.
    pub(super) data: u64,
}

/// An extended attribute.
pub(super) type Attribute = (Box<[u8]>, Box<[u8]>);

/// What a new node has beside its record.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) accessed: Option<Timestamp>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) chunks: Vec<Chunk>,
    /// Of a symbolic link. It lies before the others, where the node says.
    pub(super) target: Box<[u8]>,
}

impl Extras {
    /// Appends them to `bytes`, and records in `node` where they are.
    pub(super) fn save(&self, node: &mut Node, bytes: &mut Vec<u8>) {
        if !self.target.is_empty() {
            node.data = bytes.len() as u64;
            bytes.extend(&*self.target);
        }
        let flags = [
            (ACCESSED, self.accessed.is_some()),
            (ATTRIBUTES, !self.attributes.is_empty()),
            (CHUNKS, !self.chunks.is_empty()),
        ];
        let flags = flags
            .iter()
            .filter(|(_, has)| *has)
            .fold(0, |flags, (flag, _)| flags | flag);
        if flags == 0 {
            return;
        }
        let start = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        node.extras = start.saturating_add(1);
        bytes.push(flags);
        if let Some(accessed) = self.accessed {
            bytes.extend(accessed.seconds.to_le_bytes());
            bytes.extend(accessed.nanoseconds.to_le_bytes());
        }
        // The archive's headers have fewer bytes than a number counts.
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        if !self.attributes.is_empty() {
            bytes.extend(count(self.attributes.len()));
            for (name, value) in &self.attributes {
                bytes.extend(count(name.len()));
                bytes.extend(count(value.len()));
                bytes.extend(&**name);
                bytes.extend(&**value);
            }
        }
        if !self.chunks.is_empty() {
            bytes.extend(count(self.chunks.len()));
            for chunk in &self.chunks {
                bytes.extend(chunk.offset.to_le_bytes());
                bytes.extend(chunk.length.to_le_bytes());
                bytes.extend(chunk.data.to_le_bytes());
            }
        }
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        let attributes = self.attributes.iter();
        let attributes: usize = attributes
            .map(|(name, value)| 8 + name.len() + value.len())
            .sum();
        9 + ACCESSED_BYTES + attributes + self.chunks.len() * CHUNK_BYTES + self.target.len()
    }
}

/// The time of last access, if the archive has it.
pub(super) fn accessed(extras: &[u8], node: &Node) -> Option<Timestamp> {
    let reader = Reader::of(extras, node)?;
    (reader.flags & ACCESSED != 0).then(|| Timestamp {
        seconds: le_u64(extras, reader.at).cast_signed(),
        nanoseconds: le_u32(extras, reader.at + 8),
    })
}

/// The extended attributes: names and values.
pub(super) fn attributes<'a>(
    extras: &'a [u8],
    node: &Node,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let mut reader = Reader::of(extras, node);
    let mut left = match &mut reader {
        Some(reader) => reader.attribute_count(),
        None => 0,
    };
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        reader.as_mut()?.attribute()
    })
}

/// The parts that have data, in ascending order, of a file with holes.
pub(super) fn chunks(extras: &[u8], node: &Node) -> impl Iterator<Item = Chunk> {
    let mut reader = Reader::of(extras, node);
    let mut left = match &mut reader {
        Some(reader) => {
            for _ in 0..reader.attribute_count() {
                if reader.attribute().is_none() {
                    break;
                }
            }
            reader.chunk_count()
        }
        None => 0,
    };
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        reader.as_mut()?.chunk()
    })
}

/// Whether the extras of `node` lie in their bounds, and its chunks in the file and in the archive.
pub(super) fn are_consistent(extras: &[u8], node: &Node, archive_bytes: u64) -> bool {
    let Some(mut reader) = Reader::of(extras, node) else {
        // A sparse file without extras has no data at all.
        return node.extras == 0;
    };
    for _ in 0..reader.attribute_count() {
        if reader.attribute().is_none() {
            return false;
        }
    }
    let mut end = 0;
    for _ in 0..reader.chunk_count() {
        let Some(chunk) = reader.chunk() else {
            return false;
        };
        let in_file = chunk.offset.checked_add(chunk.length);
        let in_archive = chunk.data.checked_add(chunk.length);
        if chunk.offset < end
            || in_file.is_none_or(|end| end > node.size)
            || in_archive.is_none_or(|end| end > archive_bytes)
        {
            return false;
        }
        end = chunk.offset + chunk.length;
    }
    reader.at <= extras.len()
}

/// Reads the extras of one node in their order.
struct Reader<'a> {
    extras: &'a [u8],
    flags: u8,
    at: usize,
}

impl<'a> Reader<'a> {
    /// None if the node has none.
    fn of(extras: &'a [u8], node: &Node) -> Option<Self> {
        let start = node.extras.checked_sub(1)? as usize;
        Some(Self {
            extras,
            flags: *extras.get(start)?,
            at: start + 1,
        })
    }

    fn number(&mut self) -> u32 {
        let number = le_u32(self.extras, self.at);
        self.at = self.at.saturating_add(4);
        number
    }

    fn slice(&mut self, length: u32) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length as usize)?;
        let slice = self.extras.get(self.at..end)?;
        self.at = end;
        Some(slice)
    }

    /// How many attributes follow. The reader has read nothing before.
    fn attribute_count(&mut self) -> u32 {
        if self.flags & ACCESSED != 0 {
            self.at += ACCESSED_BYTES;
        }
        if self.flags & ATTRIBUTES != 0 {
            self.number()
        } else {
            0
        }
    }

    fn attribute(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, value) = (self.number(), self.number());
        Some((self.slice(name)?, self.slice(value)?))
    }

    /// How many chunks follow. The reader has read the attributes.
    fn chunk_count(&mut self) -> u32 {
        if self.flags & CHUNKS != 0 {
            self.number()
        } else {
            0
        }
    }

    fn chunk(&mut self) -> Option<Chunk> {
        let chunk = Chunk {
            offset: le_u64(self.extras, self.at),
            length: le_u64(self.extras, self.at.saturating_add(8)),
            data: le_u64(self.extras, self.at.saturating_add(16)),
        };
        self.at = self.at.saturating_add(CHUNK_BYTES);
        (self.at <= self.extras.len()).then_some(chunk)
    }
}
