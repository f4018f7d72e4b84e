//! The workloads of the benchmark, with their bounds. The guests `p1_bench`, `p2_bench` and `p3_bench`
//! and the native program implement the same workloads under the same names.

mod archives;
mod asynchronous;
mod changes;
mod host;
mod reads;
mod starts;

use crate::subject::Backend;
use crate::trees::{REMOVED, REQUESTED, Sizes};

/// An operation that is repeated and timed, by a guest or by the host.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// The name by which the guests know it.
    pub(crate) guest_command: &'static str,
    /// The part of a run that is timed.
    pub(crate) timed: Timed,
    /// The size that an iteration expects, and the units that it counts as.
    pub(crate) size: IterationSize,
    /// The unit that times and system calls are reported per.
    pub(crate) unit: &'static str,
    /// Iterations per timed run: about ten milliseconds, and more if a workload moves much data.
    pub(crate) iterations: u32,
    /// Iterations per counted run, where each system call stops the process; 0 if calls are not counted.
    pub(crate) counted_iterations: u32,
    /// Whether the system calls of the baseline are counted. Some make so many that counting takes too long.
    pub(crate) counts_baseline: bool,
    /// Whether one iteration runs before the clock starts.
    pub(crate) warm: bool,
    /// Whether the workload changes the trees, which are then restored before each run.
    pub(crate) changes: bool,
    /// The backend whose times the subjects are compared with.
    pub(crate) baseline: Backend,
    /// Upper bounds on the ratio to the baseline, by the label of the subject. The default is 1 for the
    /// plugin and no bound for other subjects. Infinity means no bound.
    pub(crate) max_ratios: &'static [(&'static str, f64)],
    /// Upper bound on the system calls per unit that the plugin makes.
    pub(crate) max_calls: Option<f64>,
    /// Upper bound on the microseconds per unit that the plugin takes.
    pub(crate) max_micros: Option<f64>,
}

/// The part of a run that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timed {
    /// The iterations in the guest, by its own clock.
    Guest,
    /// Instantiating a compiled component.
    Instance,
    /// A run of a compiled component with this argument, including its store and instantiation.
    Run(&'static str),
    /// The same in a new process, which loads the compiled component.
    Process(&'static str),
    /// Making and dropping an overlay, or opening a directory for the baseline.
    Mount,
    /// This number of concurrent guests in an asynchronous program, each on its own overlay, from the
    /// start of the first to the end of the last.
    Concurrent(u32),
    /// Dropping an overlay with this number of files in an upper in memory.
    Drop(u32),
    /// A run of CPython, from the compiled module to its exit.
    Python,
}

/// The size of an iteration, which the guest checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IterationSize {
    /// A fixed size, which counts as this number of units.
    Units(u32),
    /// A listing of this number of entries.
    Entries(u32),
    /// The file that is read sequentially, in MiB.
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

impl Workload {
    /// The name, with the baseline if it is the native program.
    pub(crate) fn title(&self) -> String {
        match self.baseline {
            Backend::Native => format!("{} ÷ native", self.name),
            Backend::Overlay => format!("{} ÷ directories", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// Units per iteration.
    pub(crate) fn units(&self, sizes: &Sizes) -> u32 {
        match self.size {
            IterationSize::Units(units) => units,
            IterationSize::Entries(_) | IterationSize::PageOfBig => 1,
            IterationSize::Big => sizes.big_mib,
            IterationSize::Large => sizes.large_mib,
            IterationSize::Files => sizes.files,
            IterationSize::Unpacked | IterationSize::Moved => sizes.tree_files,
            IterationSize::Removed => REMOVED,
            IterationSize::Requested => REQUESTED,
        }
    }

    /// The size that the guest is to expect.
    pub(crate) fn expected_size(&self, sizes: &Sizes) -> u64 {
        match self.size {
            IterationSize::Units(_) => 0,
            IterationSize::Entries(entries) => entries.into(),
            IterationSize::Big | IterationSize::PageOfBig => u64::from(sizes.big_mib) << 20,
            IterationSize::Large => u64::from(sizes.large_mib) << 20,
            IterationSize::Files => sizes.files.into(),
            IterationSize::Unpacked | IterationSize::Moved => sizes.tree_files.into(),
            IterationSize::Removed => REMOVED.into(),
            IterationSize::Requested => REQUESTED.into(),
        }
    }
}

/// With 64 layers, this workload may take [`MAX_SCALING`] times as long as with one.
pub(crate) const SCALING_WORKLOAD: &str = "walk-cold";

/// See [`SCALING_WORKLOAD`].
pub(crate) const MAX_SCALING: f64 = 4.0;

/// Workloads for which a core module may take [`MAX_OVER_NATIVE`] times as long as a native program.
pub(crate) const NEAR_NATIVE: &[&str] = &["read", "write"];

/// Workloads for which a core module may take no longer than on the kernel's overlayfs.
pub(crate) const NO_SLOWER_THAN_KERNEL: &[&str] = &[
    "append-lower",
    "rename-lower",
    "append-lower-spread",
    "rename-lower-spread",
];

/// See [`NEAR_NATIVE`].
pub(crate) const MAX_OVER_NATIVE: f64 = 1.05;

/// Defaults of the fields.
const DEFAULTS: Workload = Workload {
    name: "",
    guest_command: "",
    timed: Timed::Guest,
    size: IterationSize::Units(1),
    unit: "call",
    iterations: 2000,
    counted_iterations: 100,
    counts_baseline: true,
    warm: true,
    changes: false,
    baseline: Backend::Stock,
    max_ratios: &[],
    max_calls: None,
    max_micros: None,
};

/// All workloads.
pub(crate) fn all() -> impl Iterator<Item = &'static Workload> {
    reads::WORKLOADS
        .iter()
        .chain(changes::WORKLOADS)
        .chain(asynchronous::WORKLOADS)
        .chain(archives::WORKLOADS)
        .chain(starts::WORKLOADS)
        .chain(host::WORKLOADS)
}

/// Finds a workload by name.
pub(crate) fn named(name: &str) -> Option<&'static Workload> {
    all().find(|workload| workload.name == name)
}
