//! Workloads that start a program.

use super::{DEFAULTS, Timed, Workload};

const START: Workload = Workload {
    unit: "start",
    iterations: 100,
    counted_iterations: 20,
    warm: false,
    max_ratios: &[("0.2 composed", 1.2)],
    ..DEFAULTS
};

/// The workloads of this file, for components only. The baseline is the component without overlay.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "instantiate",
        timed: Timed::Instance,
        ..START
    },
    Workload {
        name: "start",
        timed: Timed::Run("nothing"),
        ..START
    },
    // The guest mounts the overlay and merges three directories of every layer.
    Workload {
        name: "start-one-stat",
        timed: Timed::Run("one-stat"),
        max_ratios: &[],
        ..START
    },
    Workload {
        name: "process",
        timed: Timed::Process("nothing"),
        iterations: 2,
        counted_iterations: 0,
        ..START
    },
    Workload {
        name: "process-one-stat",
        timed: Timed::Process("one-stat"),
        iterations: 2,
        counted_iterations: 0,
        ..START
    },
];
