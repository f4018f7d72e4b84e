//! [`Node`]: the record of a file, directory or link in an index.

use super::index::{EPOCH, NODE_BYTES, le_u32, le_u64};
use crate::meta::{Kind, Meta, Timestamp};

/// The node number of a whiteout.
pub(super) const HIDDEN: u32 = u32::MAX;

/// The device of all files of an archive. Layers are told apart by their number in the stack.
const DEVICE: u64 = 1;

/// The inode number of the node with this number: the system has no number 0.
pub(super) fn inode(number: u32) -> u64 {
    u64::from(number) + 1
}

/// The attributes of a file, and where its data is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// A [`Kind`] as a number.
    code: u8,
    pub(super) flags: NodeFlags,
    /// Permission bits.
    pub(super) mode: u16,
    pub(super) owner: (u32, u32),
    /// The number of names.
    pub(super) links: u32,
    pub(super) modified: Timestamp,
    /// The offset of its [`extras`](super::extras) plus one; 0 if it has none.
    pub(super) extras: u32,
    /// Bytes of data; of a symbolic link, of its target.
    pub(super) size: u64,
    /// Of a file, where its data begins in the archive. Of a link, where its target begins in the extras.
    /// Of a directory, the index of its first entry, and in the upper half how many it has. Of a device,
    /// its number.
    pub(super) data: u64,
}

/// Properties of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeFlags(u8);

impl NodeFlags {
    /// An opaque directory.
    pub(super) const OPAQUE: Self = Self(1);
    /// A directory that only the names below it imply.
    pub(super) const IMPLIED: Self = Self(2);
    /// A file with holes: its extras map its data.
    pub(super) const SPARSE: Self = Self(4);

    pub(super) fn contains(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(super) fn set(&mut self, flag: Self, to: bool) {
        if to {
            self.0 |= flag.0;
        } else {
            self.0 &= !flag.0;
        }
    }
}

/// The numbers of the kinds, which are their places here.
const KINDS: [Kind; 7] = [
    Kind::Dir,
    Kind::File,
    Kind::Symlink,
    Kind::Fifo,
    Kind::Socket,
    Kind::CharDevice,
    Kind::BlockDevice,
];

impl Node {
    /// A node with no attributes.
    pub(super) fn new(kind: Kind) -> Self {
        let code = KINDS.iter().position(|known| *known == kind);
        Self {
            code: code
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(u8::MAX),
            ..Self::default()
        }
    }

    /// A directory that the archive has no entry for. Its attributes count if no layer has others.
    pub(super) fn implied_dir() -> Self {
        let mut node = Self::new(Kind::Dir);
        node.flags.set(NodeFlags::IMPLIED, true);
        node.mode = 0o755;
        node.modified = EPOCH;
        node
    }

    /// The type. None in a damaged index.
    pub(super) fn kind(&self) -> Option<Kind> {
        KINDS.get(usize::from(self.code)).copied()
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind() == Some(Kind::Dir)
    }

    /// The metadata. `number` is the number of the node.
    pub(super) fn meta(&self, number: u32, extras: &[u8]) -> Meta {
        let accessed = super::extras::accessed(extras, self).unwrap_or(self.modified);
        let kind = self.kind().unwrap_or(Kind::Fifo);
        let allocated = match kind {
            Kind::File if self.flags.contains(NodeFlags::SPARSE) => {
                super::extras::chunks(extras, self)
                    .map(|chunk| chunk.length)
                    .sum()
            }
            Kind::File => self.size,
            _ => 0,
        };
        Meta {
            kind,
            size: self.size,
            allocated: Some(allocated),
            links: u64::from(self.links),
            accessed,
            modified: self.modified,
            changed: self.modified,
            device: DEVICE,
            inode: inode(number),
            mode: Some(u32::from(self.mode)),
            owner: Some(self.owner),
            rdev: match kind {
                Kind::CharDevice | Kind::BlockDevice => self.data,
                _ => 0,
            },
            implied: self.flags.contains(NodeFlags::IMPLIED),
        }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        Self {
            code: byte(0),
            flags: NodeFlags(byte(1)),
            mode: u16::from_le_bytes([byte(2), byte(3)]),
            owner: (le_u32(bytes, 4), le_u32(bytes, 8)),
            links: le_u32(bytes, 12),
            modified: Timestamp {
                seconds: le_u64(bytes, 16).cast_signed(),
                nanoseconds: le_u32(bytes, 24),
            },
            extras: le_u32(bytes, 28),
            size: le_u64(bytes, 32),
            data: le_u64(bytes, 40),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; NODE_BYTES] {
        let mut bytes = [0; NODE_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &[self.code, self.flags.0]);
        put(2, &self.mode.to_le_bytes());
        put(4, &self.owner.0.to_le_bytes());
        put(8, &self.owner.1.to_le_bytes());
        put(12, &self.links.to_le_bytes());
        put(16, &self.modified.seconds.to_le_bytes());
        put(24, &self.modified.nanoseconds.to_le_bytes());
        put(28, &self.extras.to_le_bytes());
        put(32, &self.size.to_le_bytes());
        put(40, &self.data.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_node_equals_the_original() {
        let mut node = Node::new(Kind::BlockDevice);
        node.flags.set(NodeFlags::OPAQUE, true);
        node.flags.set(NodeFlags::SPARSE, true);
        node.mode = 0o7777;
        node.owner = (1, u32::MAX);
        node.links = 3;
        node.modified = Timestamp {
            seconds: -1,
            nanoseconds: 999_999_999,
        };
        node.extras = 4;
        node.size = u64::MAX - 1;
        node.data = u64::MAX - 2;
        assert_eq!(Node::from_bytes(&node.to_bytes()), node);
        assert_eq!(node.kind(), Some(Kind::BlockDevice));
    }
}
