//! Requests to a registry: authorized, and retried after transient failures.

use super::answer::{Answer, is_transient};
use super::auth::{Authenticator, Scope, Wanted, scope};
use super::challenge::{self, Challenge};
use super::credentials::AuthFiles;
use super::endpoint::Endpoint;
use super::error::{Error, Failure};
use super::options::Options;
use super::progress::Progress;
use super::transport::{Call, Transport};
use std::ffi::OsString;
use std::thread;
use std::time::{Duration, SystemTime};
use ureq::http::header::WWW_AUTHENTICATE;
use ureq::http::{Method, StatusCode};

/// A client of registries, which threads can share. It caches tokens for its lifetime.
pub struct Client {
    pub(super) transport: Transport,
    authenticator: Authenticator,
}

/// A repository of a registry or of its mirror.
pub(super) struct Repository<'a> {
    pub(super) client: &'a Client,
    pub(super) endpoint: Endpoint,
    pub(super) name: String,
    pub(super) scope: Scope,
    pub(super) progress: &'a dyn Progress,
}

impl Client {
    /// A client with these options. Nothing is read or contacted yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::with_environment(options, |name| std::env::var_os(name))
    }

    /// A client that finds the files with credentials by the variables in `environment`, instead of those of
    /// this process.
    #[must_use]
    pub fn with_environment(
        options: Options,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let files = AuthFiles::new(options.auth_file.as_deref(), environment);
        Self {
            transport: Transport::new(options),
            authenticator: Authenticator::new(files),
        }
    }

    /// The options of this client.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.transport.options
    }

    pub(super) fn repository<'a>(
        &'a self,
        endpoint: Endpoint,
        name: &str,
        actions: &str,
        progress: &'a dyn Progress,
    ) -> Repository<'a> {
        let scope = scope(&endpoint.repository(name), actions);
        Repository {
            client: self,
            endpoint,
            name: name.to_owned(),
            scope,
            progress,
        }
    }
}

impl Repository<'_> {
    /// A call to `rest` below the repository.
    pub(super) fn call<'a>(&self, method: Method, rest: &str, what: &'a str) -> Call<'a> {
        Call::new(method, self.endpoint.url(&self.name, rest), what)
    }

    /// Sends a request once, with the credentials that the registry asks for.
    pub(super) fn send(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let Client {
            transport,
            authenticator,
        } = self.client;
        let mut wanted = Wanted {
            endpoint: &self.endpoint,
            repository: &self.name,
            scope: &self.scope,
            asked: None,
            what: call.what,
        };
        let ours = self.endpoint.owns(&call.url);
        let mut rejected = None;
        // The first answer teaches the challenge, the second may refuse a token that was cached.
        for _ in 0..3 {
            let header = if ours {
                authenticator.header(transport, &wanted, rejected.as_ref())?
            } else {
                None
            };
            let answer = transport.send(call, header.as_ref())?;
            match answer.status {
                StatusCode::UNAUTHORIZED if self.endpoint.owns(&answer.url) => {}
                StatusCode::FORBIDDEN if self.endpoint.owns(&answer.url) => {
                    let detail = answer.into_detail();
                    return Err(authenticator.denied(transport, &wanted, detail).into());
                }
                status if is_transient(status) => return Err(answer.into_failure(call.what)),
                _ => return Ok(answer),
            }
            let Some(challenge) = challenge::parse(&answer.headers(&WWW_AUTHENTICATE)) else {
                return Err(answer.into_failure(call.what));
            };
            if let Challenge::Bearer { scope, .. } = &challenge {
                wanted.asked = scope.clone();
            }
            authenticator.learn(&self.endpoint, challenge);
            rejected = header;
        }
        Err(authenticator
            .denied(transport, &wanted, String::new())
            .into())
    }

    /// Sends a request, and retries it after a transient failure.
    pub(super) fn send_retrying(&self, call: &Call<'_>) -> Result<Answer, Error> {
        self.retrying(|| self.send(call))
    }

    /// Runs `attempt`, and retries it after a transient failure.
    pub(super) fn retrying<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let mut failed = 0;
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => {
                    self.pause(failed, failure)?;
                    failed += 1;
                }
            }
        }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The failure, if it is not transient, or after the last attempt.
    pub(super) fn pause(&self, failed: u32, failure: Failure) -> Result<(), Error> {
        let options = &self.client.transport.options;
        if !failure.transient || failed >= options.retries {
            return Err(failure.error);
        }
        let pause = failure.wait.unwrap_or_else(|| {
            let pause = options.backoff.saturating_mul(1 << failed.min(16));
            (pause + jitter(pause)).min(options.longest_wait)
        });
        if pause > options.longest_wait {
            return Err(Error::RateLimited {
                host: self.endpoint.name.clone(),
                wait: pause,
            });
        }
        self.progress.waiting(pause, &failure.error.to_string());
        thread::sleep(pause);
        Ok(())
    }
}

/// Up to a quarter of the pause, so that clients that failed together do not come back together.
fn jitter(pause: Duration) -> Duration {
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    (pause / 4).mul_f64(f64::from(nanos) / 1e9)
}
