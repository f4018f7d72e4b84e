//! The guarantees of host filesystems, by their type.

use crate::plain::Guarantees;
use rustix::fd::AsFd;

/// The guarantees of one type of filesystem (`f_type` of `statfs(2)`).
struct Known {
    magic: u32,
    guarantees: Guarantees,
}

const JOURNALED: Guarantees = Guarantees {
    ordered_names: true,
    ..LOCAL
};

/// A successful write has reserved its space; what survives a crash depends on what was synced.
const LOCAL: Guarantees = Guarantees {
    ordered_names: false,
    errors_at_write: true,
    syncs_whole: true,
};

/// The filesystems that are known to guarantee anything. All others are assumed to guarantee nothing:
/// a filesystem over a network or in user space depends on another filesystem that is not visible here.
///
/// btrfs keeps the order only up to the last `fsync`: it then logs the file or directory that was
/// synced, and replays the log without the changes that are not in it. f2fs rolls single
/// files forward in the same way. bcachefs is young, so the worst is assumed.
const KNOWN: [Known; 7] = [
    // ext3 and ext4, with their journal.
    Known::new(0xEF53, JOURNALED),
    // xfs
    Known::new(0x5846_5342, JOURNALED),
    // tmpfs and ramfs: nothing survives a crash, so the order is kept trivially.
    Known::new(0x0102_1994, JOURNALED),
    Known::new(0x8584_58F6, JOURNALED),
    // btrfs
    Known::new(0x9123_683E, LOCAL),
    // f2fs
    Known::new(0xF2F5_2010, LOCAL),
    // bcachefs
    Known::new(0xCA45_1A4E, LOCAL),
];

impl Known {
    const fn new(magic: u32, guarantees: Guarantees) -> Self {
        Self { magic, guarantees }
    }
}

/// The guarantees of the filesystem of `dir`.
pub(super) fn guarantees(dir: impl AsFd, label: &str) -> Guarantees {
    match rustix::fs::fstatfs(dir) {
        // The type is a `long`, and some platforms extend the sign of its 32 bits.
        Ok(statfs) => of_type(statfs.f_type as u32),
        Err(os) => {
            tracing::debug!(
                layer = label, error = %os,
                "cannot read the type of the filesystem; syncing as if it guaranteed nothing"
            );
            Guarantees::default()
        }
    }
}

fn of_type(magic: u32) -> Guarantees {
    KNOWN
        .iter()
        .find(|known| known.magic == magic)
        .map_or_else(Guarantees::default, |known| known.guarantees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_filesystems_guarantee_nothing() {
        // FUSE, NFS, the kernel's overlayfs.
        for magic in [0x6573_5546, 0x6969, 0x794C_7630] {
            assert_eq!(of_type(magic), Guarantees::default(), "{magic:#x}");
        }
        assert!(of_type(0xEF53).ordered_names);
        let btrfs = of_type(0x9123_683E);
        assert!(!btrfs.ordered_names && btrfs.errors_at_write);
    }
}
