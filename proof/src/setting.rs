//! The kinds of mounts that plans run on, how often they are compared, and counts of what was done.

use std::fmt;

/// A kind of mount that plans run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Layers in memory and a memory upper that ends with its mount. A remount changes nothing, and for a rotation
    /// the overlay itself becomes a layer.
    Memory,
    /// Layers in memory and a memory upper that outlives its mount, so it can be remounted and become a layer.
    Lasting,
    /// Layers in tar archives, which are odd in several ways, and a memory upper that outlives its mount.
    Archives,
    /// Layers and upper are directories.
    Directory,
    /// Layers and upper are directories whose handles are paths.
    ByPath,
    /// Layers in memory and no upper.
    ReadOnly,
    /// A live mount of a directory with the merged tree, without an overlay.
    Live,
    /// The same, mounted read-only.
    ReadOnlyLive,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Memory,
        Self::Lasting,
        Self::Archives,
        Self::Directory,
        Self::ByPath,
        Self::ReadOnly,
        Self::Live,
        Self::ReadOnlyLive,
    ];

    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::ReadOnlyLive)
    }

    pub(crate) fn is_on_disk(self) -> bool {
        matches!(self, Self::Directory | Self::ByPath) || self.is_live()
    }

    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyLive)
    }
}

/// How often the mount is compared with the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Changed directories are compared once in this many lines.
    pub changed_every: usize,
    /// The whole tree is compared once in this many lines.
    pub tree_every: usize,
    /// The caches of the engine are almost empty.
    pub tight: bool,
}

impl Checks {
    /// Compares everything after every line.
    pub fn all(tight: bool) -> Self {
        Self {
            changed_every: 1,
            tree_every: 1,
            tight,
        }
    }
}

/// Counts of what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Plans.
    pub plans: u64,
    /// Calls, without those on empty slots.
    pub calls: u64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Remounts.
    pub remounts: u64,
    /// Uppers that became a layer.
    pub rotations: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations ({} succeeded) in {} plans, {} remounts, {} rotations",
            self.calls, self.succeeded, self.plans, self.remounts, self.rotations
        )
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.plans += other.plans;
        self.calls += other.calls;
        self.succeeded += other.succeeded;
        self.remounts += other.remounts;
        self.rotations += other.rotations;
    }
}
