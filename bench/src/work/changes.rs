//! What guests change.

use super::{ANY, Found, Work};
use crate::subject::Side;

/// A change of small files of the lower layers, each of which is changed once. Warm, another one
/// in their directory was changed before, so that the directory is in the upper and merged; the
/// files were not looked up.
const OF_LOWER: Work = Work {
    unit: "file",
    turns: 100,
    counted_turns: 100,
    changes: true,
    most: &[("0.1", 1.5), ("0.2", 1.5), ("0.3", 1.5)],
    ..ANY
};

/// The same with what a mount looks up first, and the copy-up of the directory.
const OF_LOWER_COLD: Work = Work {
    warm: false,
    most: &[
        ("0.1", f64::INFINITY),
        ("0.2", f64::INFINITY),
        ("0.3", f64::INFINITY),
    ],
    ..OF_LOWER
};

/// One turn on a new mount.
const ONCE: Work = Work {
    turns: 1,
    counted_turns: 1,
    warm: false,
    ..ANY
};

/// What each guest does, on each side.
pub(super) const WORKS: &[Work] = &[
    Work {
        name: "create-write-unlink",
        does: "create-write-unlink",
        unit: "file",
        turns: 500,
        changes: true,
        ..ANY
    },
    Work {
        name: "rename",
        does: "rename",
        found: Found::Units(2),
        changes: true,
        turns: 500,
        ..ANY
    },
    Work {
        name: "mkdir-rmdir",
        does: "mkdir-rmdir",
        unit: "pair",
        turns: 500,
        changes: true,
        ..ANY
    },
    // Each has a name of its own, and all are left.
    Work {
        name: "create",
        does: "create",
        unit: "file",
        turns: 10_000,
        changes: true,
        ..ANY
    },
    // As `pip install` and `npm install` do.
    Work {
        name: "unpack",
        does: "unpack",
        found: Found::Unpacked,
        unit: "file",
        changes: true,
        ..ONCE
    },
    Work {
        name: "remove-unpacked",
        does: "remove-unpacked",
        found: Found::Unpacked,
        unit: "file",
        changes: true,
        ..ONCE
    },
    Work {
        name: "remove-lower-tree",
        does: "remove-tree",
        found: Found::Removed,
        unit: "entry",
        changes: true,
        most: &[("0.1", 1.2), ("0.2", 1.2), ("0.3", 1.2)],
        ..ONCE
    },
    // A plain directory is renamed in one call. This compares with a native program that copies the
    // directory and syncs.
    Work {
        name: "rename-lower-dir",
        does: "rename-dir",
        found: Found::Moved,
        unit: "file",
        changes: true,
        peer: Side::Native,
        most: &[("0.1", 1.5), ("0.2", 1.5), ("0.3", 1.5)],
        ..ONCE
    },
    // Each in a directory of its own, of which nothing is known yet.
    Work {
        name: "append-lower-spread",
        does: "append-spread",
        turns: 200,
        ..OF_LOWER_COLD
    },
    Work {
        name: "rename-lower-spread",
        does: "rename-spread",
        turns: 200,
        ..OF_LOWER_COLD
    },
    Work {
        name: "append-lower",
        does: "append-lower",
        ..OF_LOWER
    },
    Work {
        name: "unlink-lower",
        does: "unlink-lower",
        ..OF_LOWER
    },
    Work {
        name: "rename-lower",
        does: "rename-lower",
        ..OF_LOWER
    },
    Work {
        name: "append-lower-cold",
        does: "append-lower",
        ..OF_LOWER_COLD
    },
    Work {
        name: "unlink-lower-cold",
        does: "unlink-lower",
        ..OF_LOWER_COLD
    },
    Work {
        name: "rename-lower-cold",
        does: "rename-lower",
        ..OF_LOWER_COLD
    },
    // A plain directory copies nothing up. How fast could one be that does? This compares with a
    // native program that copies, marks and renames as an overlay has to.
    Work {
        name: "append-copied",
        does: "append-copied",
        peer: Side::Native,
        ..OF_LOWER
    },
    Work {
        name: "unlink-marked",
        does: "unlink-marked",
        peer: Side::Native,
        ..OF_LOWER
    },
    Work {
        name: "rename-copied",
        does: "rename-copied",
        peer: Side::Native,
        ..OF_LOWER
    },
    Work {
        name: "copy-up-large",
        does: "copy-up-large",
        found: Found::Large,
        unit: "MiB",
        turns: 1,
        counted_turns: 1,
        warm: false,
        changes: true,
        peer: Side::Native,
        ..ANY
    },
];
