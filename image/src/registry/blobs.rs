//! The blobs of an image: downloaded at the same time, and decompressed while they arrive.

use super::client::Repository;
use super::error::Error;
use super::parallel;
use super::progress::Outcome;
use super::transfer::Wanted;
use crate::digest::Digest;
use crate::json;
use crate::layout::Resolved;
use crate::limits::MAX_CONFIG;
use crate::store::{PartialBlob, Store};
use oci_spec::image::{Descriptor, MediaType};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;
use wasi_overlay_core::Limits;

/// Media types of layers that registries do not have.
const FOREIGN: [&str; 2] = [
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
];

/// A blob to download.
struct Blob {
    digest: Digest,
    size: u64,
    /// What it is, for messages.
    what: String,
    /// The index of a layer among those of the image, if the layer is compressed.
    compressed: Option<usize>,
}

/// How layers are decompressed.
struct Unpacking<'a> {
    limits: &'a Limits,
    /// The digests of the plain tars, in the order of the layers.
    diff_ids: Vec<Digest>,
    /// Held while a layer is decompressed. One at a time, since each may need 128 MiB.
    turn: Mutex<()>,
}

impl Repository<'_> {
    /// Downloads the blobs that the store lacks, and returns how many bytes that were.
    pub(super) fn fetch_blobs(&self, store: &Store, image: &Resolved) -> Result<u64, Error> {
        let options = self.client.options();
        let config = self.blob(image.manifest.config(), "config", MAX_CONFIG)?;
        let mut layers = Vec::new();
        for (index, layer) in image.manifest.layers().iter().enumerate() {
            check_distributable(layer)?;
            let mut blob = self.blob(layer, "layer", options.layer_limit)?;
            blob.compressed = is_compressed(layer.media_type()).then_some(index);
            layers.push(blob);
        }
        let size = image.bytes.len() as u64;
        let digest = oci_spec::image::Digest::try_from(image.digest)?;
        let manifest = Descriptor::new(MediaType::ImageManifest, size, digest);
        let lacking = store.missing_blobs(&manifest)?;
        let mut seen = HashSet::from([config.digest]);
        layers.retain(|blob| seen.insert(blob.digest));
        let (missing, present): (Vec<_>, Vec<_>) = layers
            .into_iter()
            .partition(|blob| lacking.contains(&blob.digest));
        let mut bytes: u64 = missing.iter().map(|blob| blob.size).sum();
        if lacking.contains(&config.digest) {
            self.fetch(store, &config, &AtomicBool::new(false), |_| Ok(()))?;
            bytes = bytes.saturating_add(config.size);
        } else {
            self.progress.finished(&config.digest, Outcome::Present);
        }
        for blob in present {
            self.progress.finished(&blob.digest, Outcome::Present);
        }
        let unpacking = match &options.unpack {
            Some(limits) => Some(Unpacking {
                limits,
                diff_ids: diff_ids(store, config.digest)?,
                turn: Mutex::default(),
            }),
            None => None,
        };
        parallel::for_each(&missing, options.parallel, |blob, failed| {
            match (&unpacking, blob.compressed) {
                (Some(unpacking), Some(index)) => {
                    self.fetch_and_unpack(store, blob, index, failed, unpacking)
                }
                _ => self.fetch(store, blob, failed, |_| Ok(())),
            }
        })?;
        Ok(bytes)
    }

    /// The blob of a descriptor, unless it is larger than `limit`.
    fn blob(&self, descriptor: &Descriptor, kind: &str, limit: u64) -> Result<Blob, Error> {
        let digest = Digest::try_from(descriptor.digest())?;
        let what = format!("{kind} {digest}");
        if descriptor.size() > limit {
            return Err(Error::TooLarge {
                host: self.endpoint.name.clone(),
                what,
                limit,
            });
        }
        Ok(Blob {
            digest,
            size: descriptor.size(),
            what,
            compressed: None,
        })
    }

    /// Downloads a blob, which has its name in the store only if its digest is right. `begin` is called
    /// before each attempt.
    fn fetch(
        &self,
        store: &Store,
        blob: &Blob,
        failed: &AtomicBool,
        mut begin: impl FnMut(&PartialBlob) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let wanted = Wanted {
            digest: blob.digest,
            size: blob.size,
            what: &blob.what,
            cancelled: &|| failed.load(Ordering::Relaxed),
        };
        loop {
            let mut partial = store.partial(&blob.digest, Some(blob.size))?;
            if partial.is_complete() {
                self.progress.finished(&blob.digest, Outcome::Present);
                return Ok(());
            }
            let resumed = partial.len() > 0;
            begin(&partial)?;
            self.download(&wanted, &mut partial)?;
            match partial.commit() {
                Ok(()) => {
                    self.progress.finished(&blob.digest, Outcome::Transferred);
                    return Ok(());
                }
                // The bytes of an earlier run may be the wrong ones. They are gone now.
                Err(crate::Error::WrongDigest { .. }) if resumed => {}
                Err(crate::Error::WrongDigest { actual, .. }) => {
                    return Err(Error::WrongDigest {
                        host: self.endpoint.name.clone(),
                        what: blob.what.clone(),
                        detail: format!("its bytes have the digest {actual}"),
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Downloads a compressed layer and puts its plain tar into the store: while the layer arrives, unless
    /// another layer is being decompressed; then afterwards.
    fn fetch_and_unpack(
        &self,
        store: &Store,
        blob: &Blob,
        index: usize,
        failed: &AtomicBool,
        unpacking: &Unpacking<'_>,
    ) -> Result<(), Error> {
        let Unpacking {
            limits,
            diff_ids,
            turn,
        } = unpacking;
        let diff_id = diff_ids.get(index).copied();
        let mut my_turn = match turn.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let unpacked = thread::scope(|scope| {
            let mut thread = None;
            self.fetch(store, blob, failed, |partial| {
                if my_turn.is_some()
                    && let Some(download) = partial.follow()?
                {
                    let unpack = move || store.unpack_download(download, diff_id, limits);
                    let builder = thread::Builder::new().name("unpack".to_owned());
                    // Without a thread, the layer is decompressed afterwards.
                    thread = builder.spawn_scoped(scope, unpack).ok();
                }
                Ok(())
            })?;
            Ok::<_, Error>(thread.and_then(|thread| thread.join().ok()))
        })?;
        match unpacked {
            Some(Ok(_)) => return Ok(()),
            // The download started over.
            Some(Err(crate::Error::Io { .. })) | None => {}
            Some(Err(error)) => return Err(error.into()),
        }
        if my_turn.is_none() {
            my_turn = Some(turn.lock().unwrap_or_else(PoisonError::into_inner));
        }
        store.unpack_blob(&blob.digest, diff_id, limits)?;
        drop(my_turn);
        Ok(())
    }
}

/// The digests of the plain tars, from the config. None if it is not the config of an image with layers.
fn diff_ids(store: &Store, config: Digest) -> Result<Vec<Digest>, Error> {
    let Some(bytes) = store.read_blob(&config, MAX_CONFIG)? else {
        return Ok(Vec::new());
    };
    let Ok(config) = json::value("the config", &bytes) else {
        return Ok(Vec::new());
    };
    let digests = config.pointer("/rootfs/diff_ids").and_then(Value::as_array);
    let digests = digests.into_iter().flatten();
    Ok(digests
        .map_while(|digest| digest.as_str()?.parse().ok())
        .collect())
}

fn is_compressed(media_type: &MediaType) -> bool {
    let media_type = media_type.to_string();
    media_type.contains("tar") && (media_type.ends_with("gzip") || media_type.ends_with("zstd"))
}

fn check_distributable(layer: &Descriptor) -> Result<(), Error> {
    let media_type = layer.media_type().to_string();
    let elsewhere = layer.urls().as_ref().is_some_and(|urls| !urls.is_empty());
    if elsewhere
        || FOREIGN
            .iter()
            .any(|foreign| media_type.starts_with(foreign))
    {
        return Err(Error::Foreign {
            digest: layer.digest().to_string(),
            media_type,
        });
    }
    Ok(())
}
