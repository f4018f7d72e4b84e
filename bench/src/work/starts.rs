//! How programs begin.

use super::{ANY, Timed, Work};

const START: Work = Work {
    unit: "start",
    turns: 100,
    counted_turns: 20,
    warm: false,
    most: &[("0.2 composed", 1.2)],
    ..ANY
};

/// How a program begins. Of components only, uncomposed and composed.
pub(super) const WORKS: &[Work] = &[
    Work {
        name: "instantiate",
        timed: Timed::Instance,
        ..START
    },
    Work {
        name: "start",
        timed: Timed::Run("nothing"),
        ..START
    },
    // It mounts, and merges three directories of every layer.
    Work {
        name: "start-one-stat",
        timed: Timed::Run("one-stat"),
        most: &[],
        ..START
    },
    Work {
        name: "process",
        timed: Timed::Process("nothing"),
        turns: 2,
        counted_turns: 0,
        ..START
    },
    Work {
        name: "process-one-stat",
        timed: Timed::Process("one-stat"),
        turns: 2,
        counted_turns: 0,
        ..START
    },
];
