//! Push: an image of the store to a registry.

use super::client::{Client, Repository};
use super::endpoint::Endpoint;
use super::error::Error;
use super::manifest::{self, Document, Raw};
use super::parallel;
use super::progress::{Progress, Silent};
use super::upload::Upload;
use crate::digest::Digest;
use crate::limits::{MAX_INDEX_DEPTH, MAX_MANIFESTS};
use crate::reference::Reference;
use crate::store::Store;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Other repositories of the registry that blobs may be taken from.
const SOURCE_LIMIT: usize = 3;
/// Names of the store that are searched for such repositories.
const NAME_LIMIT: usize = 100;

impl Client {
    /// Pushes the manifest or index `digest` of the store under the name `reference`: first blobs that the
    /// registry lacks, then the manifests, and last the name. Returns the digest of what the name stands for.
    /// Blobs that other repositories of the registry have, by the names in the store, are not sent.
    ///
    /// If the store has only one of the manifests of an index, as after a pull, that one is pushed without
    /// the index, with a warning.
    ///
    /// # Errors
    /// The store lacks a blob of the image; the registry cannot be reached or denies access. The name
    /// stands for what it stood for before.
    pub fn push(
        &self,
        store: &Store,
        digest: Digest,
        reference: &Reference,
        progress: &dyn Progress,
    ) -> Result<Digest, Error> {
        let documents = documents(store, digest, progress)?;
        let Some((root, others)) = documents.split_first() else {
            return Err(missing(store, digest));
        };
        let registry = reference.registry();
        let endpoint = Endpoint::of_registry(registry, self.transport.is_plain(registry)?)?;
        let name = reference.repository();
        let mut repository = self.repository(endpoint, name, "pull,push", progress);
        let sources = sources(store, reference)?;
        for source in sources.values().collect::<BTreeSet<_>>() {
            repository.scope.push(format!("repository:{source}:pull"));
        }
        repository.push_blobs(store, &documents, &sources)?;
        for raw in others.iter().rev() {
            repository.put_manifest(&raw.digest.to_string(), raw)?;
        }
        let digest = root.digest.to_string();
        repository.put_manifest(reference.tag().unwrap_or(&digest), root)?;
        Ok(root.digest)
    }
}

/// Other repositories of the same registry, by the digests of blobs that they have: those of images that the
/// store knows by such a name. A name may be out of date, so the registry may refuse.
fn sources(store: &Store, reference: &Reference) -> Result<HashMap<Digest, String>, Error> {
    let mut sources = HashMap::new();
    let mut repositories = BTreeSet::new();
    for entry in store.entries()?.iter().take(NAME_LIMIT) {
        let Some(Ok(name)) = entry.name.as_ref().map(|name| name.parse::<Reference>()) else {
            continue;
        };
        let repository = name.repository();
        if name.registry() != reference.registry() || repository == reference.repository() {
            continue;
        }
        if repositories.len() == SOURCE_LIMIT && !repositories.contains(repository) {
            continue;
        }
        let root = Digest::try_from(entry.descriptor.digest())?;
        // Sending a blob is no failure, so what cannot be read is not used.
        let Ok(documents) = documents(store, root, &Silent) else {
            continue;
        };
        repositories.insert(repository.to_owned());
        for descriptor in documents.iter().flat_map(Raw::blobs) {
            if let Ok(digest) = Digest::try_from(descriptor.digest()) {
                sources.insert(digest, repository.to_owned());
            }
        }
    }
    Ok(sources)
}

/// The manifests and indexes to push, each before those that it lists.
fn documents(store: &Store, root: Digest, progress: &dyn Progress) -> Result<Vec<Raw>, Error> {
    let mut level = vec![only_present(store, root, progress)?];
    let mut all: Vec<Raw> = Vec::new();
    for _ in 0..=MAX_INDEX_DEPTH {
        let mut below = Vec::new();
        for raw in level {
            let (present, absent) = listed(store, &raw)?;
            if let Some(absent) = absent {
                return Err(missing(store, absent));
            }
            below.extend(present);
            all.push(raw);
        }
        below.retain(|digest| all.iter().all(|known| known.digest != *digest));
        if below.is_empty() {
            return Ok(all);
        }
        if all.len() + below.len() > MAX_MANIFESTS {
            break;
        }
        level = Vec::new();
        for digest in below {
            level.push(manifest::stored(store, digest)?.ok_or_else(|| missing(store, digest))?);
        }
    }
    Err(crate::Error::malformed(
        format_args!("the index {root}"),
        format_args!("it has more than {MAX_INDEX_DEPTH} levels or {MAX_MANIFESTS} manifests"),
    )
    .into())
}

/// The manifest or index `root`, or the only image of it that the store has.
fn only_present(store: &Store, root: Digest, progress: &dyn Progress) -> Result<Raw, Error> {
    let mut digest = root;
    for _ in 0..=MAX_INDEX_DEPTH {
        let raw = manifest::stored(store, digest)?.ok_or_else(|| missing(store, digest))?;
        match listed(store, &raw)? {
            (_, None) => return Ok(raw),
            (present, Some(absent)) => match present.as_slice() {
                [only] => digest = *only,
                _ => return Err(missing(store, absent)),
            },
        }
        progress.warning(&format!(
            "the store has only one of the images of {root}, so {digest} is pushed alone"
        ));
    }
    Err(missing(store, digest))
}

/// What an index lists: the manifests that the store has, and one that it does not have.
fn listed(store: &Store, raw: &Raw) -> Result<(Vec<Digest>, Option<Digest>), Error> {
    let (mut present, mut absent) = (Vec::new(), None);
    if let Document::Index(descriptors) = &raw.document {
        for descriptor in descriptors {
            let digest = Digest::try_from(descriptor.digest())?;
            if store.has(&digest)? {
                present.push(digest);
            } else {
                absent = Some(digest);
            }
        }
    }
    Ok((present, absent))
}

fn missing(store: &Store, digest: Digest) -> Error {
    Error::Store(Box::new(crate::Error::NotFound {
        what: format!("{digest} in {}", store.path().display()),
        reason: "it is missing, so the image cannot be pushed; pull it again, or choose one of its images \
                 with --platform OS/ARCH"
            .to_owned(),
    }))
}

impl Repository<'_> {
    fn push_blobs(
        &self,
        store: &Store,
        documents: &[Raw],
        sources: &HashMap<Digest, String>,
    ) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut blobs = Vec::new();
        for descriptor in documents.iter().flat_map(Raw::blobs) {
            let digest = Digest::try_from(descriptor.digest())?;
            if seen.insert(digest) {
                blobs.push((digest, descriptor.size()));
            }
        }
        let threads = self.client.options().parallel;
        parallel::for_each(&blobs, threads, |&(digest, size), _| {
            let Some(lease) = store.lease(&digest)? else {
                return Err(missing(store, digest));
            };
            let what = format!("blob {digest}");
            let upload = Upload {
                lease,
                size,
                what: &what,
            };
            self.push_blob(&upload, sources.get(&digest).map(String::as_str))
        })
    }
}
