//! What is timed, and what it may cost. The guests `p1_bench`, `p2_bench` and `p3_bench`, and the
//! native program beside them, know the same works by the same names.

mod asynchronous;
mod changes;
mod host;
mod reads;
mod starts;

use crate::subject::Side;
use crate::trees::{REMOVED, REQUESTED, Sizes};

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
    /// Whether stock is counted as well: it can make so many calls that counting them takes too long.
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
    /// So many guests at once in an asynchronous program, each on an overlay of its own, from the first
    /// to the end of the last.
    Crowd(u32),
    /// Dropping an overlay with so many files in an upper in memory.
    Drop(u32),
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
    /// The files that are unpacked, in directories of 10.
    Unpacked,
    /// The files of the directory that is renamed.
    Moved,
    /// The files and directories of the tree that is removed.
    Removed,
    /// The files that a request reads.
    Requested,
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
            Found::Unpacked | Found::Moved => sizes.tree_files,
            Found::Removed => REMOVED,
            Found::Requested => REQUESTED,
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
            Found::Unpacked | Found::Moved => sizes.tree_files.into(),
            Found::Removed => REMOVED.into(),
            Found::Requested => REQUESTED.into(),
        }
    }
}

/// A row of this at 64 layers may take [`GROWTH`] times as long as at 1.
pub(crate) const GROWS: &str = "walk-cold";

/// See [`GROWS`].
pub(crate) const GROWTH: f64 = 4.0;

/// A core module may take [`OVER_NATIVE`] times as long for these as a native program.
pub(crate) const AS_NATIVE: &[&str] = &["read", "write"];

/// A core module may take as long for these as on the kernel's overlayfs.
pub(crate) const AS_KERNEL: &[&str] = &[
    "append-lower",
    "rename-lower",
    "append-lower-spread",
    "rename-lower-spread",
];

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

/// All there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Work> {
    reads::WORKS
        .iter()
        .chain(changes::WORKS)
        .chain(asynchronous::WORKS)
        .chain(starts::WORKS)
        .chain(host::WORKS)
}

/// The work of that name.
pub(crate) fn named(name: &str) -> Option<&'static Work> {
    all().find(|work| work.name == name)
}
