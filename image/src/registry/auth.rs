//! Authorization of requests: passwords, and tokens that are cached for the run of the client.

use super::challenge::Challenge;
use super::credentials::{AuthFiles, Credentials, Found};
use super::endpoint::{Endpoint, host_of, is_loopback};
use super::error::{Error, Failure};
use super::options::TOKEN_LIMIT;
use super::transport::{Call, Payload, Transport};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::Method;
use ureq::http::header::{CONTENT_TYPE, HeaderValue};
use url::Url;
use url::form_urlencoded::Serializer;

/// Name of this client at token servers.
const CLIENT: &str = "wasi-overlay";
/// How long a token is valid if its server does not say so, as the token specification has it.
const DEFAULT_LIFETIME: u64 = 60;

/// What requests need: `repository:NAME:ACTIONS`, one for each repository.
pub(super) type Scope = Vec<String>;

pub(super) fn scope(repository: &str, actions: &str) -> Scope {
    vec![format!("repository:{repository}:{actions}")]
}

/// Knows challenges, credentials and tokens of registries.
pub(super) struct Authenticator {
    files: AuthFiles,
    /// Held while a token is fetched, so that several threads fetch one token. Before the locks of the
    /// transport.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last challenge of a registry, by its name. Its scope belongs to one request only.
    challenges: HashMap<String, Challenge>,
    /// Credentials by registry and repository, because a helper may take long.
    credentials: HashMap<(String, String), Option<Found>>,
    tokens: HashMap<(String, Scope), Token>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    expires: Instant,
}

/// A request to authorize.
pub(super) struct Wanted<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// The repository whose credentials are used.
    pub(super) repository: &'a str,
    pub(super) scope: &'a Scope,
    /// What the registry asked for when it refused the request, beyond `scope`.
    pub(super) asked: Option<String>,
    /// What is asked for, for messages.
    pub(super) what: &'a str,
}

impl Authenticator {
    pub(super) fn new(files: AuthFiles) -> Self {
        Self {
            files,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how a registry wants to be asked.
    pub(super) fn learn(&self, endpoint: &Endpoint, challenge: Challenge) {
        self.state()
            .challenges
            .insert(endpoint.name.clone(), challenge);
    }

    /// The header that authorizes a request; `None` as long as the registry has not asked for any.
    /// `rejected` is a header that the registry did not accept.
    pub(super) fn header(
        &self,
        transport: &Transport,
        wanted: &Wanted<'_>,
        rejected: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let mut state = self.state();
        let Some(challenge) = state.challenges.get(&wanted.endpoint.name).cloned() else {
            return Ok(None);
        };
        match challenge {
            Challenge::Basic => {
                let found = self.credentials(&mut state, transport, wanted)?;
                let header = match found.as_ref().map(|found| &found.credentials) {
                    Some(Credentials::Password { user, password }) => basic(user, password)?,
                    Some(Credentials::RegistryToken(token)) => bearer(wanted.endpoint, token)?,
                    Some(Credentials::IdentityToken(_)) | None => {
                        return Err(denied(wanted, String::new(), found.as_ref()).into());
                    }
                };
                if rejected == Some(&header) {
                    return Err(denied(wanted, String::new(), found.as_ref()).into());
                }
                Ok(Some(header))
            }
            Challenge::Bearer { realm, service, .. } => {
                let key = (wanted.endpoint.name.clone(), wanted.scope.clone());
                if let Some(token) = state.tokens.get(&key)
                    && rejected != Some(&token.header)
                    && Instant::now() < token.expires
                {
                    return Ok(Some(token.header.clone()));
                }
                let found = self.credentials(&mut state, transport, wanted)?;
                let mut scopes = wanted.scope.clone();
                for asked in wanted.asked.iter().flat_map(|asked| asked.split(' ')) {
                    if !asked.is_empty() && !scopes.iter().any(|known| covers(known, asked)) {
                        scopes.push(asked.to_owned());
                    }
                }
                let server = TokenServer {
                    realm: &realm,
                    service: service.as_deref(),
                };
                let token = server.fetch(transport, wanted, &scopes, found.as_ref())?;
                let header = token.header.clone();
                if rejected == Some(&header) {
                    return Err(denied(wanted, String::new(), found.as_ref()).into());
                }
                state.tokens.insert(key, token);
                Ok(Some(header))
            }
        }
    }

    /// The error for a request that is refused although it was authorized. `detail` is what the registry
    /// says.
    pub(super) fn denied(
        &self,
        transport: &Transport,
        wanted: &Wanted<'_>,
        detail: String,
    ) -> Error {
        match self.credentials(&mut self.state(), transport, wanted) {
            Ok(found) => denied(wanted, detail, found.as_ref()),
            Err(error) => error,
        }
    }

    fn credentials(
        &self,
        state: &mut State,
        transport: &Transport,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Found>, Error> {
        if let Some(credentials) = &transport.options.credentials {
            return Ok(Some(Found {
                credentials: credentials.clone(),
                origin: "--creds".to_owned(),
            }));
        }
        let key = (wanted.endpoint.name.clone(), wanted.repository.to_owned());
        if let Some(found) = state.credentials.get(&key) {
            return Ok(found.clone());
        }
        let found = self.files.find(&key.0, &key.1)?;
        state.credentials.insert(key, found.clone());
        Ok(found)
    }
}

struct TokenServer<'a> {
    realm: &'a str,
    service: Option<&'a str>,
}

impl TokenServer<'_> {
    fn fetch(
        &self,
        transport: &Transport,
        wanted: &Wanted<'_>,
        scopes: &[String],
        found: Option<&Found>,
    ) -> Result<Token, Failure> {
        let mut url = self.url(transport, wanted.endpoint)?;
        let host = host_of(&url);
        let mut form = Serializer::new(String::new());
        let mut header = None;
        match found.map(|found| &found.credentials) {
            Some(Credentials::RegistryToken(token)) => {
                let header = bearer(wanted.endpoint, token)?;
                return Ok(Token {
                    header,
                    expires: far_future(),
                });
            }
            Some(Credentials::IdentityToken(token)) => {
                form.append_pair("grant_type", "refresh_token")
                    .append_pair("client_id", CLIENT)
                    .append_pair("refresh_token", token);
                if let Some(service) = self.service {
                    form.append_pair("service", service);
                }
                form.append_pair("scope", &scopes.join(" "));
            }
            password => {
                let mut query = url.query_pairs_mut();
                if let Some(service) = self.service {
                    query.append_pair("service", service);
                }
                for scope in scopes {
                    query.append_pair("scope", scope);
                }
                query.append_pair("client_id", CLIENT);
                if let Some(Credentials::Password { user, password }) = password {
                    query.append_pair("account", user);
                    header = Some(basic(user, password)?);
                }
            }
        }
        let form = form.finish();
        let mut call = Call::new(Method::GET, url, "a token");
        if !form.is_empty() {
            call.method = Method::POST;
            call.payload = Payload::Bytes(form.as_bytes());
            call.headers.push((
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            ));
        }
        let answer = transport.send(&call, header.as_ref())?;
        if matches!(answer.status.as_u16(), 400 | 401 | 403) {
            let detail = format!(" (token server {host}{})", answer.into_detail());
            return Err(denied(wanted, detail, found).into());
        }
        if !answer.status.is_success() {
            return Err(answer.into_failure("a token"));
        }
        let body = answer.read("a token", TOKEN_LIMIT)?;
        parse_token(&host, wanted.endpoint, &body).map_err(Failure::from)
    }

    /// The token server gets the password, so it needs TLS unless the registry itself has none.
    fn url(&self, transport: &Transport, endpoint: &Endpoint) -> Result<Url, Error> {
        let invalid = |detail: String| Error::Invalid {
            host: endpoint.name.clone(),
            what: "challenge",
            detail,
        };
        let url = Url::parse(self.realm)
            .map_err(|_| invalid(format!("`{}` is not a URL", self.realm)))?;
        let allowed = match url.scheme() {
            "https" => true,
            "http" => {
                endpoint.is_plain() || is_loopback(&url) || transport.is_plain(&host_of(&url))?
            }
            _ => false,
        };
        if allowed && url.has_host() {
            Ok(url)
        } else {
            Err(invalid(format!(
                "its token server {} has no TLS",
                host_of(&url)
            )))
        }
    }
}

fn parse_token(host: &str, endpoint: &Endpoint, body: &[u8]) -> Result<Token, Error> {
    let invalid = |detail: &str| Error::Invalid {
        host: host.to_owned(),
        what: "token",
        detail: detail.to_owned(),
    };
    let value: Value = serde_json::from_slice(body).map_err(|_| invalid("not JSON"))?;
    let token = ["token", "access_token"]
        .iter()
        .find_map(|name| {
            value
                .get(name)
                .and_then(Value::as_str)
                .filter(|token| !token.is_empty())
        })
        .ok_or_else(|| invalid("no `token` in it"))?;
    let lifetime = value
        .get("expires_in")
        .and_then(Value::as_u64)
        .unwrap_or(DEFAULT_LIFETIME);
    // A tenth is left for requests under way. A clock that differs from the server's does not matter.
    let usable = Duration::from_secs(lifetime.min(24 * 3600)).mul_f32(0.9);
    let expires = Instant::now()
        .checked_add(usable)
        .unwrap_or_else(far_future);
    Ok(Token {
        header: bearer(endpoint, token)?,
        expires,
    })
}

fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(24 * 3600)
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, Error> {
    // base64 is always a valid header.
    secret(
        &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
        "",
    )
}

fn bearer(endpoint: &Endpoint, token: &str) -> Result<HeaderValue, Error> {
    secret(&format!("Bearer {token}"), &endpoint.name)
}

/// A header that is not printed.
fn secret(text: &str, host: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Error::Invalid {
        host: host.to_owned(),
        what: "token",
        detail: "it has control characters".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether a scope `TYPE:NAME:ACTIONS` has all actions of another.
fn covers(known: &str, asked: &str) -> bool {
    match (known.rsplit_once(':'), asked.rsplit_once(':')) {
        (Some((resource, actions)), Some((other, wanted))) => {
            resource == other
                && wanted
                    .split(',')
                    .all(|action| actions.split(',').any(|known| known == action))
        }
        _ => known == asked,
    }
}

fn denied(wanted: &Wanted<'_>, detail: String, found: Option<&Found>) -> Error {
    let name = &wanted.endpoint.name;
    let credentials = match found {
        Some(found) => format!("the credentials of {} do not allow it", found.origin),
        None => format!(
            "found no credentials for {name}, and the repository may be private or not exist; run `docker \
             login {name}` or `podman login {name}`, or pass --creds USER:PASSWORD"
        ),
    };
    Error::Denied {
        host: name.clone(),
        what: wanted.what.to_owned(),
        detail,
        credentials,
    }
}
