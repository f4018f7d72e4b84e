//! HTTP requests: connections, proxies, certificates, redirects, bounded answers.

use super::answer::Answer;
use super::certificates;
use super::endpoint::{base_url, host_of, is_loopback, printable};
use super::error::{Error, Failure};
use super::options::{HEADER_LIMIT, Options, REDIRECT_LIMIT};
use super::proxy;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::sync::{Mutex, OnceLock, PoisonError};
use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION};
use ureq::http::{Method, Request, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};
use url::Url;

/// Sends requests, without credentials of its own.
pub(super) struct Transport {
    pub(super) options: Options,
    /// Agents by proxy, and by host for hosts with certificates of their own. Guarded by no other lock,
    /// and not held during a request.
    agents: Mutex<HashMap<AgentKey, Agent>>,
    /// Loopback hosts, and whether they speak plain http.
    plain_loopback: Mutex<HashMap<String, bool>>,
    /// Certificates of the system, which are read when they are needed first.
    roots: OnceLock<RootCerts>,
}

/// What distinguishes connections.
#[derive(Clone, PartialEq, Eq, Hash)]
struct AgentKey {
    proxy: Option<String>,
    /// The host, if it has certificates of its own.
    certified: Option<String>,
    /// Whether it has any certificates to check a server with.
    is_checked: bool,
    is_upload: bool,
}

/// How much longer than other answers that to an upload may take: the registry computes its digest first.
const UPLOAD_PATIENCE: u32 = 20;
/// How much longer than a pause a whole header may take.
const HEADER_PATIENCE: u32 = 4;

/// The body of a request. It can be sent again.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    /// No body.
    None,
    /// These bytes, which may be empty.
    Bytes(&'a [u8]),
    /// As many bytes of what the function opens.
    Stream(&'a dyn Fn() -> io::Result<Box<dyn Read + 'a>>, u64),
}

/// A request.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) payload: Payload<'a>,
    /// What is asked for, for messages.
    pub(super) what: &'a str,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, url: Url, what: &'a str) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            payload: Payload::None,
            what,
        }
    }
}

impl Transport {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            agents: Mutex::default(),
            plain_loopback: Mutex::default(),
            roots: OnceLock::new(),
        }
    }

    /// Sends a request and follows redirects. `authorization` goes to the origin of the call only.
    pub(super) fn send(
        &self,
        call: &Call<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let origin = call.url.origin();
        let mut url = call.url.clone();
        for _ in 0..=REDIRECT_LIMIT {
            let authorization = authorization.filter(|_| url.origin() == origin);
            let response = self.send_once(call, &url, authorization)?;
            let status = response.status();
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer::new(url, response, self.options.stall_timeout));
            }
            url = self.redirect_target(call, &url, &response)?;
        }
        Err(redirect_error(call, &url, "too many redirects").into())
    }

    fn redirect_target(
        &self,
        call: &Call<'_>,
        url: &Url,
        response: &Response<Body>,
    ) -> Result<Url, Error> {
        let target = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| url.join(location).ok())
            .ok_or_else(|| Error::Invalid {
                host: host_of(url),
                what: "redirect",
                detail: "its Location is not a URL".to_owned(),
            })?;
        if !matches!(call.method, Method::GET | Method::HEAD) {
            return Err(redirect_error(
                call,
                &target,
                "only downloads may be redirected",
            ));
        }
        match scheme_error(url, &target, self.asked_for_plain(&host_of(&target))) {
            Some(reason) => Err(redirect_error(call, &target, reason)),
            None => Ok(target),
        }
    }

    fn send_once(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Body>, Failure> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(url.as_str());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let is_upload = matches!(call.method, Method::PUT | Method::PATCH);
        let agent = self.agent(url, is_upload)?;
        let sent = match call.payload {
            Payload::None => request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|call| agent.run(call)),
            Payload::Bytes(bytes) => request
                .body(bytes)
                .map_err(ureq::Error::from)
                .and_then(|call| agent.run(call)),
            Payload::Stream(open, length) => {
                let mut reader = open().map_err(|source| Error::Io {
                    what: format!("cannot read {}", call.what),
                    source,
                })?;
                request
                    .header(CONTENT_LENGTH, length)
                    .body(SendBody::from_reader(&mut reader))
                    .map_err(ureq::Error::from)
                    .and_then(|call| agent.run(call))
            }
        };
        sent.map_err(|cause| self.failure(url, call.what, cause))
    }

    /// The agent for a URL. Settings belong to agents and not to requests, since a request with settings
    /// of its own parses all certificates again.
    fn agent(&self, url: &Url, is_upload: bool) -> Result<Agent, Error> {
        let proxy = self.options.proxies.of(url).map(str::to_owned);
        let host = host_of(url);
        let is_checked = self.options.verify_tls && url.scheme() == "https";
        let own = if is_checked {
            certificates::of_host(&host, self.options.cert_dir.as_deref())?
        } else {
            Vec::new()
        };
        let key = AgentKey {
            proxy: proxy.clone(),
            certified: (!own.is_empty()).then_some(host),
            is_checked,
            is_upload,
        };
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let roots = if is_checked {
            let system = self.roots.get_or_init(certificates::system_roots);
            certificates::add(system, own)
        } else {
            RootCerts::WebPki
        };
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .disable_verification(!self.options.verify_tls)
            .build();
        let stall = self.options.stall_timeout;
        let answer = if is_upload {
            stall * UPLOAD_PATIENCE
        } else {
            stall
        };
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(tls)
            .proxy(proxy.as_deref().map(proxy::parse).transpose()?)
            .user_agent(concat!("wasi-overlay/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(HEADER_LIMIT)
            .timeout_resolve(Some(stall))
            .timeout_connect(Some(stall))
            .timeout_per_write(Some(stall))
            .timeout_per_read(Some(answer))
            .timeout_recv_response(Some(answer * HEADER_PATIENCE))
            .build()
            .into();
        agents.insert(key, agent.clone());
        Ok(agent)
    }

    /// Whether a registry is reached without TLS: if that was asked for, or if it is on loopback and
    /// speaks plain http.
    pub(super) fn is_plain(&self, host: &str) -> Result<bool, Error> {
        if self.asked_for_plain(host) {
            return Ok(true);
        }
        let url = base_url(host, true)?;
        if !is_loopback(&url) {
            return Ok(false);
        }
        let known = || {
            self.plain_loopback
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(plain) = known().get(host) {
            return Ok(*plain);
        }
        let mut ping = url;
        ping.set_path("/v2/");
        // A server with TLS answers plain http with 400 or not at all. Without any answer from either,
        // the request that follows reports the error.
        let plain = match self.send_once(&Call::new(Method::GET, ping.clone(), "/v2/"), &ping, None)
        {
            Ok(response) => response.status() != StatusCode::BAD_REQUEST,
            Err(failure) => failure.refused,
        };
        known().insert(host.to_owned(), plain);
        Ok(plain)
    }

    fn asked_for_plain(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        self.options
            .plain_http
            .iter()
            .any(|plain| plain == host || plain == name)
    }

    /// What an error of the HTTP library means.
    fn failure(&self, url: &Url, what: &str, cause: ureq::Error) -> Failure {
        let host = host_of(url);
        let unreachable = |cause: String| Error::Unreachable {
            host: host.clone(),
            cause,
        };
        match cause {
            ureq::Error::Timeout(_) => Failure::transient(Error::Stalled {
                host,
                what: what.to_owned(),
                after: self.options.stall_timeout,
            }),
            ureq::Error::LargeResponseHeader(..) => Error::TooLarge {
                host,
                what: "a header".to_owned(),
                limit: HEADER_LIMIT as u64,
            }
            .into(),
            ureq::Error::HostNotFound => unreachable("no such host".to_owned()).into(),
            ureq::Error::ConnectProxyFailed(detail) => {
                unreachable(format!("the proxy refuses: {detail}")).into()
            }
            ureq::Error::Io(cause) if is_certificate_error(&cause.to_string()) => {
                Error::Certificate {
                    host,
                    cause: certificate_detail(&cause.to_string()),
                }
                .into()
            }
            ureq::Error::Rustls(cause) if is_certificate_error(&cause.to_string()) => {
                Error::Certificate {
                    host,
                    cause: certificate_detail(&cause.to_string()),
                }
                .into()
            }
            // Answers that are not TLS.
            ureq::Error::Io(cause) if cause.kind() == ErrorKind::InvalidData => {
                unreachable(format!("{cause}{}", self.plain_hint(url))).into()
            }
            ureq::Error::Io(cause) => {
                let refused = cause.kind() == ErrorKind::ConnectionRefused;
                let cause = cause.to_string();
                // `EAI_NONAME` of the resolver, which has no kind of its own. A resolver that cannot be
                // reached says something else.
                let is_unknown_host = cause.ends_with("Name or service not known");
                let error = unreachable(cause);
                Failure {
                    refused,
                    transient: !refused && !is_unknown_host,
                    ..Failure::from(error)
                }
            }
            ureq::Error::Rustls(cause) => {
                unreachable(format!("{cause}{}", self.plain_hint(url))).into()
            }
            other => unreachable(other.to_string()).into(),
        }
    }

    fn plain_hint(&self, url: &Url) -> String {
        if url.scheme() == "https" {
            format!(
                "; if it does not use TLS, pass --plain-http {}",
                host_of(url)
            )
        } else {
            String::new()
        }
    }
}

/// Why a redirect from one URL to another is not followed, if it is not. `plain` is whether the user allowed
/// the target to be without TLS.
fn scheme_error(from: &Url, target: &Url, plain: bool) -> Option<&'static str> {
    match target.scheme() {
        "https" => None,
        "http" if plain || from.scheme() == "http" => None,
        "http" => Some(
            "the registry is reached with TLS and the target without; pass --plain-http with the target's \
             host if that is right",
        ),
        _ => Some("not a URL of https"),
    }
}

fn redirect_error(call: &Call<'_>, target: &Url, reason: &'static str) -> Error {
    Error::Redirect {
        host: host_of(&call.url),
        what: call.what.to_owned(),
        target: printable(target),
        reason,
    }
}

/// The TLS library gives no type for this.
fn is_certificate_error(text: &str) -> bool {
    text.contains("invalid peer certificate")
}

fn certificate_detail(text: &str) -> String {
    text.rsplit("invalid peer certificate: ")
        .next()
        .unwrap_or(text)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_does_not_give_up_tls() {
        let url = |text| Url::parse(text).expect("a URL");
        for (from, target, plain, followed) in [
            ("https://a", "https://b", false, true),
            ("http://a", "https://b", false, true),
            ("http://a", "http://b", false, true),
            ("https://a", "http://b", false, false),
            ("https://a", "http://b", true, true),
            ("http://a", "ftp://b", true, false),
        ] {
            let error = scheme_error(&url(from), &url(target), plain);
            assert_eq!(error.is_none(), followed, "{from} to {target}");
        }
    }
}
