//! [`Error`]: what went wrong with an image, with the name of the thing and what to type.

use crate::digest::Digest;
use std::fmt;
use std::io;

/// The result of the calls of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image, an archive or the store could not be used. Messages name the thing, and where possible
/// what to type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that is not an image reference.
    #[error("`{text}` is not an image reference: {reason}")]
    Reference {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Text that names no layer or image.
    #[error("`{text}`: {reason}")]
    Transport {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No folder for the store is known.
    #[error(
        "the store has no default directory, since neither HOME nor XDG_DATA_HOME is set; set WASI_OVERLAY_STORE to a directory"
    )]
    NoStoreFolder,
    /// A directory that is not a store.
    #[error(
        "{path} is not a store: it has no `oci-layout` and is not empty; set WASI_OVERLAY_STORE to another directory"
    )]
    NotAStore {
        /// The directory.
        path: String,
    },
    /// A change of a store that cannot be written.
    #[error(
        "cannot {action}: the store {path} is read-only; set WASI_OVERLAY_STORE to a directory that can be written"
    )]
    ReadOnlyStore {
        /// What was to be done.
        action: String,
        /// The store.
        path: String,
    },
    /// A layer that needs a store, without one.
    #[error(
        "{what} is compressed, and layers are decompressed into the store: set HOME or WASI_OVERLAY_STORE"
    )]
    NeedsStore {
        /// The layer.
        what: String,
    },
    /// An image that the store does not have.
    #[error(
        "{name} is not in the store {store}; `wasi-overlay images` lists what is, `wasi-overlay pull {name}` adds it"
    )]
    NotInStore {
        /// The reference.
        name: String,
        /// The store.
        store: String,
    },
    /// Nothing has the name that was given.
    #[error("{what}: {reason}")]
    NotFound {
        /// What was looked for, and where.
        what: String,
        /// What there is instead.
        reason: String,
    },
    /// The name given fits several images.
    #[error("{what}: {reason}")]
    Ambiguous {
        /// What was looked for, and where.
        what: String,
        /// What fits.
        reason: String,
    },
    /// A call of the system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done to which file.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The disk is full.
    #[error(
        "{what}: the disk has no room for {needed} more, since {available} are free; type `wasi-overlay prune`, or set WASI_OVERLAY_STORE to a larger disk"
    )]
    NoSpace {
        /// What was being written.
        what: String,
        /// Bytes that are needed at least.
        needed: Bytes,
        /// Bytes that are free.
        available: Bytes,
    },
    /// Content that is not what its digest says.
    #[error(
        "{what} has the digest {actual}, and not {expected}: it is damaged or was changed; fetch or make it again"
    )]
    WrongDigest {
        /// The content.
        what: String,
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// Content with another size than its descriptor says.
    #[error("{what} has {actual} bytes, and its descriptor says {expected}")]
    WrongSize {
        /// The content.
        what: String,
        /// The size it should have.
        expected: u64,
        /// The size it has, or a lower bound of it.
        actual: u64,
    },
    /// Content that is larger than is accepted.
    #[error("{what} is larger than {limit}, which is the limit{remedy}")]
    TooLarge {
        /// The content.
        what: String,
        /// The bound.
        limit: Bytes,
        /// What to do about it, or nothing.
        remedy: String,
    },
    /// A manifest, index, config or archive that cannot be read.
    #[error("{what}: {reason}")]
    Malformed {
        /// The document.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A format that is recognised but not supported.
    #[error("{what}: {reason}")]
    Unsupported {
        /// The thing.
        what: String,
        /// What it is, and what to do.
        reason: String,
    },
    /// No manifest fits the platform.
    #[error("{what} has no image for {wanted}; it has {available}{remedy}")]
    Platform {
        /// The image.
        what: String,
        /// The platforms that were looked for.
        wanted: String,
        /// The platforms there are.
        available: String,
        /// What to type, or nothing.
        remedy: String,
    },
    /// The archive of a layer cannot be used as one.
    #[error("{what}: {source}")]
    Layer {
        /// The layer.
        what: String,
        /// The engine's error.
        source: wasi_overlay_core::Error,
    },
}

impl Error {
    /// An error of the system, with what was being done.
    pub(crate) fn io(what: impl fmt::Display, source: io::Error) -> Self {
        Self::Io {
            what: what.to_string(),
            source,
        }
    }

    pub(crate) fn malformed(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Malformed {
            what: what.to_string(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn unsupported(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Unsupported {
            what: what.to_string(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn layer(what: impl fmt::Display, source: wasi_overlay_core::Error) -> Self {
        Self::Layer {
            what: what.to_string(),
            source,
        }
    }

    pub(crate) fn too_large(what: impl fmt::Display, limit: u64) -> Self {
        Self::TooLarge {
            what: what.to_string(),
            limit: Bytes(limit),
            remedy: String::new(),
        }
    }
}

/// A number of bytes, displayed in the unit that people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} bytes", self.0);
        }
        let mut tenths = u128::from(self.0) * 10 / 1024;
        let mut unit = 0;
        while tenths >= 10_240 && unit + 1 < UNITS.len() {
            tenths /= 1024;
            unit += 1;
        }
        let name = UNITS[unit];
        if tenths >= 1000 || tenths % 10 == 0 {
            write!(f, "{} {name}", tenths / 10)
        } else {
            write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}
