//! Compressed tars of the host as layers: decompressed into the store once, and found there again by the
//! metadata of the file, or by its digest.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::source;
use crate::store::{Expected, OpenLayer, Store};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasi_overlay_core::Limits;
use wasi_overlay_core::tar::Source;

/// Age from which on every change of a file changes its times: filesystems count in ticks of the kernel.
const SETTLED: Duration = Duration::from_secs(2);

/// Opens a compressed tar.
///
/// # Errors
/// Those of [`Store::unpack`].
pub(crate) fn open(
    store: &Store,
    file: &File,
    blob: Arc<dyn Source>,
    label: &str,
    limits: &Limits,
) -> Result<OpenLayer> {
    let before = FileState::of(file, label)?;
    if let Some(known) = known_content(store, &blob, &before, label)?
        && let Some(open) = store.open_layer(&known, limits)?
    {
        return Ok(open);
    }
    // The digest of the content is not known yet, so others that decompress the same file wait for this one.
    let _turn = store.turn(&before.key())?;
    if let Some(known) = known_content(store, &blob, &before, label)?
        && let Some(open) = store.open_layer(&known, limits)?
    {
        return Ok(open);
    }
    let (diff_id, open) = store.unpack(label, blob, &Expected::default(), limits)?;
    if FileState::of(file, label)? == before {
        before.remember(store, &diff_id);
    }
    Ok(open)
}

/// Identifies a file and its content without reading it. Users cannot set the change time.
#[derive(Debug, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    fn of(file: &File, label: &str) -> Result<Self> {
        let meta = file.metadata().map_err(|error| Error::io(label, error))?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    fn key(&self) -> Digest {
        Digest::of(format!("{self:?}").as_bytes())
    }

    fn name(&self) -> String {
        Store::host_file_name(&self.key())
    }

    /// Whether a change at this moment would change the times.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(self.changed.0)
            .is_ok_and(|changed| Duration::from_secs(changed) + SETTLED < now)
    }

    fn remember(&self, store: &Store, diff_id: &Digest) {
        if !self.is_settled() || !store.is_writable() {
            return;
        }
        // Without it the file is hashed the next time.
        if let Err(error) = store.write_digest(&self.name(), diff_id) {
            tracing::warn!(%error, "cannot save the digest of a file");
        }
    }
}

/// The plain tar of a file, if the store had it.
fn known_content(
    store: &Store,
    blob: &Arc<dyn Source>,
    state: &FileState,
    label: &str,
) -> Result<Option<Digest>> {
    if state.is_settled()
        && let Some(known) = store.read_digest(&state.name())?
        && store.has(&known)?
    {
        return Ok(Some(known));
    }
    if !store.has_unpacked(state.size)? {
        return Ok(None);
    }
    let digest = source::digest(blob, label)?;
    let known = store.unpacked(&digest, state.size)?;
    if let Some(known) = &known
        && store.has(known)?
    {
        state.remember(store, known);
        return Ok(Some(*known));
    }
    Ok(None)
}
