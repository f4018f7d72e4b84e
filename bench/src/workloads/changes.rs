//! Workloads that change files and directories.

use super::{DEFAULTS, IterationSize, Workload};
use crate::subject::Backend;

/// Changes small files of the lower layers, each of them once. The warm-up changes another file of
/// their directory, so that the directory is in the upper and merged. The files themselves have not
/// been looked up.
const OF_LOWER: Workload = Workload {
    unit: "file",
    iterations: 100,
    counted_iterations: 100,
    changes: true,
    max_ratios: &[("0.1", 1.5), ("0.2", 1.5), ("0.3", 1.5)],
    ..DEFAULTS
};

/// The same on a new mount, with its first lookups and the copy-up of the directory.
const OF_LOWER_COLD: Workload = Workload {
    warm: false,
    max_ratios: &[
        ("0.1", f64::INFINITY),
        ("0.2", f64::INFINITY),
        ("0.3", f64::INFINITY),
    ],
    ..OF_LOWER
};

/// One iteration on a new mount.
const ONCE: Workload = Workload {
    iterations: 1,
    counted_iterations: 1,
    warm: false,
    ..DEFAULTS
};

/// The workloads of this file.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "create-write-unlink",
        guest_command: "create-write-unlink",
        unit: "file",
        iterations: 500,
        changes: true,
        ..DEFAULTS
    },
    Workload {
        name: "rename",
        guest_command: "rename",
        size: IterationSize::Units(2),
        changes: true,
        iterations: 500,
        ..DEFAULTS
    },
    Workload {
        name: "mkdir-rmdir",
        guest_command: "mkdir-rmdir",
        unit: "pair",
        iterations: 500,
        changes: true,
        ..DEFAULTS
    },
    // Each file has a new name, and none is removed.
    Workload {
        name: "create",
        guest_command: "create",
        unit: "file",
        iterations: 10_000,
        changes: true,
        ..DEFAULTS
    },
    // As by `pip install` and `npm install`.
    Workload {
        name: "unpack",
        guest_command: "unpack",
        size: IterationSize::Unpacked,
        unit: "file",
        changes: true,
        ..ONCE
    },
    Workload {
        name: "remove-unpacked",
        guest_command: "remove-unpacked",
        size: IterationSize::Unpacked,
        unit: "file",
        changes: true,
        ..ONCE
    },
    Workload {
        name: "remove-lower-tree",
        guest_command: "remove-tree",
        size: IterationSize::Removed,
        unit: "entry",
        changes: true,
        max_ratios: &[("0.1", 1.2), ("0.2", 1.2), ("0.3", 1.2)],
        ..ONCE
    },
    // A plain directory is renamed by one call, so the baseline is a native program that copies the
    // directory and syncs.
    Workload {
        name: "rename-lower-dir",
        guest_command: "rename-dir",
        size: IterationSize::Moved,
        unit: "file",
        changes: true,
        baseline: Backend::Native,
        max_ratios: &[("0.1", 1.5), ("0.2", 1.5), ("0.3", 1.5)],
        ..ONCE
    },
    // Each file is in its own directory, which has not been looked up.
    Workload {
        name: "append-lower-spread",
        guest_command: "append-spread",
        iterations: 200,
        ..OF_LOWER_COLD
    },
    Workload {
        name: "rename-lower-spread",
        guest_command: "rename-spread",
        iterations: 200,
        ..OF_LOWER_COLD
    },
    Workload {
        name: "append-lower",
        guest_command: "append-lower",
        ..OF_LOWER
    },
    Workload {
        name: "unlink-lower",
        guest_command: "unlink-lower",
        ..OF_LOWER
    },
    Workload {
        name: "rename-lower",
        guest_command: "rename-lower",
        ..OF_LOWER
    },
    Workload {
        name: "append-lower-cold",
        guest_command: "append-lower",
        ..OF_LOWER_COLD
    },
    Workload {
        name: "unlink-lower-cold",
        guest_command: "unlink-lower",
        ..OF_LOWER_COLD
    },
    Workload {
        name: "rename-lower-cold",
        guest_command: "rename-lower",
        ..OF_LOWER_COLD
    },
    // A plain directory copies nothing up, so the baseline is a native program that copies, creates
    // whiteouts and renames as an overlay has to.
    Workload {
        name: "append-copied",
        guest_command: "append-copied",
        baseline: Backend::Native,
        ..OF_LOWER
    },
    Workload {
        name: "unlink-marked",
        guest_command: "unlink-marked",
        baseline: Backend::Native,
        ..OF_LOWER
    },
    Workload {
        name: "rename-copied",
        guest_command: "rename-copied",
        baseline: Backend::Native,
        ..OF_LOWER
    },
    Workload {
        name: "copy-up-large",
        guest_command: "copy-up-large",
        size: IterationSize::Large,
        unit: "MiB",
        iterations: 1,
        counted_iterations: 1,
        warm: false,
        changes: true,
        baseline: Backend::Native,
        ..DEFAULTS
    },
];
