//! [`Store`]: images on the local disk, shared by all processes of a user.
//!
//! ```text
//!   oci-layout  index.json             names: org.opencontainers.image.ref.name is the full reference
//!   blobs/sha256/DIGEST                manifests, configs, compressed layers, and plain tars by diffID
//!   .wasi-overlay/
//!     index/DIFFID.1                   the index of a plain tar; rebuilt when it does not fit
//!     unpacked/SIZE-DIGEST             the diffID of a compressed blob
//!     files/KEY                        the diffID of a compressed file of the host, by its metadata
//!     partial/DIGEST                   a download that goes on later
//!     tmp/                             files without a final name, locked while they are written
//!     lock                             held while index.json changes
//! ```
//!
//! The folder is an OCI image layout, which other tools can read. Their changes of `index.json` are not
//! locked out.
//!
//! # Locks
//! All are `flock`s, which end with the process. `lock` is exclusive while `index.json` changes and while
//! blobs are collected. A blob that is in use is locked shared ([`Lease`]), so collecting it fails. A file
//! in `tmp` or `partial` is locked exclusively by its writer. A process that holds `lock` waits for no
//! other lock.
//!
//! # Crash safety
//! A blob is written under a temporary name, synced, renamed, and its folder synced; likewise `index.json`.
//! So nothing incomplete ever has a final name, whenever the process or the machine stops.

mod adding;
mod files;
mod folder;
mod follow;
mod gc;
mod lease;
mod names;
mod partial;
mod unpack;
mod verify;

pub use adding::Adding;
#[doc(hidden)]
pub use files::{Faults, Step};
pub use follow::Follower;
pub use gc::{Prune, Pruned};
pub use lease::Lease;
pub use names::Entry;
pub use partial::PartialBlob;
pub use verify::Problem;

pub(crate) use unpack::{Expected, OpenLayer};

use crate::content::Content;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::source;
use files::Files;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasi_overlay_core::tar::Source;

const BLOBS: &str = "blobs/sha256";
const OURS: &str = ".wasi-overlay";
const INDEX: &str = ".wasi-overlay/index";
const UNPACKED: &str = ".wasi-overlay/unpacked";
const HOST_FILES: &str = ".wasi-overlay/files";
const PARTIAL: &str = ".wasi-overlay/partial";
const LOCK: &str = ".wasi-overlay/lock";

/// Images on the local disk. Clones share one opened folder; any number of processes may use it.
#[derive(Clone)]
pub struct Store {
    files: Arc<Files>,
}

impl Store {
    /// Opens the user's store, and creates it if it does not exist: `$WASI_OVERLAY_STORE`, else
    /// `$XDG_DATA_HOME/wasi-overlay/store`, else `$HOME/.local/share/wasi-overlay/store`.
    ///
    /// # Errors
    /// [`Error::NoStoreFolder`] if none of the variables is set; else as [`at`](Self::at).
    pub fn open() -> Result<Self> {
        Self::at(Self::default_path()?)
    }

    /// The folder of the user's store.
    ///
    /// # Errors
    /// [`Error::NoStoreFolder`].
    pub fn default_path() -> Result<PathBuf> {
        folder::default_path(|name| std::env::var_os(name))
    }

    /// Opens the store at `path`, and creates it if it does not exist. A store that this process may not
    /// write can be read.
    ///
    /// # Errors
    /// [`Error::NotAStore`] for a directory with other content; [`Error::Io`].
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        Self::create(path.as_ref(), None)
    }

    /// As [`at`](Self::at), with a function that is called before each change of the disk.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    #[doc(hidden)]
    pub fn with_faults(path: impl AsRef<Path>, faults: Faults) -> Result<Self> {
        Self::create(path.as_ref(), Some(faults))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// Whether images can be added.
    pub fn is_writable(&self) -> bool {
        self.files.is_writable()
    }

    /// Whether the store has the blob. A blob that it has is not collected for the next hour.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn has(&self, digest: &Digest) -> Result<bool> {
        let name = blob_name(digest);
        let has = self.files.stat(&name)?.is_some();
        if has && self.files.is_writable() {
            self.files.freshen(&name);
        }
        Ok(has)
    }

    /// The size of a blob. `None` if the store does not have it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let stat = self.files.stat(&blob_name(digest))?;
        Ok(stat.map(|stat| u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// A blob of at most `limit` bytes. `None` if the store does not have it. The digest is checked.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::WrongDigest`] if it is damaged; [`Error::Io`].
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.files.open_file(&blob_name(digest))? else {
            return Ok(None);
        };
        let what = self.blob_path(digest).display().to_string();
        let bytes = source::read_all(&file, &what, limit)?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(Error::WrongDigest {
                what,
                expected: *digest,
                actual,
            });
        }
        Ok(Some(bytes))
    }

    /// Writes a small blob, such as a manifest, and returns its digest.
    ///
    /// # Errors
    /// [`Error::ReadOnlyStore`], [`Error::NoSpace`], [`Error::Io`].
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if self.has(&digest)? {
            return Ok(digest);
        }
        self.files
            .check_writable(|| format!("write the blob {digest}"))?;
        self.files.replace(&blob_name(&digest), &[bytes], true)?;
        Ok(digest)
    }

    /// The path of a blob.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path().join(blob_name(digest))
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("{BLOBS}/{}", digest.hex())
}

impl Content for Store {
    fn label(&self) -> String {
        self.path().display().to_string()
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn Source>>> {
        let file = self.files.open_file(&blob_name(digest))?;
        Ok(file.map(|file| Arc::new(file) as Arc<dyn Source>))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.path()).finish()
    }
}
