//! What is timed, and what it may cost. The guests `p1_bench`, `p2_bench` and `p3_bench`, and the
//! native program beside them, know the same works by the same names.

use crate::subject::Side;
use crate::trees::Sizes;

/// One thing that a guest does over and over, or that is done with it.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// What the guests call it.
    pub(crate) does: &'static str,
    pub(crate) timed: Timed,
    /// What a turn has to find, and counts as.
    pub(crate) found: Found,
    /// What each of the things in a turn is.
    pub(crate) unit: &'static str,
    /// Turns in one timed run: some ten milliseconds, and more where much data moves.
    pub(crate) turns: u32,
    /// Turns in one counted run, where each system call costs a stop; 0 if none is counted.
    pub(crate) counted_turns: u32,
    /// Whether stock is counted as well: it can make so many calls that nobody waits for them.
    pub(crate) counts_stock: bool,
    /// Whether one turn is done before the clock starts.
    pub(crate) warm: bool,
    /// Whether it changes the trees, so that they are restored before each run.
    pub(crate) changes: bool,
    /// What the times are compared with.
    pub(crate) peer: Side,
    /// How many times as long as the peer's it may take, by the label of the subject. One that is
    /// not listed may take as long as the peer if it is a plugin; of others nothing is promised.
    pub(crate) most: &'static [(&'static str, f64)],
    /// System calls a unit that a plugin may make at most.
    pub(crate) most_calls: Option<f64>,
    /// Microseconds a unit that a plugin may take at most, whatever the peer takes.
    pub(crate) most_micros: Option<f64>,
}

/// What of a guest is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timed {
    /// What it does, by its own clock.
    Guest,
    /// Making an instance of a component that is compiled.
    Instance,
    /// From a compiled component to the end of a run, with this argument.
    Run(&'static str),
    /// The same in a process of its own, the component compiled beforehand.
    Process(&'static str),
    /// Making what shows a guest its files, and dropping it.
    Mount,
    /// CPython, from a compiled module to its end.
    Python,
}

/// What a turn has to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// As much as the work always finds, which counts as so many units.
    Units(u32),
    /// A listing of so many entries.
    Entries(u32),
    /// The file that is read from end to end, in MiB.
    Big,
    /// A page of that file.
    PageOfBig,
    /// The file that is copied up, in MiB.
    Large,
    /// The files that are walked.
    Files,
}

impl Work {
    /// Its name, with what it is compared with where that is not stock.
    pub(crate) fn title(&self) -> String {
        match self.peer {
            Side::Native => format!("{} ÷ native", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// Units in one turn.
    pub(crate) fn units(&self, sizes: &Sizes) -> u32 {
        match self.found {
            Found::Units(units) => units,
            Found::Entries(_) | Found::PageOfBig => 1,
            Found::Big => sizes.big_mib,
            Found::Large => sizes.large_mib,
            Found::Files => sizes.files,
        }
    }

    /// What the guest is told to find.
    pub(crate) fn size(&self, sizes: &Sizes) -> u64 {
        match self.found {
            Found::Units(_) => 0,
            Found::Entries(entries) => entries.into(),
            Found::Big | Found::PageOfBig => u64::from(sizes.big_mib) << 20,
            Found::Large => u64::from(sizes.large_mib) << 20,
            Found::Files => sizes.files.into(),
        }
    }
}

/// A row of this at 64 layers may take [`GROWTH`] times as long as at 1.
pub(crate) const GROWS: &str = "walk-cold";

/// See [`GROWS`].
pub(crate) const GROWTH: f64 = 4.0;

/// A core module may take [`OVER_NATIVE`] times as long for these as a native program.
pub(crate) const AS_NATIVE: &[&str] = &["read", "write"];

/// See [`AS_NATIVE`].
pub(crate) const OVER_NATIVE: f64 = 1.05;

/// What most works have in common.
const ANY: Work = Work {
    name: "",
    does: "",
    timed: Timed::Guest,
    found: Found::Units(1),
    unit: "call",
    turns: 2000,
    counted_turns: 100,
    counts_stock: true,
    warm: true,
    changes: false,
    peer: Side::Stock,
    most: &[],
    most_calls: None,
    most_micros: None,
};

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

/// A change of small files of the lower layers, each of which is changed once. Warm, another one
/// in their directory was changed before, so that the directory is in the upper and merged; nobody
/// looked at the files.
const OF_LOWER: Work = Work {
    unit: "file",
    turns: 100,
    counted_turns: 100,
    changes: true,
    most: &[("0.1", 1.5), ("0.2", 1.5), ("0.3", 1.5)],
    ..ANY
};

/// The same with what a mount looks up first, and the copy-up of the directory.
const OF_LOWER_COLD: Work = Work {
    warm: false,
    most: &[
        ("0.1", f64::INFINITY),
        ("0.2", f64::INFINITY),
        ("0.3", f64::INFINITY),
    ],
    ..OF_LOWER
};

const START: Work = Work {
    unit: "start",
    turns: 100,
    counted_turns: 20,
    warm: false,
    most: &[("0.2 composed", 1.2)],
    ..ANY
};

/// What each guest does, on each side.
pub(crate) const WORKS: &[Work] = &[
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
    Work {
        name: "create-write-unlink",
        does: "create-write-unlink",
        unit: "file",
        turns: 500,
        ..ANY
    },
    Work {
        name: "rename",
        does: "rename",
        found: Found::Units(2),
        changes: true,
        turns: 500,
        ..ANY
    },
    Work {
        name: "append-lower",
        does: "append-lower",
        ..OF_LOWER
    },
    Work {
        name: "unlink-lower",
        does: "unlink-lower",
        ..OF_LOWER
    },
    Work {
        name: "rename-lower",
        does: "rename-lower",
        ..OF_LOWER
    },
    Work {
        name: "append-lower-cold",
        does: "append-lower",
        ..OF_LOWER_COLD
    },
    Work {
        name: "unlink-lower-cold",
        does: "unlink-lower",
        ..OF_LOWER_COLD
    },
    Work {
        name: "rename-lower-cold",
        does: "rename-lower",
        ..OF_LOWER_COLD
    },
    // A plain directory copies nothing up. How fast could one be that does? This compares with a
    // native program that copies, marks and renames as an overlay has to.
    Work {
        name: "append-copied",
        does: "append-copied",
        peer: Side::Native,
        ..OF_LOWER
    },
    Work {
        name: "unlink-marked",
        does: "unlink-marked",
        peer: Side::Native,
        ..OF_LOWER
    },
    Work {
        name: "rename-copied",
        does: "rename-copied",
        peer: Side::Native,
        ..OF_LOWER
    },
    Work {
        name: "copy-up-large",
        does: "copy-up-large",
        found: Found::Large,
        unit: "MiB",
        turns: 1,
        counted_turns: 1,
        warm: false,
        changes: true,
        peer: Side::Native,
        ..ANY
    },
];

/// How a program begins. Of components only, uncomposed and composed.
pub(crate) const STARTS: &[Work] = &[
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

/// What the host does with core modules.
pub(crate) const OF_HOST: &[Work] = &[
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

/// All there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Work> {
    WORKS.iter().chain(STARTS).chain(OF_HOST)
}

/// The work of that name.
pub(crate) fn named(name: &str) -> Option<&'static Work> {
    all().find(|work| work.name == name)
}
