//! [`Limits`]: the bounds on every size that a guest controls.

/// Bounds on the resources that guests can make an overlay hold. A call that would exceed a bound fails
/// with the code named here, before it allocates anything.
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
    /// A directory cannot be created or moved deeper, nor moved so that a directory below it that is in
    /// use would lie deeper. A directory that already lies deeper on disk or in a layer is listed, but
    /// cannot be entered, renamed or removed until a directory above it is moved up. A
    /// [`LowerStack`](crate::LowerStack) has the limit that it was created with.
    pub depth: usize,
    /// Entries of one directory that are listed at once and cached as a table. A larger directory is
    /// queried for single names; the results are kept in a cache of this many, beside the directories
    /// that were found in it.
    pub table_entries: usize,
    /// Host descriptors that a stack or an upper caches. A lower directory holds one from its first
    /// lookup on. All stacks and uppers of the process together cache at most half of the descriptors
    /// that the process may have (`RLIMIT_NOFILE`), and close them when one is needed.
    pub kept_handles: usize,
    /// Files and directories that a guest may have open at once: `mfile` in WASI 0.1, where POSIX says
    /// `EMFILE`, and `io` in 0.2 and 0.3, which have no such code. A stream counts as its file; the
    /// standard streams and preopened directories do not count. The default is the usual limit of a
    /// process on Linux, so programs expect no more. It is the only bound on the descriptors of WASI 0.1.
    ///
    /// Set it through `OverlayCtxBuilder::limits` of the plugin, or give it to an `OpenHandles`. In
    /// `OverlayBuilder::limits` it has no effect: an overlay does not know its guests.
    ///
    /// In addition, the handles of all guests of the process may hold its descriptors (`RLIMIT_NOFILE`)
    /// except for an eighth, at least 32 and at most 256: those are for the engine's own calls, for
    /// mounts, and for the embedder. One guest alone may hold half of that. Files of mounts that are
    /// all in memory take no descriptors, nor do directories of overlays; a lower file that may be copied
    /// up while it is open counts as two. So a guest in a process with the usual limit of 1024 can have
    /// 448 files open, or 224 of lower layers; raise the limit for more
    /// (`raise_descriptor_limit`).
    pub open_handles: usize,
    /// Bytes of the data of small lower files that a stack caches, so that opening and reading a file
    /// again takes no system call. A program reads a few hundred small files at its start: the default
    /// has room for several programs, and is small beside the memory of one guest. Where there are no
    /// threads (a component) nothing is cached.
    pub kept_data: usize,
    /// Names that an overlay caches for its upper, and for lower files that were opened. Past this number
    /// it drops those that are not in use, and reads them again when they are needed. It does not drop
    /// names of an upper in memory, which has its own quota.
    /// [`Overlay::kept_names`](crate::Overlay::kept_names) returns the current number.
    pub kept_nodes: usize,
    /// Listings (snapshots of directories) that an overlay caches for later streams.
    pub kept_listings: usize,
    /// Bytes of all listings of an overlay or a live mount, including those that guests hold:
    /// `insufficient-memory`. A stream holds a snapshot of its directory, so each change between two
    /// streams makes another listing. The default has room for two million names of usual length.
    /// Listings that are only cached are dropped first. A component counts none: its host bounds its
    /// memory.
    ///
    /// In `OverlayCtxBuilder::limits` of the plugin it also bounds each guest, which may hold listings of
    /// half of it, in all its mounts together.
    pub listing_bytes: usize,
    /// Lower directories whose nodes an overlay caches because they, or files in them, were opened
    /// recently. Programs open files in few directories at a time.
    pub recent_dirs: usize,
    /// Listings that a guest of WASI 0.1 has partly read: `fd_readdir` names no stream, so the
    /// host keeps the snapshot between calls. Past this number a directory is listed anew. A recursive
    /// walk has one partly read listing for each level of depth.
    pub half_read_listings: usize,
    /// Bytes of these listings. The one read last is kept whatever its size; otherwise each call would
    /// list the directory anew.
    pub half_read_bytes: usize,
    /// Entries of an archive that is a layer, implied directories included. The index takes about 70 bytes
    /// for each, and three times as much while it is made.
    pub archive_entries: usize,
    /// Bytes of the headers of one entry of an archive: extended attributes, for the most part. Its path
    /// and the target of a link are bounded by `path_bytes` too.
    pub archive_header_bytes: usize,
    /// Bytes of the index of an archive.
    pub archive_index_bytes: usize,
    /// Bytes that an archive may have when it is decompressed.
    pub archive_bytes: u64,
    /// How many times larger than its compressed form an archive may be. Only archives larger than 1 MiB
    /// are held to it.
    pub archive_expansion: u64,
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
            archive_entries: 4 << 20,
            archive_header_bytes: 1 << 20,
            archive_index_bytes: 512 << 20,
            archive_bytes: 64 << 30,
            archive_expansion: 1000,
        }
    }
}

/// The maximum number of layers of one overlay, including the upper, as in Linux's overlayfs
/// (`OVL_MAX_STACK`).
pub const MAX_LAYERS: usize = 500;
