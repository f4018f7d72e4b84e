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

impl OpenHow {
    /// Opens an existing file for reading, or an existing directory. Follows symbolic links.
    pub const READ: Self = Self {
        follow: true,
        create: false,
        directory: false,
        exclusive: false,
        truncate: false,
        read: true,
        write: false,
    };
    /// Opens an existing file for reading and writing.
    pub const READ_WRITE: Self = Self {
        write: true,
        ..Self::READ
    };
    /// Opens a file for reading and writing, and creates it if it does not exist.
    pub const CREATE: Self = Self {
        create: true,
        ..Self::READ_WRITE
    };
    /// Creates a file for reading and writing. Fails with `exist` if anything has the name.
    pub const CREATE_NEW: Self = Self {
        exclusive: true,
        ..Self::CREATE
    };
    /// Creates a file, or truncates an existing one to zero bytes, for reading and writing.
    pub const TRUNCATE: Self = Self {
        truncate: true,
        ..Self::CREATE
    };
    /// Opens an existing directory. Fails with `not-directory` on anything else.
    pub const DIRECTORY: Self = Self {
        directory: true,
        ..Self::READ
    };
}

/// What an open returned, in the types of one kind of mount.
pub(crate) enum FileOrDir<F, D> {
    File(F),
    Dir(D),
}
