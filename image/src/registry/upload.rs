//! Upload of one blob: not at all if the registry has it, whole, or in pieces.

use super::answer::Answer;
use super::client::Repository;
use super::endpoint::{host_of, printable};
use super::error::{Error, Failure};
use super::progress::{Outcome, Progress};
use super::transport::{Call, Payload};
use crate::digest::Digest;
use crate::store::Lease;
use std::io::{self, Read, Seek, SeekFrom};
use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE};
use ureq::http::{Method, StatusCode};
use url::Url;

/// Size of the pieces if a registry refuses a blob as a whole.
const FALLBACK_CHUNK: u64 = 32 << 20;
/// The smallest piece that a registry takes.
const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");

impl Repository<'_> {
    /// Sends a blob, unless the registry has it, perhaps in the repository `source`.
    pub(super) fn push_blob(&self, blob: &Upload<'_>, source: Option<&str>) -> Result<(), Error> {
        let digest = blob.lease.digest();
        let head = self.call(Method::HEAD, &format!("blobs/{digest}"), blob.what);
        let answer = self.send_retrying(&head)?;
        match answer.status {
            StatusCode::OK => {
                self.progress.finished(&digest, Outcome::Present);
                return Ok(());
            }
            StatusCode::NOT_FOUND => {}
            _ => return Err(answer.into_failure(blob.what).error),
        }
        let mut session = None;
        if source.is_some() {
            // If the registry does not have the blob there, it opens an upload instead.
            session = self.start_upload(blob, source)?;
            if session.is_none() {
                self.progress.finished(&digest, Outcome::Mounted);
                return Ok(());
            }
        }
        self.progress.started(&digest, blob.size, 0);
        self.upload(blob, session)?;
        self.progress.finished(&digest, Outcome::Transferred);
        Ok(())
    }

    /// Uploads a blob whole, or in pieces if that is asked for or if the registry refuses it whole.
    /// The first attempt uses `session`, if there is one.
    fn upload(&self, blob: &Upload<'_>, mut session: Option<Session>) -> Result<(), Error> {
        let mut chunk = self.client.options().upload_chunk;
        self.retrying(|| {
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
                .append_pair("mount", &blob.lease.digest().to_string())
                .append_pair("from", source);
        }
        let answer = self.send_retrying(&call)?;
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
        let mut call = Call::new(
            Method::PUT,
            with_digest(location, blob.lease.digest()),
            blob.what,
        );
        let open = || blob.open(0, blob.size, self.progress);
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
        Ok(())
    }

    fn upload_chunks(&self, blob: &Upload<'_>, session: Session, size: u64) -> Result<(), Failure> {
        let chunk = size.max(session.minimum).max(1);
        let mut location = session.location;
        let mut done = 0;
        while done < blob.size {
            let length = chunk.min(blob.size - done);
            let mut call = Call::new(Method::PATCH, location, blob.what);
            let open = || blob.open(done, length, self.progress);
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
            self.progress.advanced(&blob.lease.digest(), done);
        }
        let mut call = Call::new(
            Method::PUT,
            with_digest(&location, blob.lease.digest()),
            blob.what,
        );
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
pub(super) struct Upload<'a> {
    /// Cannot be collected meanwhile.
    pub(super) lease: Lease,
    pub(super) size: u64,
    /// What it is, for messages.
    pub(super) what: &'a str,
}

impl Upload<'_> {
    fn open<'a>(
        &self,
        offset: u64,
        length: u64,
        progress: &'a dyn Progress,
    ) -> io::Result<Box<dyn Read + 'a>> {
        let mut file = self.lease.file().try_clone()?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(Reporting {
            reader: file.take(length),
            digest: self.lease.digest(),
            done: offset,
            progress,
        }))
    }
}

/// Reports what is read as transferred.
struct Reporting<'a, R> {
    reader: R,
    digest: Digest,
    done: u64,
    progress: &'a dyn Progress,
}

impl<R: Read> Read for Reporting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.done += read as u64;
        if read > 0 {
            self.progress.advanced(&self.digest, self.done);
        }
        Ok(read)
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
