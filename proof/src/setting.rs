//! What plans are made on, how closely that is looked at, and what was done.

use std::fmt;

/// What a plan is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Layers in memory below memory that ends with its mount: to mount again is to go on, and the
    /// overlay itself becomes the layer of another one.
    Memory,
    /// Layers in memory below another one that is kept: it is mounted again, and becomes a layer.
    Lasting,
    /// Layers and upper are directories.
    Directory,
    /// Layers and upper are directories whose handles are paths.
    ByPath,
    /// Layers in memory and no upper.
    ReadOnly,
    /// No overlay: a live mount of a directory with the merged tree.
    Live,
    /// The same, mounted read-only.
    ReadOnlyLive,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Memory,
        Self::Lasting,
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

/// How closely it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// What steps changed is compared once in so many lines.
    pub changed_every: usize,
    /// The whole tree is.
    pub tree_every: usize,
    /// The engine keeps so little that it has to forget and look again.
    pub tight: bool,
}

impl Checks {
    /// As closely as can be.
    pub fn all(tight: bool) -> Self {
        Self {
            changed_every: 1,
            tree_every: 1,
            tight,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Plans.
    pub plans: u64,
    /// Calls, those on empty slots left out.
    pub calls: u64,
    /// How many of them did what they were asked to.
    pub succeeded: u64,
    /// How often a mount ended and another one went on.
    pub remounts: u64,
    /// How often an upper became a layer.
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
