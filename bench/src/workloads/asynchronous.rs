//! Workloads of guests in an asynchronous program whose threads must not block. The baseline is the same
//! program with threads that may block.

use super::{DEFAULTS, IterationSize, Timed, Workload};
use crate::subject::Backend;

/// Walks and reads files that are in memory, on a warm mount.
const REQUEST: Workload = Workload {
    guest_command: "request",
    size: IterationSize::Requested,
    unit: "file",
    iterations: 5,
    counted_iterations: 2,
    baseline: Backend::Inline,
    max_ratios: &[("0.1 pool", 1.1), ("0.2 pool", 1.1), ("0.3 pool", 1.1)],
    max_calls: Some(0.0),
    ..DEFAULTS
};

/// The workloads of this file.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "request",
        ..REQUEST
    },
    // All overlays share one warm stack. Each guest has a new overlay.
    Workload {
        name: "requests-at-once",
        timed: Timed::Concurrent(200),
        size: IterationSize::Units(1),
        unit: "request",
        iterations: 200,
        counted_iterations: 0,
        warm: false,
        ..REQUEST
    },
];
