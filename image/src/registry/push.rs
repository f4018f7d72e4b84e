//! Push: an image of the store to a registry.

use super::answer::Answer;
use super::client::{Client, Repository};
use super::endpoint::{Endpoint, host_of, printable};
use super::error::{Error, Failure};
use super::manifest::{self, Document, Raw};
use super::parallel;
use super::progress::{Outcome, Progress};
use super::transport::{Call, Payload};
use crate::digest::Digest;
use crate::limits::{MAX_INDEX_DEPTH, MAX_MANIFESTS};
use crate::reference::Reference;
use crate::store::Lease;
use crate::store::Store;
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE};
use ureq::http::{Method, StatusCode};
use url::Url;

/// Size of the pieces if a registry refuses a blob as a whole.
const FALLBACK_CHUNK: u64 = 32 << 20;
/// The smallest piece that a registry takes.
const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// What to push.
#[derive(Clone, Debug)]
pub struct Push<'a> {
    /// The manifest or index in the store.
    pub digest: Digest,
    /// Its name in the registry.
    pub reference: &'a Reference,
    /// Repositories of the same registry that may have some of the blobs. The registry takes them from
    /// there.
    pub mount_from: &'a [String],
}

impl Client {
    /// Pushes an image: blobs that the registry lacks, then the manifests, and last the name. Returns the
    /// digest of what the name stands for.
    ///
    /// If the store has only one of the manifests of an index, as after a pull, that one is pushed without
    /// the index, with a warning.
    ///
    /// # Errors
    /// The store lacks a part of the image; the registry cannot be reached or denies access. The name
    /// stands for what it stood for before.
    pub fn push(
        &self,
        store: &Store,
        push: &Push<'_>,
        progress: &dyn Progress,
    ) -> Result<Digest, Error> {
        let documents = documents(store, push.digest, progress)?;
        let root = documents.first().map_or(push.digest, |root| root.digest);
        let registry = push.reference.registry();
        let endpoint = Endpoint::of_registry(registry, self.transport.is_plain(registry)?)?;
        let name = push.reference.repository();
        let mut repository = self.repository(endpoint, name, "pull,push", progress);
        for source in push.mount_from.iter().filter(|source| **source != name) {
            repository.scope.push(format!("repository:{source}:pull"));
        }
        repository.push_blobs(store, &documents, push.mount_from)?;
        for raw in documents.iter().skip(1).rev() {
            repository.put_manifest(&raw.digest.to_string(), raw)?;
        }
        let digest = root.to_string();
        if let Some(raw) = documents.first() {
            repository.put_manifest(push.reference.tag().unwrap_or(&digest), raw)?;
        }
        Ok(root)
    }
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
        reason: "it is missing, so the image cannot be pushed; pull it again".to_owned(),
    }))
}

impl Repository<'_> {
    fn push_blobs(
        &self,
        store: &Store,
        documents: &[Raw],
        mount_from: &[String],
    ) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut blobs = Vec::new();
        for raw in documents {
            if let Document::Manifest(descriptors) = &raw.document {
                for descriptor in descriptors {
                    let digest = Digest::try_from(descriptor.digest())?;
                    if seen.insert(digest) {
                        blobs.push((digest, descriptor.size()));
                    }
                }
            }
        }
        let threads = self.client.options().parallel;
        parallel::for_each(&blobs, threads, |&(digest, size), _| {
            self.push_blob(store, digest, size, mount_from)
        })
    }

    fn push_blob(
        &self,
        store: &Store,
        digest: Digest,
        size: u64,
        mount_from: &[String],
    ) -> Result<(), Error> {
        let what = format!("blob {digest}");
        let head = self.call(Method::HEAD, &format!("blobs/{digest}"), &what);
        let answer = self.send_patiently(&head)?;
        match answer.status {
            StatusCode::OK => {
                self.progress.finished(&digest, Outcome::Present);
                return Ok(());
            }
            StatusCode::NOT_FOUND => {}
            _ => return Err(answer.into_failure(&what).error),
        }
        let blob = Upload {
            digest,
            size,
            what: &what,
            blob: store
                .lease(&digest)?
                .ok_or_else(|| missing(store, digest))?,
        };
        let mut session = None;
        for source in mount_from.iter().filter(|source| **source != self.name) {
            // If the registry does not have the blob there, it opens an upload instead.
            session = self.start_upload(&blob, Some(source))?;
            if session.is_none() {
                self.progress.finished(&digest, Outcome::Mounted);
                return Ok(());
            }
        }
        self.progress.started(&digest, size, 0);
        self.upload(&blob, session)?;
        self.progress.finished(&digest, Outcome::Transferred);
        Ok(())
    }

    /// Uploads a blob whole, or in pieces if that is asked for or if the registry refuses it whole.
    /// The first attempt uses `session`, if there is one.
    fn upload(&self, blob: &Upload<'_>, mut session: Option<Session>) -> Result<(), Error> {
        let mut chunk = self.client.options().upload_chunk;
        self.patiently(|| {
            let opened = match session.take() {
                Some(session) => Some(session),
                None => self.start_upload(blob, None)?,
            };
            let Some(session) = opened else { return Ok(()) };
            match chunk {
                Some(size) => self.upload_chunks(blob, session, size),
                None => match self.upload_whole(blob, &session.location) {
                    Err(Failure {
                        error: Error::Status { status: 413, .. },
                        ..
                    }) if blob.size > FALLBACK_CHUNK => {
                        chunk = Some(FALLBACK_CHUNK);
                        let Some(session) = self.start_upload(blob, None)? else {
                            return Ok(());
                        };
                        self.upload_chunks(blob, session, FALLBACK_CHUNK)
                    }
                    result => result,
                },
            }
        })
    }

    /// Opens an upload. `None` if the registry took the blob from `mount_from`.
    fn start_upload(
        &self,
        blob: &Upload<'_>,
        mount_from: Option<&str>,
    ) -> Result<Option<Session>, Error> {
        let mut call = self.call(Method::POST, "blobs/uploads/", blob.what);
        call.payload = Payload::Bytes(&[]);
        if let Some(source) = mount_from {
            call.url
                .query_pairs_mut()
                .append_pair("mount", &blob.digest.to_string())
                .append_pair("from", source);
        }
        let answer = self.send_patiently(&call)?;
        match answer.status {
            StatusCode::CREATED => Ok(None),
            StatusCode::ACCEPTED => {
                let minimum = answer
                    .header(&CHUNK_MINIMUM)
                    .and_then(|bytes| bytes.parse().ok());
                Ok(Some(Session {
                    location: self.location(&answer)?,
                    minimum: minimum.unwrap_or(0),
                }))
            }
            _ => Err(answer.into_failure(blob.what).error),
        }
    }

    fn upload_whole(&self, blob: &Upload<'_>, location: &Url) -> Result<(), Failure> {
        let mut call = Call::new(Method::PUT, with_digest(location, blob.digest), blob.what);
        let open = || blob.open(0, blob.size);
        call.payload = match blob.size {
            0 => Payload::Bytes(&[]),
            size => Payload::Stream(&open, size),
        };
        call.headers.push((
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ));
        let answer = self.send(&call)?;
        if !answer.status.is_success() {
            return Err(answer.into_failure(blob.what));
        }
        self.progress.advanced(&blob.digest, blob.size);
        Ok(())
    }

    fn upload_chunks(&self, blob: &Upload<'_>, session: Session, size: u64) -> Result<(), Failure> {
        let chunk = size.max(session.minimum).max(1);
        let mut location = session.location;
        let mut done = 0;
        while done < blob.size {
            let length = chunk.min(blob.size - done);
            let mut call = Call::new(Method::PATCH, location, blob.what);
            let open = || blob.open(done, length);
            call.payload = Payload::Stream(&open, length);
            call.headers.push((
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            ));
            let range = format!("{done}-{}", done + length - 1);
            if let Ok(range) = HeaderValue::from_str(&range) {
                call.headers.push((CONTENT_RANGE, range));
            }
            let answer = self.send(&call)?;
            if answer.status != StatusCode::ACCEPTED {
                return Err(answer.into_failure(blob.what));
            }
            location = self.location(&answer)?;
            done = received(&answer).map_or(done + length, |end| end.min(done + length));
            self.progress.advanced(&blob.digest, done);
        }
        let mut call = Call::new(Method::PUT, with_digest(&location, blob.digest), blob.what);
        call.payload = Payload::Bytes(&[]);
        let answer = self.send(&call)?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(answer.into_failure(blob.what))
        }
    }

    /// Where an upload goes on. Data of ours goes to another host only with TLS.
    fn location(&self, answer: &Answer) -> Result<Url, Error> {
        let location = answer
            .header(&LOCATION)
            .and_then(|location| answer.url.join(location).ok());
        let Some(location) = location else {
            return Err(Error::Invalid {
                host: answer.host(),
                what: "answer to an upload",
                detail: "it has no Location".to_owned(),
            });
        };
        let allowed = match location.scheme() {
            "https" => true,
            "http" => {
                // Some registries behind a proxy give their own address without TLS.
                self.endpoint.is_plain() || self.client.transport.is_plain(&host_of(&location))?
            }
            _ => false,
        };
        if allowed {
            return Ok(location);
        }
        let host = host_of(&answer.url);
        if host_of(&location) == host {
            let mut secure = location.clone();
            if secure.set_scheme("https").is_ok() {
                return Ok(secure);
            }
        }
        Err(Error::Redirect {
            host,
            what: "an upload".to_owned(),
            target: printable(&location),
            reason: "the registry is reached with TLS and the target without",
        })
    }
}

/// An upload that the registry has opened.
struct Session {
    location: Url,
    /// The smallest piece that it takes, in bytes.
    minimum: u64,
}

/// A blob of the store to upload.
struct Upload<'a> {
    digest: Digest,
    size: u64,
    what: &'a str,
    blob: Lease,
}

impl Upload<'_> {
    fn open(&self, offset: u64, length: u64) -> io::Result<Box<dyn Read>> {
        let mut file = self.blob.file().try_clone()?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file.take(length)))
    }
}

/// Bytes that the registry has of an upload (`Range: 0-LAST`).
fn received(answer: &Answer) -> Option<u64> {
    let range = answer.header(&RANGE)?;
    let last = range.trim().trim_start_matches("bytes=").split_once('-')?.1;
    last.parse::<u64>().ok()?.checked_add(1)
}

fn with_digest(location: &Url, digest: Digest) -> Url {
    let mut url = location.clone();
    url.query_pairs_mut()
        .append_pair("digest", &digest.to_string());
    url
}
