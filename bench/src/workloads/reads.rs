//! Workloads that query names and attributes, and that read and write data.

use super::{DEFAULTS, IterationSize, Workload};

const LISTING: Workload = Workload {
    guest_command: "readdir",
    unit: "listing",
    iterations: 4,
    counted_iterations: 2,
    // The listing is cached until a name changes.
    max_calls: Some(0.0),
    ..DEFAULTS
};

/// Sequential, in steps of 64 KiB.
const SEQUENTIAL: Workload = Workload {
    size: IterationSize::Big,
    unit: "MiB",
    iterations: 1,
    counted_iterations: 1,
    max_ratios: &[("0.2 composed", 1.1)],
    ..DEFAULTS
};

const RANDOM: Workload = Workload {
    size: IterationSize::PageOfBig,
    unit: "read",
    ..DEFAULTS
};

pub(super) const WALK: Workload = Workload {
    guest_command: "walk",
    size: IterationSize::Files,
    unit: "file",
    iterations: 1,
    counted_iterations: 1,
    ..DEFAULTS
};

/// The workloads of this file.
pub(super) const WORKLOADS: &[Workload] = &[
    // A call that the plugin answers without the engine.
    Workload {
        name: "get-type",
        guest_command: "get-type",
        iterations: 40_000,
        max_calls: Some(0.0),
        ..DEFAULTS
    },
    Workload {
        name: "stat",
        guest_command: "stat",
        iterations: 10_000,
        max_ratios: &[
            ("0.1", 0.1),
            ("0.2", 0.2),
            ("0.3", 0.5),
            ("0.2 composed", 1.5),
        ],
        max_calls: Some(0.0),
        ..DEFAULTS
    },
    Workload {
        name: "missing-stat",
        guest_command: "missing-stat",
        iterations: 10_000,
        max_ratios: &[
            ("0.1", 0.15),
            ("0.2", 0.25),
            ("0.3", 0.5),
            ("0.2 composed", 1.5),
        ],
        max_calls: Some(0.0),
        ..DEFAULTS
    },
    Workload {
        name: "deep-stat",
        guest_command: "deep-stat",
        iterations: 10_000,
        max_calls: Some(0.0),
        ..DEFAULTS
    },
    Workload {
        name: "fstat",
        guest_command: "fstat",
        iterations: 20_000,
        ..DEFAULTS
    },
    // A file in the upper.
    Workload {
        name: "stat-upper",
        guest_command: "stat-upper",
        iterations: 10_000,
        changes: true,
        max_calls: Some(0.0),
        ..DEFAULTS
    },
    Workload {
        name: "open-close",
        guest_command: "open-close",
        iterations: 5000,
        max_calls: Some(0.0),
        max_ratios: &[("0.3", 0.5)],
        ..DEFAULTS
    },
    Workload {
        name: "open-read-close",
        guest_command: "open-read-close",
        iterations: 5000,
        // A cached descriptor serves the open; the read is the one call.
        max_calls: Some(1.0),
        max_ratios: &[
            ("0.1", 0.3),
            ("0.2", 0.3),
            ("0.3", 0.5),
            ("0.2 composed", 1.5),
        ],
        ..DEFAULTS
    },
    Workload {
        name: "readdir-10",
        size: IterationSize::Entries(10),
        iterations: 200,
        counted_iterations: 20,
        ..LISTING
    },
    Workload {
        name: "readdir-1000",
        size: IterationSize::Entries(1000),
        max_ratios: &[("0.1", 0.03), ("0.2", 0.25), ("0.3", 0.5)],
        ..LISTING
    },
    Workload {
        name: "readdir-10000",
        size: IterationSize::Entries(10_000),
        iterations: 1,
        counted_iterations: 1,
        counts_baseline: false,
        max_ratios: &[("0.1", 0.005), ("0.2", 1.0), ("0.3", 0.5)],
        ..LISTING
    },
    Workload {
        name: "walk",
        max_ratios: &[("0.1", 0.1), ("0.2", 0.1), ("0.3", 0.5)],
        ..WALK
    },
    Workload {
        name: "walk-cold",
        warm: false,
        max_ratios: &[("0.1", 0.5), ("0.2", 0.5), ("0.3", 0.5)],
        ..WALK
    },
    Workload {
        name: "read",
        guest_command: "read",
        ..SEQUENTIAL
    },
    Workload {
        name: "write",
        guest_command: "write",
        ..SEQUENTIAL
    },
    // Without streams. Composed, the data passes from one component to the other, and wasmtime copies it
    // byte by byte: a bound would be one on its compiler.
    Workload {
        name: "read-at",
        guest_command: "read-at",
        max_ratios: &[],
        ..SEQUENTIAL
    },
    Workload {
        name: "write-at",
        guest_command: "write-at",
        max_ratios: &[],
        ..SEQUENTIAL
    },
    Workload {
        name: "random-read",
        guest_command: "random-read",
        ..RANDOM
    },
    Workload {
        name: "random-read-at",
        guest_command: "random-read-at",
        max_ratios: &[("0.1", 0.7), ("0.2", 0.7)],
        max_calls: Some(1.0),
        ..RANDOM
    },
];
