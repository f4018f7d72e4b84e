//! What the host does.

use super::{ANY, Timed, Work};

/// What the host does with core modules.
pub(super) const WORKS: &[Work] = &[
    // Stock opens its directory.
    Work {
        name: "mount",
        timed: Timed::Mount,
        unit: "mount",
        turns: 500,
        most: &[("0.1", f64::INFINITY)],
        most_micros: Some(10.0),
        ..ANY
    },
    // Of an upper in memory with 100,000 files; stock has nothing to drop but its directory.
    Work {
        name: "drop",
        timed: Timed::Drop(100_000),
        unit: "overlay",
        turns: 1,
        counted_turns: 0,
        warm: false,
        most: &[("0.1", f64::INFINITY)],
        most_micros: Some(1000.0),
        ..ANY
    },
    Work {
        name: "python",
        timed: Timed::Python,
        unit: "start",
        turns: 1,
        counted_turns: 1,
        warm: false,
        most: &[("0.1", 0.8)],
        ..ANY
    },
];
