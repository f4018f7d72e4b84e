//! Compact metadata: a stack keeps that of every file that was looked up.

use crate::meta::{Kind, Meta, Timestamp};

/// The fields of a [`Meta`] that are used for lower files.
#[derive(Clone, Copy)]
pub(super) struct PackedMeta {
    pub(super) size: u64,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Seconds, then nanoseconds: accessed, modified, changed.
    seconds: [i64; 3],
    nanoseconds: [u32; 3],
    links: u32,
    mode: u32,
    owner: (u32, u32),
    pub(super) kind: Kind,
    /// Of a regular file, whether it is sparse. Of a directory, whether the topmost layer that has it only
    /// [implies](Meta::implied) it.
    flag: bool,
    /// The layer that has the file.
    pub(super) layer: u16,
}

/// An unknown mode, user or group. No real value is equal to it: modes are a few bits, and no user has
/// this number (`chown` takes it as *leave unchanged*).
const NONE: u32 = u32::MAX;

impl PackedMeta {
    pub(super) fn new(meta: &Meta, layer: u16) -> Self {
        let times = [meta.accessed, meta.modified, meta.changed];
        Self {
            size: meta.size,
            device: meta.device,
            inode: meta.inode,
            seconds: times.map(|time| time.seconds),
            nanoseconds: times.map(|time| time.nanoseconds),
            links: u32::try_from(meta.links).unwrap_or(u32::MAX),
            mode: meta.mode.unwrap_or(NONE),
            owner: meta.owner.unwrap_or((NONE, NONE)),
            kind: meta.kind,
            flag: if meta.kind == Kind::Dir {
                meta.is_implied()
            } else {
                meta.allocated.is_some_and(|bytes| bytes < meta.size)
            },
            layer,
        }
    }

    pub(super) fn is_sparse(&self) -> bool {
        self.flag && self.kind != Kind::Dir
    }

    /// Whether the attributes come from a layer below that of the directory, if one has some.
    pub(super) fn is_implied(&self) -> bool {
        self.flag && self.kind == Kind::Dir
    }

    /// The metadata, without the device number of a device file. Of the allocated storage, only whether it
    /// is less than the size.
    pub(super) fn meta(&self) -> Meta {
        let [accessed, modified, changed] = [0, 1, 2].map(|time| Timestamp {
            seconds: self.seconds[time],
            nanoseconds: self.nanoseconds[time],
        });
        Meta {
            kind: self.kind,
            size: self.size,
            allocated: self.is_sparse().then_some(0),
            links: u64::from(self.links),
            accessed,
            modified,
            changed,
            device: self.device,
            inode: self.inode,
            mode: Some(self.mode).filter(|mode| *mode != NONE),
            owner: Some(self.owner).filter(|owner| *owner != (NONE, NONE)),
            rdev: 0,
            implied: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_preserves_metadata() {
        let time = |seconds| Timestamp {
            seconds,
            nanoseconds: 999_999_999,
        };
        let all = Meta {
            kind: Kind::Fifo,
            size: u64::MAX,
            allocated: None,
            links: 70_000,
            accessed: time(i64::MIN),
            modified: time(-1),
            changed: time(i64::MAX),
            device: 1 << 63,
            inode: u64::MAX,
            mode: Some(0o7777),
            owner: Some((0, NONE - 1)),
            rdev: 0,
            implied: false,
        };
        let nothing = Meta {
            mode: None,
            owner: None,
            ..all
        };
        let sparse = Meta {
            allocated: Some(0),
            ..all
        };
        for meta in [all, nothing, sparse] {
            assert_eq!(PackedMeta::new(&meta, 7).meta(), meta);
        }
    }
}
