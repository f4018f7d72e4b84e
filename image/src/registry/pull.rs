//! Pull: an image from a registry, or from its mirror, into the store.

use super::client::{Client, Repository};
use super::endpoint::Endpoint;
use super::error::Error;
use super::manifest::{self, Raw};
use super::progress::Progress;
use crate::content::Content;
use crate::digest::Digest;
use crate::layout;
use crate::limits::MAX_CONFIG;
use crate::platform::Choice;
use crate::reference::{DEFAULT_TAG, Reference};
use crate::store::Store;
use oci_spec::image::{Descriptor, MediaType};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wasi_overlay_core::tar::Source;

/// Indexes, manifests and configs that one pull downloads to choose a platform.
const DOCUMENT_LIMIT: usize = 64;
/// An image that is in the store now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pulled {
    /// The digest of what the reference names: a manifest, or an index of several.
    pub digest: Digest,
    /// The digest of the manifest for the platform.
    pub manifest: Digest,
    /// Bytes of the blobs that were not in the store.
    pub downloaded: u64,
}

impl Client {
    /// The digest of what a reference names in its registry, at the cost of a request that does not count
    /// as a download. For a reference with a digest, no request is sent.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub fn resolve(&self, reference: &Reference, progress: &dyn Progress) -> Result<Digest, Error> {
        if let Some(digest) = reference.digest() {
            return Ok(digest);
        }
        let tag = reference.tag().unwrap_or(DEFAULT_TAG);
        self.first_of_mirrors(reference, progress, |repository| {
            match repository.head(tag)?.digest {
                Some(digest) => Ok(digest),
                None => Ok(repository.manifest(tag, None)?.digest),
            }
        })
    }

    /// Pulls an image into the store, and gives it the name `reference` there. What the store has is not
    /// downloaded again; if it has all of an image that is named by its digest, no request is sent.
    ///
    /// # Errors
    /// The registry cannot be reached, denies access, or does not have the image; no manifest fits
    /// `choice`; an answer exceeds its limit or has another digest than it should. The blobs that have
    /// arrived stay in the store, and the next pull continues where this one stopped.
    pub fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        choice: &Choice,
        progress: &dyn Progress,
    ) -> Result<Pulled, Error> {
        self.first_of_mirrors(reference, progress, |repository| {
            repository.pull(store, reference, choice)
        })
    }

    /// Runs `action` with each mirror and then with the registry, until one succeeds.
    fn first_of_mirrors<T>(
        &self,
        reference: &Reference,
        progress: &dyn Progress,
        mut action: impl FnMut(&Repository<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let name = reference.repository();
        let registry = reference.registry();
        let mirrors: Vec<_> = self
            .options()
            .mirrors
            .iter()
            .filter(|mirror| mirror.registry == registry)
            .collect();
        let mut errors = Vec::new();
        for mirror in &mirrors {
            let host = mirror.location.split('/').next().unwrap_or_default();
            let attempt = self
                .transport
                .is_plain(host)
                .and_then(|plain| Endpoint::of_mirror(mirror, plain))
                .and_then(|endpoint| action(&self.repository(endpoint, name, "pull", progress)));
            match attempt {
                Ok(value) => return Ok(value),
                // The store or the choice of a platform would fail in the same way elsewhere.
                Err(error @ Error::Store(_)) => return Err(error),
                Err(error) => {
                    progress.warning(&format!("mirror of {registry}: {error}"));
                    errors.push(error);
                }
            }
        }
        if mirrors.iter().all(|mirror| mirror.fall_back) {
            let plain = self.transport.is_plain(registry)?;
            let endpoint = Endpoint::of_registry(registry, plain)?;
            match action(&self.repository(endpoint, name, "pull", progress)) {
                Ok(value) => return Ok(value),
                Err(error) if errors.is_empty() => return Err(error),
                Err(error) => errors.push(error),
            }
        }
        Err(Error::AllMirrors(errors))
    }
}

impl Repository<'_> {
    fn pull(&self, store: &Store, reference: &Reference, choice: &Choice) -> Result<Pulled, Error> {
        // No blob is collected before the image has its name, however long the pull takes.
        let _adding = store.adding()?;
        let root = self.root(store, reference)?;
        let documents = Documents {
            repository: self,
            store,
            fetched: AtomicUsize::new(0),
            error: Mutex::default(),
        };
        let image = layout::resolve(
            &documents,
            &reference.to_string(),
            vec![descriptor(&root)?],
            choice,
        )
        .map_err(|error| documents.take_error(error))?;
        let downloaded = self.fetch_blobs(store, &image)?;
        store.add_image(reference, &descriptor(&root)?)?;
        Ok(Pulled {
            digest: root.digest,
            manifest: image.digest,
            downloaded,
        })
    }

    /// The manifest or index that a reference names. It is in the store afterwards.
    fn root(&self, store: &Store, reference: &Reference) -> Result<Raw, Error> {
        if let Some(digest) = reference.digest() {
            return self.document(store, digest);
        }
        let tag = reference.tag().unwrap_or(DEFAULT_TAG);
        match self.head(tag)?.digest {
            Some(digest) => self.document(store, digest),
            None => {
                let raw = self.manifest(tag, None)?;
                store.write_blob(&raw.bytes)?;
                Ok(raw)
            }
        }
    }

    /// A manifest or an index from the store, otherwise from the registry. It is in the store afterwards.
    fn document(&self, store: &Store, digest: Digest) -> Result<Raw, Error> {
        if let Some(raw) = manifest::stored(store, digest)? {
            // From now on it is not collected.
            store.has(&digest)?;
            return Ok(raw);
        }
        let raw = self.manifest(&digest.to_string(), Some(digest))?;
        store.write_blob(&raw.bytes)?;
        Ok(raw)
    }
}

fn descriptor(raw: &Raw) -> Result<Descriptor, Error> {
    let digest = oci_spec::image::Digest::try_from(raw.digest)?;
    Ok(Descriptor::new(
        MediaType::from(raw.media_type),
        raw.bytes.len() as u64,
        digest,
    ))
}

/// The manifests of an image and their configs: from the store, otherwise from the registry.
struct Documents<'a, 'b> {
    repository: &'a Repository<'b>,
    store: &'a Store,
    /// Documents that were downloaded.
    fetched: AtomicUsize,
    /// Why the last download failed.
    error: Mutex<Option<Error>>,
}

impl Documents<'_, '_> {
    /// The error of the download behind an error of the choice, if there is one.
    fn take_error(&self, error: crate::Error) -> Error {
        let download = self
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        download.unwrap_or_else(|| error.into())
    }

    fn download(&self, digest: Digest) -> Result<Vec<u8>, Error> {
        let Repository { endpoint, .. } = self.repository;
        if self.fetched.fetch_add(1, Ordering::Relaxed) >= DOCUMENT_LIMIT {
            return Err(Error::Invalid {
                host: endpoint.name.clone(),
                what: "index",
                detail: format!(
                    "more than {DOCUMENT_LIMIT} documents have to be read to choose a platform"
                ),
            });
        }
        let bytes = match self.repository.manifest(&digest.to_string(), Some(digest)) {
            Ok(raw) => raw.bytes,
            // The config of a manifest whose platform is not in the index.
            Err(error @ Error::NotFound { .. }) => self
                .repository
                .small_blob(digest, MAX_CONFIG)?
                .ok_or(error)?,
            Err(error) => return Err(error),
        };
        self.store.write_blob(&bytes)?;
        Ok(bytes)
    }
}

impl Content for Documents<'_, '_> {
    fn label(&self) -> String {
        self.repository.endpoint.name.clone()
    }

    fn may_lack_manifests(&self) -> bool {
        false
    }

    fn blob(&self, digest: &Digest) -> crate::Result<Option<Arc<dyn Source>>> {
        if self.store.has(digest)?
            && let Some(blob) = self.store.blob(digest)?
        {
            return Ok(Some(blob));
        }
        match self.download(*digest) {
            Ok(bytes) => Ok(Some(Arc::new(bytes))),
            Err(error) => {
                *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Ok(None)
            }
        }
    }
}
