//! The subjects of the benchmark: a guest for a WASI version, on a filesystem backend.

use crate::workloads::{self, Timed, Workload};
use std::fmt;

/// What serves the filesystem calls of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    /// wasmtime-wasi on the plain directory.
    Stock,
    /// The plugin on the layers and an upper.
    Overlay,
    /// The plugin on the same layers in tar archives, and an upper.
    Archives,
    /// The plugin on the plain directory, without layers (`--dir` of the command).
    Live,
    /// The overlay component composed into the guest, on wasmtime-wasi with the layers and an upper.
    Composed,
    /// wasmtime-wasi on the kernel's overlayfs of the same layers.
    Kernel,
    /// wasmtime-wasi on fuse-overlayfs of the same layers.
    Fuse,
    /// The plugin on the layers and an upper, in an asynchronous program whose threads must not block.
    Pool,
    /// The same as `Pool`, in a program that may block its threads.
    Inline,
    /// A native program on the plain directory, without a guest.
    Native,
}

/// The WASI version of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// A core module for WASI 0.1.
    P1,
    /// A component for WASI 0.2.
    P2,
    /// A component for WASI 0.3.
    P3,
}

impl Backend {
    const ALL: [Self; 10] = [
        Self::Stock,
        Self::Overlay,
        Self::Archives,
        Self::Live,
        Self::Composed,
        Self::Kernel,
        Self::Fuse,
        Self::Pool,
        Self::Inline,
        Self::Native,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Overlay => "overlay",
            Self::Archives => "archives",
            Self::Live => "live",
            Self::Composed => "composed",
            Self::Kernel => "overlayfs",
            Self::Fuse => "fuse-overlayfs",
            Self::Pool => "pool",
            Self::Inline => "inline",
            Self::Native => "native",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// Whether the plugin serves the calls, so that default bounds apply.
    pub(crate) fn is_plugin(self) -> bool {
        matches!(
            self,
            Self::Overlay | Self::Archives | Self::Live | Self::Pool
        )
    }

    /// Whether system calls are counted. Above a mounted overlay, wasmtime-wasi makes the same calls
    /// as on a plain directory.
    pub(crate) fn is_counted(self) -> bool {
        !matches!(self, Self::Kernel | Self::Fuse)
    }
}

impl Version {
    pub(crate) const ALL: [Self; 3] = [Self::P1, Self::P2, Self::P3];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P1 => "0.1",
            Self::P2 => "0.2",
            Self::P3 => "0.3",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::P1 => "p1_bench.wasm",
            Self::P2 => "p2_bench.wasm",
            Self::P3 => "p3_bench.wasm",
        }
    }
}

/// A guest on a filesystem backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    // The first field, so that subjects are ordered by backend.
    pub(crate) backend: Backend,
    pub(crate) version: Version,
}

const fn of(version: Version, backend: Backend) -> Subject {
    Subject { version, backend }
}

/// The overlays of this project. Their system calls are bounded by `bench/calls.json`.
pub(crate) const OVERLAYS: &[Subject] = &[
    of(Version::P1, Backend::Overlay),
    of(Version::P2, Backend::Overlay),
    of(Version::P3, Backend::Overlay),
    of(Version::P2, Backend::Composed),
    of(Version::P1, Backend::Archives),
    of(Version::P2, Backend::Archives),
    of(Version::P1, Backend::Pool),
    of(Version::P2, Backend::Pool),
    of(Version::P3, Backend::Pool),
];

/// Alternatives that are timed beside the overlays, without bounds.
pub(crate) const COMPARISONS: &[Subject] = &[
    of(Version::P1, Backend::Kernel),
    of(Version::P1, Backend::Fuse),
    of(Version::P1, Backend::Native),
];

/// The plugin on a plain directory.
pub(crate) const LIVE: &[Subject] = &[
    of(Version::P1, Backend::Live),
    of(Version::P2, Backend::Live),
    of(Version::P3, Backend::Live),
];

impl Subject {
    /// The same guest on another backend.
    pub(crate) fn on(self, backend: Backend) -> Self {
        of(self.version, backend)
    }

    /// The workloads that this subject runs.
    pub(crate) fn workloads(self) -> impl Iterator<Item = &'static Workload> {
        workloads::all().filter(move |workload| self.runs(workload))
    }

    fn runs(self, workload: &Workload) -> bool {
        if self.backend == Backend::Pool || workload.baseline == Backend::Inline {
            let is_one = self.version == Version::P2 || workload.timed == Timed::Guest;
            return self.backend == Backend::Pool && workload.baseline == Backend::Inline && is_one;
        }
        if self.backend == Backend::Archives || workload.baseline == Backend::Overlay {
            return self.backend == Backend::Archives && workload.baseline == Backend::Overlay;
        }
        match workload.timed {
            // WASI 0.3 reads and writes only through streams.
            Timed::Guest
                if self.version == Version::P3 && workload.guest_command.ends_with("-at") =>
            {
                false
            }
            // The kernel's overlayfs refuses this rename (EXDEV), and fuse-overlayfs fails (EIO).
            Timed::Guest
                if matches!(self.backend, Backend::Kernel | Backend::Fuse)
                    && workload.guest_command == "rename-dir" =>
            {
                false
            }
            // The baseline is not compared with itself.
            Timed::Guest => self.backend != workload.baseline,
            Timed::Instance | Timed::Run(_) | Timed::Process(_) => {
                self.backend == Backend::Composed
            }
            Timed::Mount | Timed::Drop(_) => {
                self.version == Version::P1 && self.backend == Backend::Overlay
            }
            Timed::Concurrent(_) => false,
            Timed::Python => self.version == Version::P1 && self.backend != Backend::Native,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backend {
            Backend::Overlay => f.write_str(self.version.name()),
            Backend::Native => f.write_str("native"),
            backend => write!(f, "{} {}", self.version.name(), backend.name()),
        }
    }
}
