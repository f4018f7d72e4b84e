//! What is timed. The guests `p1_bench` and `p2_bench` know the same works by the same names.

/// One thing that a guest does over and over.
#[derive(Debug)]
pub(crate) struct Work {
    /// What the guests call it.
    pub(crate) name: &'static str,
    /// What one turn is counted as.
    pub(crate) unit: &'static str,
    /// Units in one turn.
    pub(crate) units: u32,
    /// Turns in one timed run: some ten milliseconds.
    pub(crate) turns: u32,
    /// Turns in one counted run, where each system call costs a stop.
    pub(crate) counted_turns: u32,
    /// System calls a unit that an overlay may make at most, whatever stock makes. One of them is
    /// `fcntl`, by which builds with debug assertions check a descriptor before they close it.
    pub(crate) most_calls: f64,
}

/// MiB in the file that is read and written from end to end. Equal to the guests' own.
pub(crate) const BIG_MIB: u32 = 32;

/// Entries of the directory that is listed.
pub(crate) const ENTRIES: u32 = 1000;

/// Everything that is timed.
pub(crate) const WORKS: &[Work] = &[
    Work {
        name: "stat",
        unit: "call",
        units: 1,
        turns: 2000,
        counted_turns: 100,
        most_calls: 0.0,
    },
    Work {
        name: "missing-stat",
        unit: "call",
        units: 1,
        turns: 4000,
        counted_turns: 100,
        most_calls: 0.0,
    },
    Work {
        name: "open-read-close",
        unit: "turn",
        units: 1,
        turns: 2000,
        counted_turns: 100,
        // A kept descriptor serves the open.
        most_calls: 1.0,
    },
    Work {
        name: "readdir",
        unit: "listing",
        units: 1,
        turns: 4,
        counted_turns: 2,
        // The listing is kept until a name changes.
        most_calls: 0.0,
    },
    Work {
        name: "read",
        unit: "MiB",
        units: BIG_MIB,
        turns: 2,
        counted_turns: 1,
        // Steps of 64 KiB.
        most_calls: 18.0,
    },
    Work {
        name: "write",
        unit: "MiB",
        units: BIG_MIB,
        turns: 1,
        counted_turns: 1,
        most_calls: 18.0,
    },
    Work {
        name: "create-write-unlink",
        unit: "turn",
        units: 1,
        turns: 1000,
        counted_turns: 100,
        // One of them is the standard library's own check of each close, where assertions are on.
        most_calls: 6.0,
    },
];

/// The work of that name.
pub(crate) fn named(name: &str) -> Option<&'static Work> {
    WORKS.iter().find(|work| work.name == name)
}
