//! Download of one blob: resumed, retried, and bounded by its descriptor.

use super::answer::Answer;
use super::client::Repository;
use super::error::{Error, Failure};
use super::options::RENEWING_PROGRESS;
use crate::digest::Digest;
use crate::store::PartialBlob;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderValue, RANGE};
use ureq::http::{Method, StatusCode};

/// What to download.
pub(super) struct Wanted<'a> {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// What it is, for messages.
    pub(super) what: &'a str,
    /// Whether another transfer has failed, so that this one is to end.
    pub(super) cancelled: &'a dyn Fn() -> bool,
}

impl Repository<'_> {
    /// Downloads the bytes that `blob` lacks, with as many attempts as the options allow.
    ///
    /// # Errors
    /// What has arrived stays in the partial blob for the next time, unless it cannot be right.
    pub(super) fn download(
        &self,
        wanted: &Wanted<'_>,
        blob: &mut PartialBlob,
    ) -> Result<(), Error> {
        self.progress
            .started(&wanted.digest, wanted.size, blob.len());
        let mut failed = 0;
        loop {
            let before = blob.len();
            let Err(mut failure) = self.attempt(wanted, blob) else {
                return Ok(());
            };
            if blob.len() >= before.saturating_add(RENEWING_PROGRESS) {
                failed = 0;
            }
            // A registry that was reached before may be restarting.
            failure.transient |= failure.refused && blob.len() > 0;
            self.pause(failed, failure)?;
            failed += 1;
        }
    }

    /// Downloads the missing bytes.
    fn attempt(&self, wanted: &Wanted<'_>, blob: &mut PartialBlob) -> Result<(), Failure> {
        let have = blob.len();
        if have == wanted.size {
            return Ok(());
        }
        let mut call = self.call(
            Method::GET,
            &format!("blobs/{}", wanted.digest),
            wanted.what,
        );
        call.headers
            .push((ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        if have > 0 {
            let range =
                HeaderValue::from_str(&format!("bytes={have}-")).map_err(|_| Error::Invalid {
                    host: self.endpoint.name.clone(),
                    what: "range",
                    detail: have.to_string(),
                })?;
            call.headers.push((RANGE, range));
        }
        let answer = self.send(&call)?;
        match answer.status {
            StatusCode::PARTIAL_CONTENT if starts_at(&answer, have) => {}
            // The whole blob, or another range than requested.
            StatusCode::OK | StatusCode::PARTIAL_CONTENT if have > 0 => {
                blob.restart().map_err(Error::from)?;
                if answer.status == StatusCode::PARTIAL_CONTENT {
                    return Err(Failure::transient(self.bad_range(&answer, have)));
                }
            }
            StatusCode::OK => {}
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
                blob.restart().map_err(Error::from)?;
                return Err(Failure::transient(self.bad_range(&answer, have)));
            }
            _ => return Err(answer.into_failure(wanted.what)),
        }
        self.receive(answer, wanted, blob)
    }

    fn receive(
        &self,
        answer: Answer,
        wanted: &Wanted<'_>,
        blob: &mut PartialBlob,
    ) -> Result<(), Failure> {
        let missing = wanted.size - blob.len();
        let host = answer.host();
        let wrong_size = |actual| Error::WrongSize {
            host: host.clone(),
            what: wanted.what.to_owned(),
            expected: wanted.size,
            actual,
        };
        if let Some(announced) = answer.announced().filter(|announced| *announced != missing) {
            return Err(wrong_size(blob.len().saturating_add(announced)).into());
        }
        let mut body = answer.into_body(blob.len());
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = body.read(wanted.what, &mut buffer)?;
            let left = wanted.size - blob.len();
            if read as u64 > left {
                // Not a truncated blob but another one, so a later pull must not continue it.
                blob.restart().map_err(Error::from)?;
                return Err(wrong_size(wanted.size + 1).into());
            }
            if read == 0 {
                if left == 0 {
                    return Ok(());
                }
                return Err(Failure::transient(Error::Cut {
                    host,
                    what: wanted.what.to_owned(),
                    received: blob.len(),
                    cause: format!("{left} are missing"),
                }));
            }
            blob.write(&buffer[..read]).map_err(Error::from)?;
            self.progress.advanced(&wanted.digest, blob.len());
            if (wanted.cancelled)() {
                return Err(cancelled().into());
            }
        }
    }

    fn bad_range(&self, answer: &Answer, have: u64) -> Error {
        Error::Invalid {
            host: self.endpoint.name.clone(),
            what: "range",
            detail: format!(
                "asked for the bytes from {have}, it answers {} with the range `{}`",
                answer.status.as_u16(),
                answer.header(&CONTENT_RANGE).unwrap_or_default()
            ),
        }
    }
}

/// The error of a transfer that ends because another one failed. The caller reports the
/// error of that one.
fn cancelled() -> Error {
    Error::Io {
        what: "the transfer".to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::Interrupted, "another transfer failed"),
    }
}

/// Whether an answer begins at `offset` (`Content-Range: bytes OFFSET-…`).
fn starts_at(answer: &Answer, offset: u64) -> bool {
    answer
        .header(&CONTENT_RANGE)
        .and_then(|range| range.trim().strip_prefix("bytes"))
        .and_then(|range| range.trim_start().split('-').next())
        .and_then(|first| first.trim().parse::<u64>().ok())
        .is_some_and(|first| first == offset)
}
