//! Manifests and indexes as registries send them.

use super::client::Repository;
use super::error::{Error, Failure};
use crate::digest::Digest;
use crate::json;
use crate::limits::MAX_MANIFEST;
use crate::store::Store;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde_json::Value;
use ureq::http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use ureq::http::{Method, StatusCode};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The digest of what a registry sends.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a tag names.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// `None` if the registry does not send it.
    pub(super) digest: Option<Digest>,
}

/// A manifest or an index.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
    pub(super) document: Document,
    pub(super) media_type: &'static str,
}

/// What a manifest or an index lists.
#[derive(Clone, Debug)]
pub(super) enum Document {
    /// The manifests of several platforms.
    Index(Vec<Descriptor>),
    /// The blobs of one image: its layers, and last its config.
    Manifest(Vec<Descriptor>),
}

impl Raw {
    /// The blobs that a manifest lists: its layers, and last its config. An index lists none.
    pub(super) fn blobs(&self) -> &[Descriptor] {
        match &self.document {
            Document::Manifest(blobs) => blobs,
            Document::Index(_) => &[],
        }
    }
}

/// Parses a manifest or an index.
///
/// A document that could be both is refused, because others could take it for the other one
/// (CVE-2021-41190).
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(
    bytes: &[u8],
    content_type: Option<&str>,
) -> Result<(Document, &'static str), String> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|cause| format!("not JSON: {cause}"))?;
    let has = |name: &str| value.get(name).is_some();
    let stated = value
        .get("mediaType")
        .and_then(Value::as_str)
        .or(content_type)
        .map(|media_type| media_type.split(';').next().unwrap_or_default().trim());
    if value.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
        return Err(
            "a manifest of schema 1, which docker gave up in 2017; push the image again".to_owned(),
        );
    }
    match (has("manifests"), has("layers") || has("config")) {
        (true, true) => Err("it lists both manifests and layers".to_owned()),
        (true, false) => {
            let media_type = match stated {
                Some(DOCKER_LIST) => DOCKER_LIST,
                Some(OCI_MANIFEST | DOCKER_MANIFEST) => {
                    return Err("an index that says it is a manifest".to_owned());
                }
                _ => OCI_INDEX,
            };
            let index: ImageIndex = json::parse("index", bytes, &[&["manifests"]])
                .map_err(|cause| cause.to_string())?;
            Ok((Document::Index(index.manifests().clone()), media_type))
        }
        (false, true) => {
            let media_type = match stated {
                Some(DOCKER_MANIFEST) => DOCKER_MANIFEST,
                Some(OCI_INDEX | DOCKER_LIST) => {
                    return Err("a manifest that says it is an index".to_owned());
                }
                _ => OCI_MANIFEST,
            };
            let manifest: ImageManifest = json::parse("manifest", bytes, &[&["layers"]])
                .map_err(|cause| cause.to_string())?;
            let mut blobs = manifest.layers().clone();
            blobs.push(manifest.config().clone());
            Ok((Document::Manifest(blobs), media_type))
        }
        (false, false) => Err("it lists neither manifests nor layers".to_owned()),
    }
}

/// A manifest or an index of the store. `None` if the store does not have it.
pub(super) fn stored(store: &Store, digest: Digest) -> Result<Option<Raw>, crate::Error> {
    let Some(bytes) = store.read_blob(&digest, MAX_MANIFEST)? else {
        return Ok(None);
    };
    let (document, media_type) = parse(&bytes, None).map_err(|detail| {
        crate::Error::malformed(
            format_args!("manifest {digest} in {}", store.path().display()),
            detail,
        )
    })?;
    Ok(Some(Raw {
        digest,
        bytes,
        document,
        media_type,
    }))
}

fn accept() -> (HeaderName, HeaderValue) {
    // In one header: some registries read only the first.
    const ALL: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                       application/vnd.docker.distribution.manifest.v2+json, \
                       application/vnd.docker.distribution.manifest.list.v2+json";
    (ACCEPT, HeaderValue::from_static(ALL))
}

impl Repository<'_> {
    /// Asks what a tag names. Requests of this kind do not count against limits of downloads.
    pub(super) fn head(&self, tag: &str) -> Result<Head, Error> {
        let what = format!("{}:{tag}", self.name);
        let mut call = self.call(Method::HEAD, &format!("manifests/{tag}"), &what);
        call.headers.push(accept());
        let answer = self.send_retrying(&call)?;
        match answer.status {
            StatusCode::OK => Ok(Head {
                digest: answer
                    .header(&CONTENT_DIGEST)
                    .and_then(|digest| digest.parse().ok()),
            }),
            // The answer to GET decides.
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Ok(Head { digest: None })
            }
            _ => Err(answer.into_failure(&what).error),
        }
    }

    /// Downloads a manifest or an index by tag or digest, and checks it.
    ///
    /// # Errors
    /// More than [`MAX_MANIFEST`] bytes, another digest than expected, and what is no manifest.
    pub(super) fn manifest(&self, name: &str, expected: Option<Digest>) -> Result<Raw, Error> {
        let what = match expected {
            Some(digest) => format!("manifest {digest}"),
            None => format!("manifest of {}:{name}", self.name),
        };
        let mut call = self.call(Method::GET, &format!("manifests/{name}"), &what);
        call.headers.push(accept());
        // Retries include the body.
        let (bytes, content_type, stated) = self.retrying(|| {
            let answer = self.send(&call)?;
            if answer.status != StatusCode::OK {
                return Err(answer.into_failure(&what));
            }
            let content_type = answer.header(&CONTENT_TYPE).map(str::to_owned);
            let stated = answer
                .header(&CONTENT_DIGEST)
                .and_then(|digest| digest.parse::<Digest>().ok());
            Ok::<_, Failure>((answer.read(&what, MAX_MANIFEST)?, content_type, stated))
        })?;
        let host = self.endpoint.name.clone();
        let digest = Digest::of(&bytes);
        if let Some(wanted) = expected.or(stated).filter(|wanted| *wanted != digest) {
            let detail = format!("its digest is {digest} instead of {wanted}");
            return Err(Error::WrongDigest { host, what, detail });
        }
        let (document, media_type) =
            parse(&bytes, content_type.as_deref()).map_err(|detail| Error::Invalid {
                host,
                what: "manifest",
                detail,
            })?;
        Ok(Raw {
            digest,
            bytes,
            document,
            media_type,
        })
    }

    /// Downloads a small blob into memory. `None` if the registry does not have it.
    pub(super) fn small_blob(&self, digest: Digest, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let what = format!("blob {digest}");
        let call = self.call(Method::GET, &format!("blobs/{digest}"), &what);
        let bytes = self.retrying(|| {
            let answer = self.send(&call)?;
            match answer.status {
                StatusCode::OK => answer.read(&what, limit).map(Some),
                StatusCode::NOT_FOUND => Ok(None),
                _ => Err(answer.into_failure(&what)),
            }
        })?;
        match bytes {
            Some(bytes) if Digest::of(&bytes) != digest => Err(Error::WrongDigest {
                host: self.endpoint.name.clone(),
                what,
                detail: format!("its digest is {}", Digest::of(&bytes)),
            }),
            bytes => Ok(bytes),
        }
    }

    /// Uploads a manifest or an index under a tag or a digest.
    pub(super) fn put_manifest(&self, name: &str, raw: &Raw) -> Result<(), Error> {
        let what = format!("manifest {}:{name}", self.name);
        let mut call = self.call(Method::PUT, &format!("manifests/{name}"), &what);
        call.headers
            .push((CONTENT_TYPE, HeaderValue::from_static(raw.media_type)));
        call.payload = super::transport::Payload::Bytes(&raw.bytes);
        let answer = self.send_retrying(&call)?;
        if !answer.status.is_success() {
            return Err(answer.into_failure(&what).error);
        }
        let stored = answer
            .header(&CONTENT_DIGEST)
            .and_then(|digest| digest.parse::<Digest>().ok());
        match stored.filter(|stored| *stored != raw.digest) {
            Some(stored) => Err(Error::WrongDigest {
                host: self.endpoint.name.clone(),
                what,
                detail: format!(
                    "the registry stored it as {stored} instead of {}",
                    raw.digest
                ),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor() -> String {
        format!(r#"{{"mediaType":"x/y","digest":"{DIGEST}","size":0}}"#)
    }

    #[test]
    fn kind_is_decided_by_content_and_must_not_contradict_the_media_type() {
        let descriptor = descriptor();
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{descriptor}]}}"#);
        let manifest =
            format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[{descriptor}]}}"#);
        let both = format!(
            r#"{{"schemaVersion":2,"config":{descriptor},"layers":[],"manifests":[{descriptor}]}}"#
        );
        let kind = |text: &str, content_type| {
            parse(text.as_bytes(), content_type).map(|(_, media_type)| media_type)
        };
        assert_eq!(kind(&index, None), Ok(OCI_INDEX));
        assert_eq!(kind(&index, Some(DOCKER_LIST)), Ok(DOCKER_LIST));
        assert_eq!(
            kind(&manifest, Some("text/plain; charset=utf-8")),
            Ok(OCI_MANIFEST)
        );
        assert_eq!(kind(&manifest, Some(DOCKER_MANIFEST)), Ok(DOCKER_MANIFEST));
        assert!(kind(&index, Some(OCI_MANIFEST)).is_err());
        assert!(kind(&manifest, Some(OCI_INDEX)).is_err());
        assert!(kind(&both, None).is_err());
        assert!(kind("{}", None).is_err());
        assert!(
            kind(r#"{"schemaVersion":1,"fsLayers":[]}"#, None)
                .is_err_and(|text| text.contains("schema 1"))
        );
    }
}
