//! The plain tars of layers: made once from compressed blobs, indexed once, and opened once in a process.

use super::files::{TEMP, Temp};
use super::{Follower, HOST_FILES, INDEX, Lease, Store, UNPACKED, blob_name};
use crate::compress::{self, Format, Input, Sink, Unpacked};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layer::format;
use crate::source::{self, Reader};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use wasi_overlay_core::Limits;
use wasi_overlay_core::tar::{Source, TarIndex};

/// The suffix of the files of indexes. An index in another format is ignored.
const INDEX_VERSION: &str = "1";
/// Bytes of the longest header of a frame of zstd.
const ZSTD_HEADER: usize = 18;
/// Bytes of a file that holds a digest.
const MAX_DIGEST_FILE: u64 = 256;

/// The digests that a layer has to have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected {
    /// Of the blob.
    pub(crate) blob: Option<Digest>,
    /// Of the plain tar: the diffID.
    pub(crate) plain: Option<Digest>,
}

/// The archive of a layer and its index.
pub(crate) struct OpenLayer {
    pub(crate) index: Arc<TarIndex>,
    pub(crate) source: Arc<dyn Source>,
}

/// Device and inode of a store, and a diffID. Layers of two stores are not shared: one of the stores may be
/// damaged.
type Key = (u64, u64, Digest);

#[derive(Default)]
struct Shared {
    index: Weak<TarIndex>,
    lease: Weak<Lease>,
}

/// The layers that this process has open.
///
/// Lock order: this lock is released before that of an entry is taken.
static LAYERS: LazyLock<Mutex<HashMap<Key, Arc<Mutex<Shared>>>>> = LazyLock::new(Mutex::default);

/// The entry of a layer. Threads that open the same layer wait for each other at its lock.
fn shared(key: Key) -> Arc<Mutex<Shared>> {
    let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(entry) = layers.get(&key) {
        return Arc::clone(entry);
    }
    // Entries of closed layers go when one is added. One that is locked is in use.
    layers.retain(|_, entry| {
        Arc::strong_count(entry) > 1
            || entry
                .try_lock()
                .map_or(true, |shared| shared.lease.strong_count() > 0)
    });
    Arc::clone(layers.entry(key).or_default())
}

impl Store {
    /// Opens the plain tar with this digest, and indexes it if it has no index yet. `None` if the store does
    /// not have it.
    ///
    /// # Errors
    /// [`Error::Layer`] if it is not a layer; [`Error::Io`].
    pub(crate) fn open_layer(
        &self,
        diff_id: &Digest,
        limits: &Limits,
    ) -> Result<Option<OpenLayer>> {
        self.open_layer_with(diff_id, limits, None)
    }

    fn open_layer_with(
        &self,
        diff_id: &Digest,
        limits: &Limits,
        ready: Option<TarIndex>,
    ) -> Result<Option<OpenLayer>> {
        let (device, inode) = self.files.identity()?;
        let entry = shared((device, inode, *diff_id));
        let mut shared = entry.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(index), Some(lease)) = (shared.index.upgrade(), shared.lease.upgrade()) {
            return Ok(Some(OpenLayer {
                index,
                source: lease,
            }));
        }
        let Some(lease) = self.lease(diff_id)? else {
            return Ok(None);
        };
        let index = match ready {
            Some(index) => index,
            None => self.load_index(&lease, limits)?,
        };
        let (index, lease) = (Arc::new(index), Arc::new(lease));
        *shared = Shared {
            index: Arc::downgrade(&index),
            lease: Arc::downgrade(&lease),
        };
        Ok(Some(OpenLayer {
            index,
            source: lease,
        }))
    }

    /// The saved index of a plain tar; if it is missing or does not fit, a new one, which is saved.
    fn load_index(&self, lease: &Lease, limits: &Limits) -> Result<TarIndex> {
        let diff_id = lease.digest();
        let what = self.blob_path(&diff_id).display().to_string();
        let size = lease.size().map_err(|error| Error::layer(&what, error))?;
        if let Some(index) = self.saved_index(&diff_id, size, limits)? {
            return Ok(index);
        }
        let index = TarIndex::scan(lease, limits).map_err(|error| Error::layer(&what, error))?;
        self.save_index(&diff_id, &index);
        Ok(index)
    }

    /// The saved index of a plain tar of `size` bytes. `None` if there is none that fits.
    pub(super) fn saved_index(
        &self,
        diff_id: &Digest,
        size: u64,
        limits: &Limits,
    ) -> Result<Option<TarIndex>> {
        let max_bytes = limits.archive_index_bytes as u64;
        let name = index_name(diff_id);
        let Some(file) = self.files.open_file(&name)? else {
            return Ok(None);
        };
        let mut bytes = match source::read_all(&file, &name, max_bytes) {
            Ok(bytes) => bytes,
            // An index that another process replaces or truncates does not fit.
            Err(error) => {
                tracing::debug!(%error, "cannot read an index; making it again");
                return Ok(None);
            }
        };
        // The diffID follows, so that an index under the name of another is not used.
        let end = bytes.len().saturating_sub(diff_id.as_bytes().len());
        if bytes.get(end..) != Some(diff_id.as_bytes()) {
            return Ok(None);
        }
        bytes.truncate(end);
        Ok(TarIndex::from_bytes(bytes, size).ok())
    }

    /// Saves an index. It is only a cache, so a failure is logged.
    fn save_index(&self, diff_id: &Digest, index: &TarIndex) {
        if !self.files.is_writable() {
            return;
        }
        let saved = self.files.replace(
            &index_name(diff_id),
            &[index.as_bytes(), diff_id.as_bytes()],
            false,
        );
        if let Err(error) = saved {
            tracing::warn!(%error, "cannot save the index of a layer");
        }
    }

    /// Puts the plain tar of a compressed layer into the store, which has the layer's blob, and returns its
    /// digest. Otherwise this happens when the layer is used first.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the store does not have the blob; [`Error::WrongDigest`] if the tar is not
    /// `diff_id`; [`Error::TooLarge`], [`Error::NoSpace`]; [`Error::Layer`] if the tar is not a layer.
    pub fn unpack_blob(
        &self,
        blob: &Digest,
        diff_id: Option<Digest>,
        limits: &Limits,
    ) -> Result<Digest> {
        let what = format!("the layer {blob}");
        let Some(lease) = self.lease(blob)? else {
            return Err(crate::content::missing(self, &what));
        };
        let expected = Expected {
            blob: Some(*blob),
            plain: diff_id,
        };
        let (diff_id, _) = self.unpack(&what, Arc::new(lease), &expected, limits)?;
        Ok(diff_id)
    }

    /// As [`unpack_blob`](Self::unpack_blob), while the blob is being downloaded on another thread. The tar
    /// gets its name only after the digests of the whole blob and of the tar were checked.
    ///
    /// # Errors
    /// As [`unpack_blob`](Self::unpack_blob); [`Error::Io`] if the download was restarted or ended early.
    pub fn unpack_download(
        &self,
        download: Follower,
        diff_id: Option<Digest>,
        limits: &Limits,
    ) -> Result<Digest> {
        let what = format!("the layer {}", download.digest());
        let expected = Expected {
            blob: Some(download.digest()),
            plain: diff_id,
        };
        let blob = Arc::new(download);
        let (diff_id, _) = self.unpack_needing(&what, blob, &expected, limits, 0)?;
        Ok(diff_id)
    }

    /// Puts the plain tar of `blob` into the store, and opens it. Returns its digest too. The digests are
    /// checked before it has its name.
    ///
    /// # Errors
    /// [`Error::WrongDigest`], [`Error::TooLarge`], [`Error::NoSpace`]; those of reading and of the tar.
    pub(crate) fn unpack(
        &self,
        what: &str,
        blob: Arc<dyn Source>,
        expected: &Expected,
        limits: &Limits,
    ) -> Result<(Digest, OpenLayer)> {
        let needed = declared_size(&blob, what)?;
        self.unpack_needing(what, blob, expected, limits, needed)
    }

    /// Asks for as much space as the blob takes, and at least for `needed` bytes.
    fn unpack_needing(
        &self,
        what: &str,
        blob: Arc<dyn Source>,
        expected: &Expected,
        limits: &Limits,
        needed: u64,
    ) -> Result<(Digest, OpenLayer)> {
        self.files.check_writable(|| format!("store {what}"))?;
        // Another process that unpacks the same layer is waited for.
        let temp = match expected.plain.or(expected.blob) {
            Some(digest) => self
                .files
                .open_exclusive(&format!("{TEMP}/{}", digest.hex()))?,
            None => self.files.create_temp()?,
        };
        let size = blob.size().map_err(|error| Error::layer(what, error))?;
        if let Some(diff_id) = &expected.plain
            && self.is_plain_of(diff_id, expected.blob.as_ref(), size)?
            && let Some(open) = self.open_layer(diff_id, limits)?
        {
            return Ok((*diff_id, open));
        }
        if temp.len()? > 0 {
            temp.truncate()?;
        }
        let needed = size.max(needed);
        self.files
            .check_space(&format!("cannot store {what}"), needed)?;
        let input = Input {
            reader: &mut Reader::new(blob),
            what,
            size: Some(size),
        };
        let unpacked = compress::unpack(input, &temp, limits)?;
        expected.check(what, unpacked.plain, Some(unpacked.blob))?;
        self.publish(what, temp, unpacked, limits)
    }

    /// Waits until no other process does the work that `key` stands for.
    ///
    /// # Errors
    /// [`Error::ReadOnlyStore`], [`Error::NoSpace`], [`Error::Io`].
    pub(crate) fn turn(&self, key: &Digest) -> Result<impl Drop + use<>> {
        self.files
            .check_writable(|| "decompress a layer".to_owned())?;
        self.files
            .open_exclusive(&format!("{TEMP}/{}-turn", key.hex()))
    }

    fn publish(
        &self,
        what: &str,
        temp: Temp,
        unpacked: Unpacked,
        limits: &Limits,
    ) -> Result<(Digest, OpenLayer)> {
        let diff_id = unpacked.plain;
        if !self.has(&diff_id)? {
            temp.publish(&blob_name(&diff_id), true)?;
        }
        for warning in unpacked.index.warnings() {
            tracing::warn!("{what}: {warning}");
        }
        self.save_index(&diff_id, &unpacked.index);
        if unpacked.blob != diff_id {
            let name = unpacked_name(&unpacked.blob, unpacked.blob_bytes);
            self.write_digest(&name, &diff_id)?;
        }
        let open = self.open_layer_with(&diff_id, limits, Some(unpacked.index))?;
        match open {
            Some(open) => Ok((diff_id, open)),
            None => Err(Error::NotFound {
                what: what.to_owned(),
                reason: "another process removed it from the store at this moment; try again"
                    .to_owned(),
            }),
        }
    }

    /// Writes a file that holds a digest. It is only a cache, so it is not synced.
    pub(crate) fn write_digest(&self, name: &str, digest: &Digest) -> Result<()> {
        self.files
            .replace(name, &[format!("{digest}\n").as_bytes()], false)
    }

    /// The digest in a file. `None` if there is no such file or it is damaged.
    pub(crate) fn read_digest(&self, name: &str) -> Result<Option<Digest>> {
        let Some(file) = self.files.open_file(name)? else {
            return Ok(None);
        };
        let bytes = source::read_all(&file, name, MAX_DIGEST_FILE).unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap_or_default();
        Ok(text.trim_end().parse().ok())
    }

    /// The name of the file with the digest of a host file's content, by a digest of its metadata.
    pub(crate) fn host_file_name(key: &Digest) -> String {
        format!("{HOST_FILES}/{}", key.hex())
    }

    /// Whether `diff_id` is the plain tar of a blob with this digest and size: the blob itself, or what it
    /// was decompressed to here.
    pub(crate) fn is_plain_of(
        &self,
        diff_id: &Digest,
        blob: Option<&Digest>,
        size: u64,
    ) -> Result<bool> {
        Ok(match blob {
            Some(blob) => blob == diff_id || self.unpacked(blob, size)? == Some(*diff_id),
            None => false,
        })
    }

    /// The plain tar of a blob that was unpacked before.
    pub(crate) fn unpacked(&self, blob: &Digest, size: u64) -> Result<Option<Digest>> {
        self.read_digest(&unpacked_name(blob, size))
    }

    /// Whether a blob of this size was unpacked before.
    pub(crate) fn has_unpacked(&self, size: u64) -> Result<bool> {
        let prefix = format!("{size}-");
        let names = self.files.list(UNPACKED)?;
        Ok(names.iter().any(|name| name.starts_with(&prefix)))
    }
}

pub(super) fn index_name(diff_id: &Digest) -> String {
    format!("{INDEX}/{}.{INDEX_VERSION}", diff_id.hex())
}

fn unpacked_name(blob: &Digest, size: u64) -> String {
    format!("{UNPACKED}/{size}-{}", blob.hex())
}

/// The size that a blob says it decompresses to; 0 if it does not say. It may be wrong, and only serves to
/// ask early whether the disk has room.
fn declared_size(blob: &Arc<dyn Source>, what: &str) -> Result<u64> {
    let failed = |error| Error::layer(what, error);
    let size = blob.size().map_err(failed)?;
    match format(blob, what)? {
        Format::Gzip => {
            // The last four bytes, modulo 4 GiB.
            let mut trailer = [0; 4];
            let at = size.saturating_sub(trailer.len() as u64);
            let read = blob.read_at(&mut trailer, at).map_err(failed)?;
            let is_whole = read == trailer.len();
            Ok(if is_whole {
                u32::from_le_bytes(trailer).into()
            } else {
                0
            })
        }
        Format::Zstd => {
            let head = blob.read_vec_at(ZSTD_HEADER, 0).map_err(failed)?;
            // Of the first frame. A header that is cut or damaged is reported by the decoder.
            let declared = zstd::zstd_safe::get_frame_content_size(&head);
            Ok(declared.ok().flatten().unwrap_or(0))
        }
        Format::Plain => Ok(0),
    }
}

impl Sink for Temp {
    fn write(&self, bytes: &[u8]) -> Result<()> {
        Temp::write(self, bytes)
    }

    fn sync_data(&self) -> Result<()> {
        Temp::sync_data(self)
    }
}
