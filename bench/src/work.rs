//! What is timed. The guests `p1_bench`, `p2_bench` and `p3_bench` know the same works by the same names.

/// One thing that a guest does over and over, or that is done with it.
#[derive(Debug)]
pub(crate) struct Work {
    /// What the guests call it.
    pub(crate) name: &'static str,
    pub(crate) timed: Timed,
    /// What one turn is counted as.
    pub(crate) unit: &'static str,
    /// Units in one turn.
    pub(crate) units: u32,
    /// Turns in one timed run: some ten milliseconds, and more where much data moves.
    pub(crate) turns: u32,
    /// Turns in one counted run, where each system call costs a stop; 0 if none is counted.
    pub(crate) counted_turns: u32,
    /// System calls a unit that an overlay in the plugin may make at most, whatever stock makes.
    /// One of them is `fcntl`, by which builds with debug assertions check a descriptor before they
    /// close it.
    pub(crate) plugin_calls: f64,
    /// The same for a composed overlay, however few stock makes.
    pub(crate) composed_calls: f64,
    /// How many times as long it may take composed; none if nothing was promised.
    pub(crate) composed_ratio: Option<f64>,
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
}

/// MiB in the file that is read and written from end to end. Equal to the guests' own.
pub(crate) const BIG_MIB: u32 = 256;

/// Entries of the directory that is listed.
pub(crate) const ENTRIES: u32 = 1000;

/// What most works have in common.
const ANY: Work = Work {
    name: "",
    timed: Timed::Guest,
    unit: "turn",
    units: 1,
    turns: 1000,
    counted_turns: 100,
    plugin_calls: f64::INFINITY,
    composed_calls: f64::INFINITY,
    composed_ratio: None,
};

/// From end to end, in steps of 64 KiB.
const SEQUENTIAL: Work = Work {
    unit: "MiB",
    units: BIG_MIB,
    turns: 1,
    counted_turns: 1,
    plugin_calls: 18.0,
    composed_calls: 18.0,
    composed_ratio: Some(1.1),
    ..ANY
};

const START: Work = Work {
    unit: "start",
    turns: 100,
    counted_turns: 20,
    composed_ratio: Some(1.2),
    ..ANY
};

/// What each guest does, on each side.
pub(crate) const WORKS: &[Work] = &[
    Work {
        name: "stat",
        unit: "call",
        turns: 2000,
        plugin_calls: 0.0,
        composed_calls: 0.0,
        composed_ratio: Some(1.5),
        ..ANY
    },
    Work {
        name: "missing-stat",
        unit: "call",
        turns: 4000,
        plugin_calls: 0.0,
        composed_calls: 0.0,
        composed_ratio: Some(1.5),
        ..ANY
    },
    Work {
        name: "open-read-close",
        turns: 2000,
        // A kept descriptor serves the open.
        plugin_calls: 1.0,
        composed_calls: 1.0,
        composed_ratio: Some(1.5),
        ..ANY
    },
    Work {
        name: "readdir",
        unit: "listing",
        turns: 4,
        counted_turns: 2,
        // The listing is kept until a name changes.
        plugin_calls: 0.0,
        composed_calls: 0.0,
        ..ANY
    },
    Work {
        name: "read",
        ..SEQUENTIAL
    },
    Work {
        name: "write",
        ..SEQUENTIAL
    },
    // Without streams. Composed, what is read and written goes from one component to the other,
    // and wasmtime copies it byte by byte: a promise would be one about its compiler.
    Work {
        name: "read-at",
        composed_ratio: None,
        ..SEQUENTIAL
    },
    Work {
        name: "write-at",
        composed_ratio: None,
        ..SEQUENTIAL
    },
    Work {
        name: "create-write-unlink",
        // One of them is the standard library's own check of each close, where assertions are on.
        plugin_calls: 6.0,
        composed_calls: 8.0,
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
    Work {
        name: "start-one-stat",
        timed: Timed::Run("one-stat"),
        // It mounts, and merges three directories of four layers. A quarter of the calls are the
        // `fcntl` of builds with debug assertions.
        composed_calls: 270.0,
        composed_ratio: None,
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

/// The work of that name.
pub(crate) fn named(name: &str) -> Option<&'static Work> {
    let mut all = WORKS.iter().chain(STARTS);
    all.find(|work| work.name == name)
}
