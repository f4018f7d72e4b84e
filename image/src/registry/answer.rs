//! Answers of servers: their status and headers, and their bodies within bounds.

use super::endpoint::host_of;
use super::error::{Error, Failure};
use super::options::{ERROR_LIMIT, SLOWEST_PROGRESS};
use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant, SystemTime};
use ureq::Body;
use ureq::http::header::{CONTENT_LENGTH, HeaderName, RETRY_AFTER};
use ureq::http::{Response, StatusCode};
use url::Url;

/// The head of an answer, and its body to be read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Where the answer came from, after redirects.
    pub(super) url: Url,
    response: Response<Body>,
    stall_timeout: Duration,
}

impl Answer {
    pub(super) fn new(url: Url, response: Response<Body>, stall_timeout: Duration) -> Self {
        Self {
            status: response.status(),
            url,
            response,
            stall_timeout,
        }
    }

    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    /// All values of a header.
    pub(super) fn headers(&self, name: &HeaderName) -> Vec<String> {
        self.response
            .headers()
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect()
    }

    pub(super) fn host(&self) -> String {
        host_of(&self.url)
    }

    /// Bytes of the body, if the server announces them.
    pub(super) fn announced(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH)
            .and_then(|length| length.parse().ok())
    }

    /// The pause that the server asks for, in seconds or until a date.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let value = self.header(&RETRY_AFTER)?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// A body of more than `limit` bytes, of which no more are read; one that ends early or stalls.
    pub(super) fn read(self, what: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        let too_large = |host| Error::TooLarge {
            host,
            what: what.to_owned(),
            limit,
        };
        let announced = self.announced();
        if announced.is_some_and(|bytes| bytes > limit) {
            return Err(too_large(self.host()).into());
        }
        let host = self.host();
        // Small answers have to arrive within a multiple of the time without any progress.
        let patience = self.stall_timeout * 4;
        let started = Instant::now();
        let mut body = self.into_body(0);
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 << 10];
        loop {
            let read = body.read(what, &mut buffer)?;
            if read == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&buffer[..read]);
            if bytes.len() as u64 > limit {
                return Err(too_large(host).into());
            }
            if started.elapsed() > patience {
                return Err(Failure::transient(Error::Stalled {
                    host,
                    what: what.to_owned(),
                    after: patience,
                }));
            }
        }
    }

    /// The body, after `received` bytes of earlier answers.
    pub(super) fn into_body(self, received: u64) -> AnswerBody {
        let host = self.host();
        AnswerBody {
            reader: self.response.into_body().into_reader(),
            host,
            stall_timeout: self.stall_timeout,
            window: Instant::now(),
            in_window: 0,
            received,
        }
    }

    /// The error that a status stands for, with what the registry says about it.
    pub(super) fn into_failure(self, what: &str) -> Failure {
        let (host, status, wait) = (self.host(), self.status, self.retry_after());
        let (what, detail) = (what.to_owned(), self.into_detail());
        let error = if status == StatusCode::NOT_FOUND {
            Error::NotFound { host, what, detail }
        } else {
            Error::Status {
                host,
                what,
                status: status.as_u16(),
                detail,
            }
        };
        Failure {
            transient: is_transient(status),
            wait,
            ..Failure::from(error)
        }
    }

    /// What the server says about an error, after `: `. Empty if it says nothing.
    pub(super) fn into_detail(self) -> String {
        // A message that cannot be read is no reason to hide the status.
        let body = self.read("an error", ERROR_LIMIT).unwrap_or_default();
        detail(&body)
    }
}

/// Whether a status stands for a transient failure.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The body of an answer. A read fails if the server makes too little progress.
pub(super) struct AnswerBody {
    reader: ureq::BodyReader<'static>,
    host: String,
    stall_timeout: Duration,
    /// Start of the time in which progress is measured.
    window: Instant,
    in_window: u64,
    /// Bytes that arrived, with those of earlier answers.
    received: u64,
}

impl AnswerBody {
    /// Reads some bytes; 0 at the end.
    pub(super) fn read(&mut self, what: &str, buffer: &mut [u8]) -> Result<usize, Failure> {
        let stalled = || {
            Failure::transient(Error::Stalled {
                host: self.host.clone(),
                what: what.to_owned(),
                after: self.stall_timeout,
            })
        };
        let read = match self.reader.read(buffer) {
            Ok(read) => read,
            Err(cause) if is_timeout(&cause) => return Err(stalled()),
            Err(cause) => {
                return Err(Failure::transient(Error::Cut {
                    host: self.host.clone(),
                    what: what.to_owned(),
                    received: self.received,
                    cause: cause.to_string(),
                }));
            }
        };
        self.received += read as u64;
        self.in_window += read as u64;
        if self.window.elapsed() > self.stall_timeout {
            if read > 0 && self.in_window < SLOWEST_PROGRESS {
                return Err(stalled());
            }
            self.window = Instant::now();
            self.in_window = 0;
        }
        Ok(read)
    }
}

fn is_timeout(cause: &io::Error) -> bool {
    cause.kind() == ErrorKind::TimedOut
        || cause
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<ureq::Error>())
            .is_some_and(|inner| matches!(inner, ureq::Error::Timeout(_)))
}

/// The text of an error of a registry (`{"errors": [{"code": …, "message": …}]}`), or of a token server.
fn detail(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
        return String::new();
    };
    let error = value.pointer("/errors/0").unwrap_or(&value);
    let text = |name: &str| {
        error
            .get(name)
            .and_then(serde_json::Value::as_str)
            .filter(|text| !text.is_empty())
    };
    match text("message")
        .or_else(|| text("details"))
        .or_else(|| text("code"))
    {
        Some(text) => format!(
            ": {}",
            text.chars()
                .filter(|c| !c.is_control())
                .take(300)
                .collect::<String>()
        ),
        None => String::new(),
    }
}
