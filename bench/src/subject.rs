//! What is compared: guests and filesystems.

use crate::work::{self, Timed, Work};
use std::fmt;

/// Which filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// wasmtime-wasi on the plain directory.
    Stock,
    /// The plugin on the layers and an upper.
    Overlay,
    /// The plugin on the plain directory, as `--dir` means it.
    Live,
    /// The overlay in the component itself, on wasmtime-wasi with the layers and an upper.
    Composed,
    /// wasmtime-wasi on the kernel's overlayfs of the same layers.
    Kernel,
    /// wasmtime-wasi on fuse-overlayfs of the same layers.
    Fuse,
    /// The plugin on the layers and an upper, in an asynchronous program whose threads must not block.
    Pool,
    /// The same where they may.
    Inline,
    /// No guest: a program of the machine on the plain directory.
    Native,
    /// No filesystem: a host whose every answer is a constant, the floor of all others.
    Constant,
    /// In the component, something with an overlay's imports and exports, whose functions are not
    /// to be called, on the same preopens: the floor of [`Composed`](Self::Composed). It has neither
    /// memory nor data to be made ready.
    Hollow,
}

/// Which guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// A core module for WASI 0.1.
    P1,
    /// A component for WASI 0.2.
    P2,
    /// A component for WASI 0.3.
    P3,
}

impl Side {
    const ALL: [Self; 11] = [
        Self::Stock,
        Self::Overlay,
        Self::Live,
        Self::Composed,
        Self::Kernel,
        Self::Fuse,
        Self::Pool,
        Self::Inline,
        Self::Native,
        Self::Constant,
        Self::Hollow,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Overlay => "overlay",
            Self::Live => "live",
            Self::Composed => "composed",
            Self::Kernel => "overlayfs",
            Self::Fuse => "fuse-overlayfs",
            Self::Pool => "pool",
            Self::Inline => "inline",
            Self::Native => "native",
            Self::Constant => "constant",
            Self::Hollow => "hollow",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.name() == name)
    }

    /// Whether it is the plugin.
    pub(crate) fn is_plugin(self) -> bool {
        matches!(self, Self::Overlay | Self::Live | Self::Pool)
    }

    /// What stands in the place of this one and does nothing: no overlay can be faster.
    pub(crate) fn floor(self) -> Option<Self> {
        match self {
            Self::Overlay => Some(Self::Constant),
            Self::Composed => Some(Self::Hollow),
            _ => None,
        }
    }

    /// Whether it is the [`floor`](Self::floor) of another.
    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Self::Constant | Self::Hollow)
    }

    /// Whether calls are counted: of a filesystem of the kernel's they would be stock's.
    pub(crate) fn is_counted(self) -> bool {
        !self.is_floor() && !matches!(self, Self::Kernel | Self::Fuse)
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

/// A guest on a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    // First, so that subjects are sorted by it.
    pub(crate) side: Side,
    pub(crate) version: Version,
}

const fn of(version: Version, side: Side) -> Subject {
    Subject { version, side }
}

/// The overlays.
pub(crate) const OVERLAYS: &[Subject] = &[
    of(Version::P1, Side::Overlay),
    of(Version::P2, Side::Overlay),
    of(Version::P3, Side::Overlay),
    of(Version::P2, Side::Composed),
    of(Version::P1, Side::Pool),
    of(Version::P2, Side::Pool),
    of(Version::P3, Side::Pool),
];

/// What else there is to do it with.
pub(crate) const OTHERS: &[Subject] = &[
    of(Version::P1, Side::Kernel),
    of(Version::P1, Side::Fuse),
    of(Version::P1, Side::Native),
    of(Version::P1, Side::Constant),
    of(Version::P2, Side::Constant),
    of(Version::P3, Side::Constant),
    of(Version::P2, Side::Hollow),
];

/// What guests do on a host of constants. CPython, too.
const CONSTANT: &[&str] = &[
    "get-type",
    "stat",
    "missing-stat",
    "deep-stat",
    "fstat",
    "open-close",
    "open-read-close",
    "readdir",
    "walk",
    "random-read",
    "random-read-at",
    "append-lower",
    "append-copied",
    "unlink-lower",
    "unlink-marked",
    "rename-lower",
    "rename-copied",
];

/// Plain directories on the plugin.
pub(crate) const LIVE: &[Subject] = &[
    of(Version::P1, Side::Live),
    of(Version::P2, Side::Live),
    of(Version::P3, Side::Live),
];

impl Subject {
    /// Stock with the same guest.
    pub(crate) fn on(self, side: Side) -> Self {
        of(self.version, side)
    }

    /// What it does.
    pub(crate) fn works(self) -> impl Iterator<Item = &'static Work> {
        work::all().filter(move |work| self.does(work))
    }

    fn does(self, work: &Work) -> bool {
        if self.side == Side::Pool || work.peer == Side::Inline {
            let is_one = self.version == Version::P2 || work.timed == Timed::Guest;
            return self.side == Side::Pool && work.peer == Side::Inline && is_one;
        }
        match work.timed {
            // 0.3 reads and writes by streams alone.
            Timed::Guest if self.version == Version::P3 && work.does.ends_with("-at") => false,
            Timed::Guest if self.side == Side::Constant => {
                // What a mount looks up first is no constant, but for a walk.
                let is_one = work.warm || work.does == "walk";
                self.version != Version::P1 && is_one && CONSTANT.contains(&work.does)
            }
            Timed::Guest if self.side == Side::Hollow => false,
            // The kernel's overlayfs refuses (EXDEV).
            Timed::Guest if self.side == Side::Kernel && work.does == "rename-dir" => false,
            // It is what the others are compared with.
            Timed::Guest => self.side != work.peer,
            Timed::Instance | Timed::Run("nothing") | Timed::Process(_)
                if self.side == Side::Hollow =>
            {
                true
            }
            Timed::Instance | Timed::Run(_) | Timed::Process(_) => self.side == Side::Composed,
            Timed::Mount | Timed::Drop(_) => {
                self.version == Version::P1 && self.side == Side::Overlay
            }
            Timed::Crowd(_) => false,
            Timed::Python => self.version == Version::P1 && self.side != Side::Native,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            Side::Overlay => f.write_str(self.version.name()),
            Side::Native => f.write_str("native"),
            side => write!(f, "{} {}", self.version.name(), side.name()),
        }
    }
}
