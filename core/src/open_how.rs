//! Flags of `open-at`, and what an open returns.

/// The flags of `open-at`: `path-flags`, `open-flags` and `descriptor-flags` of `wasi:filesystem`,
/// without those that do not concern a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OpenHow {
    /// Follow a symbolic link in the last place.
    pub follow: bool,
    /// Create the file if it does not exist.
    pub create: bool,
    /// Fail unless it is a directory.
    pub directory: bool,
    /// With `create`, fail if anything exists at the path.
    pub exclusive: bool,
    /// Truncate the file to zero bytes.
    pub truncate: bool,
    /// Open for reading. With neither `read` nor `write` the file is open for reading too, as in
    /// wasmtime-wasi.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
}

/// What an open returned, in the types of one kind of mount.
pub(crate) enum FileOrDir<F, D> {
    File(F),
    Dir(D),
}
