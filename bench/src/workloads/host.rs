//! Workloads of the host: mounting, dropping, and starting CPython.

use super::{DEFAULTS, Timed, Workload};

/// The workloads of this file, for core modules only.
pub(super) const WORKLOADS: &[Workload] = &[
    // The baseline opens its directory.
    Workload {
        name: "mount",
        timed: Timed::Mount,
        unit: "mount",
        iterations: 500,
        max_ratios: &[("0.1", f64::INFINITY)],
        max_micros: Some(10.0),
        ..DEFAULTS
    },
    // An upper in memory with 100,000 files. The baseline opens and drops its directory.
    Workload {
        name: "drop",
        timed: Timed::Drop(100_000),
        unit: "overlay",
        iterations: 1,
        counted_iterations: 0,
        warm: false,
        max_ratios: &[("0.1", f64::INFINITY)],
        max_micros: Some(1000.0),
        ..DEFAULTS
    },
    Workload {
        name: "python",
        timed: Timed::Python,
        unit: "start",
        iterations: 1,
        counted_iterations: 1,
        warm: false,
        max_ratios: &[("0.1", 0.8)],
        ..DEFAULTS
    },
];
