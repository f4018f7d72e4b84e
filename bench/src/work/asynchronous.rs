//! What guests of an asynchronous program do whose threads must not block, against the same program
//! where they may.

use super::{ANY, Found, Timed, Work};
use crate::subject::Side;

/// Walking and reading files that are in memory, on a mount that is warm.
const REQUEST: Work = Work {
    does: "request",
    found: Found::Requested,
    unit: "file",
    turns: 5,
    counted_turns: 2,
    peer: Side::Inline,
    most: &[("0.1 pool", 1.1), ("0.2 pool", 1.1), ("0.3 pool", 1.1)],
    most_calls: Some(0.0),
    ..ANY
};

/// What each guest does.
pub(super) const WORKS: &[Work] = &[
    Work {
        name: "request",
        ..REQUEST
    },
    // On one stack, which was looked at before. Each guest has a new overlay.
    Work {
        name: "requests-at-once",
        timed: Timed::Crowd(200),
        found: Found::Units(1),
        unit: "request",
        turns: 200,
        counted_turns: 0,
        warm: false,
        ..REQUEST
    },
];
