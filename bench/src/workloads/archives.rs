//! Workloads on layers in archives, against the same layers in directories.

use super::{DEFAULTS, IterationSize, Workload};
use crate::subject::Backend;

const ARCHIVES: Workload = Workload {
    baseline: Backend::Overlay,
    ..DEFAULTS
};

const WALK: Workload = Workload {
    baseline: ARCHIVES.baseline,
    ..super::reads::WALK
};

/// The workloads of this file.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "archive-stat",
        guest_command: "stat",
        iterations: 10_000,
        max_calls: Some(0.0),
        ..ARCHIVES
    },
    // The names of a new mount are not known.
    Workload {
        name: "archive-stat-cold",
        guest_command: "stat",
        iterations: 1,
        warm: false,
        counted_iterations: 1,
        ..ARCHIVES
    },
    Workload {
        name: "archive-list",
        guest_command: "readdir",
        size: IterationSize::Entries(1000),
        unit: "listing",
        iterations: 4,
        counted_iterations: 2,
        max_calls: Some(0.0),
        ..ARCHIVES
    },
    Workload {
        name: "archive-list-cold",
        guest_command: "readdir",
        size: IterationSize::Entries(10_000),
        unit: "listing",
        iterations: 1,
        warm: false,
        counted_iterations: 1,
        ..ARCHIVES
    },
    Workload {
        name: "archive-walk",
        ..WALK
    },
    Workload {
        name: "archive-walk-cold",
        warm: false,
        ..WALK
    },
    Workload {
        name: "archive-open-read-close",
        guest_command: "open-read-close",
        iterations: 5000,
        max_calls: Some(1.0),
        ..ARCHIVES
    },
    // Sequential, in steps of 64 KiB.
    Workload {
        name: "archive-read",
        guest_command: "read",
        size: IterationSize::Big,
        unit: "MiB",
        iterations: 1,
        counted_iterations: 1,
        ..ARCHIVES
    },
];
