//! What guests ask for, and data that they read and write.

use super::{ANY, Found, Work};

const LISTING: Work = Work {
    does: "readdir",
    unit: "listing",
    turns: 4,
    counted_turns: 2,
    // The listing is kept until a name changes.
    most_calls: Some(0.0),
    ..ANY
};

/// From end to end, in steps of 64 KiB.
const SEQUENTIAL: Work = Work {
    found: Found::Big,
    unit: "MiB",
    turns: 1,
    counted_turns: 1,
    most: &[("0.2 composed", 1.1)],
    ..ANY
};

const RANDOM: Work = Work {
    found: Found::PageOfBig,
    unit: "read",
    ..ANY
};

const WALK: Work = Work {
    does: "walk",
    found: Found::Files,
    unit: "file",
    turns: 1,
    counted_turns: 1,
    ..ANY
};

/// What each guest does, on each side.
pub(super) const WORKS: &[Work] = &[
    // What a call costs that asks the engine nothing: no other can be faster.
    Work {
        name: "get-type",
        does: "get-type",
        turns: 40_000,
        most_calls: Some(0.0),
        ..ANY
    },
    Work {
        name: "stat",
        does: "stat",
        turns: 10_000,
        most: &[
            ("0.1", 0.1),
            ("0.2", 0.2),
            ("0.3", 0.5),
            ("0.2 composed", 1.5),
        ],
        most_calls: Some(0.0),
        ..ANY
    },
    Work {
        name: "missing-stat",
        does: "missing-stat",
        turns: 10_000,
        most: &[
            ("0.1", 0.15),
            ("0.2", 0.25),
            ("0.3", 0.5),
            ("0.2 composed", 1.5),
        ],
        most_calls: Some(0.0),
        ..ANY
    },
    Work {
        name: "deep-stat",
        does: "deep-stat",
        turns: 10_000,
        most_calls: Some(0.0),
        ..ANY
    },
    Work {
        name: "fstat",
        does: "fstat",
        turns: 20_000,
        ..ANY
    },
    // Of a file that the upper has.
    Work {
        name: "stat-upper",
        does: "stat-upper",
        turns: 10_000,
        changes: true,
        most_calls: Some(0.0),
        ..ANY
    },
    Work {
        name: "open-close",
        does: "open-close",
        turns: 5000,
        most_calls: Some(0.0),
        most: &[("0.3", 0.5)],
        ..ANY
    },
    Work {
        name: "open-read-close",
        does: "open-read-close",
        turns: 5000,
        // A kept descriptor serves the open.
        most_calls: Some(1.0),
        most: &[
            ("0.1", 0.3),
            ("0.2", 0.3),
            ("0.3", 0.5),
            ("0.2 composed", 1.5),
        ],
        ..ANY
    },
    Work {
        name: "readdir-10",
        found: Found::Entries(10),
        turns: 200,
        counted_turns: 20,
        ..LISTING
    },
    Work {
        name: "readdir-1000",
        found: Found::Entries(1000),
        most: &[("0.1", 0.03), ("0.2", 0.25), ("0.3", 0.5)],
        ..LISTING
    },
    Work {
        name: "readdir-10000",
        found: Found::Entries(10_000),
        turns: 1,
        counted_turns: 1,
        counts_stock: false,
        most: &[("0.1", 0.005), ("0.2", 1.0), ("0.3", 0.5)],
        ..LISTING
    },
    Work {
        name: "walk",
        most: &[("0.1", 0.1), ("0.2", 0.1), ("0.3", 0.5)],
        ..WALK
    },
    Work {
        name: "walk-cold",
        warm: false,
        most: &[("0.1", 0.5), ("0.2", 0.5), ("0.3", 0.5)],
        ..WALK
    },
    Work {
        name: "read",
        does: "read",
        ..SEQUENTIAL
    },
    Work {
        name: "write",
        does: "write",
        ..SEQUENTIAL
    },
    // Without streams. Composed, what is read and written goes from one component to the other,
    // and wasmtime copies it byte by byte: a promise would be one about its compiler.
    Work {
        name: "read-at",
        does: "read-at",
        most: &[],
        ..SEQUENTIAL
    },
    Work {
        name: "write-at",
        does: "write-at",
        most: &[],
        ..SEQUENTIAL
    },
    Work {
        name: "random-read",
        does: "random-read",
        ..RANDOM
    },
    Work {
        name: "random-read-at",
        does: "random-read-at",
        most: &[("0.1", 0.7), ("0.2", 0.7)],
        most_calls: Some(1.0),
        ..RANDOM
    },
];
