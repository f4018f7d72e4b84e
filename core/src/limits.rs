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
    /// Host descriptors that a stack or an upper keeps for later use. A lower directory has one from
    /// when it is first looked at. All stacks and uppers of the process together keep at most half of
    /// the descriptors that it may have (`RLIMIT_NOFILE`), and close them where one is needed.
    pub kept_handles: usize,
    /// Files and directories that a guest may have open at once: `mfile` in WASI 0.1, where POSIX says
    /// `EMFILE`, and `io` in 0.2 and 0.3, which have no such code. A stream counts as the file that it
    /// is of; the standard streams and the directories that a guest begins with do not. The usual limit of
    /// a process on Linux, so programs expect no more. It is the only bound on the descriptors of WASI 0.1.
    ///
    /// Set through `OverlayCtxBuilder::limits` of the plugin, or given to an `OpenHandles`. In
    /// `OverlayBuilder::limits` it has no effect: an overlay does not know its guests.
    ///
    /// Besides, the handles of all guests of the process may hold its descriptors (`RLIMIT_NOFILE`) but
    /// for an eighth, which is 32 at least and 256 at most: those are for the engine's own calls, for
    /// mounts, and for the embedder. One guest alone may hold half of that. Files of mounts that are
    /// all in memory take no descriptors, nor do directories of overlays; a lower file that may be copied
    /// up while it is open counts as two. So a guest in a process with the usual limit of 1024 can have
    /// 448 files open, or 224 of lower layers; raise the limit for more
    /// (`raise_descriptor_limit`).
    pub open_handles: usize,
    /// Bytes of the data of small lower files that a stack keeps, so that a file that was read once
    /// is opened and read without a call to the system. A program that starts reads a few hundred
    /// small files: these are for several programs, and little beside the memory of one guest.
    /// Where there are no threads (a component) nothing is kept.
    pub kept_data: usize,
    /// Names that an overlay keeps for its upper, and for lower files that were opened, before it
    /// forgets those that nobody uses, and reads them again when they are wanted. Those of an upper in
    /// memory are not forgotten: its own quota is the bound. [`Overlay::kept_names`](crate::Overlay::kept_names)
    /// tells how many there are.
    pub kept_nodes: usize,
    /// Listings (snapshots of directories) that an overlay keeps for later streams.
    pub kept_listings: usize,
    /// Bytes of all listings of an overlay or a live mount, those that guests hold included:
    /// `insufficient-memory`. A stream holds the directory as it was, so each change between two
    /// streams makes another listing. Room for two million names of usual length. Listings that
    /// are only kept for later go first. A component counts none: its host bounds its memory.
    ///
    /// In `OverlayCtxBuilder::limits` of the plugin it also bounds each guest, which may hold listings of
    /// half of it, in all its mounts together.
    pub listing_bytes: usize,
    /// Lower directories whose nodes an overlay keeps because something was opened in them lately.
    /// Programs open files in few directories at a time.
    pub recent_dirs: usize,
    /// Listings that a guest of WASI 0.1 is in the middle of: `fd_readdir` names no stream, so the
    /// host keeps the snapshot between calls. Past it a directory is listed anew. A recursive walk
    /// has as many directories half read as it is deep.
    pub half_read_listings: usize,
    /// Bytes of these listings. The one that was read last is kept whatever its size, or it would be
    /// listed anew at each call.
    pub half_read_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            path_bytes: 4096,
            link_hops: 40,
            depth: 2048,
            table_entries: 4096,
            kept_handles: 256,
            open_handles: 1024,
            kept_data: 32 << 20,
            kept_nodes: 65_536,
            kept_listings: 64,
            listing_bytes: 128 << 20,
            recent_dirs: 64,
            half_read_listings: 64,
            half_read_bytes: 64 << 20,
        }
    }
}

/// Layers of one overlay, the upper included. As in Linux's overlayfs (`OVL_MAX_STACK`).
pub const MAX_LAYERS: usize = 500;
