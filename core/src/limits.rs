//! Every size that a guest controls has a bound, and all bounds are here.

/// Bounds on what guests can make an overlay hold. Past one, a call fails with the code named
/// here; nothing is allocated first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a path: `name-too-long`. Linux's `PATH_MAX`.
    pub path_bytes: usize,
    /// Symbolic links followed in one resolution: `loop`. Linux's `MAXSYMLINKS`.
    pub link_hops: u32,
    /// Levels of directories below the mount's root: `name-too-long`. Deep enough for any real tree,
    /// and a bound, since a call may take a step for each level above, in the engine and in the
    /// system.
    ///
    /// A directory cannot be made deeper or be moved deeper, nor be moved so that a directory below it
    /// that is in use would lie deeper. One that lies deeper on disk or in a layer is listed, and
    /// cannot be entered, renamed or removed, until one above it is moved up. A [`LowerStack`](crate::LowerStack)
    /// has the limit that it was made with.
    ///
    /// A component checks only directories that are made and the places that they are moved to.
    pub depth: usize,
    /// Entries of one directory that are listed at once and kept as a table. A larger directory
    /// is asked for single names, and its answers are kept in a cache of this many, beside the
    /// directories that were found in it.
    pub table_entries: usize,
    /// Host descriptors that a stack or an upper keeps for later use. Well under the usual
    /// `RLIMIT_NOFILE` of 1024, since the embedder and its guests have descriptors too. A lower
    /// directory has one from when it is first looked at.
    pub kept_handles: usize,
    /// Bytes of the data of small lower files that a stack keeps, so that a file that was read once
    /// is opened and read without a call to the system. A program that starts reads a few hundred
    /// small files: these are for several programs, and little beside the memory of one guest.
    /// Where there are no threads (a component) nothing is kept.
    pub kept_data: usize,
    /// Names that an overlay keeps for its upper before it forgets those that nobody uses, and
    /// reads them again when they are wanted. An upper in memory forgets none: its own quota is
    /// the bound.
    pub kept_nodes: usize,
    /// Listings (snapshots of directories) that an overlay keeps for later streams.
    pub kept_listings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            path_bytes: 4096,
            link_hops: 40,
            depth: 2048,
            table_entries: 4096,
            kept_handles: 256,
            kept_data: 32 << 20,
            kept_nodes: 65_536,
            kept_listings: 64,
        }
    }
}

/// Layers of one overlay, the upper included. As in Linux's overlayfs (`OVL_MAX_STACK`).
pub const MAX_LAYERS: usize = 500;
