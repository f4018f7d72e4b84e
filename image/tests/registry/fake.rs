//! A registry with a token server, whose answers tests replace to make it misbehave.

use crate::http::{Reply, Request, Server};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wasi_overlay_image::Digest;

/// Returns another answer than the right one.
pub(crate) type Rule = Box<dyn FnMut(&Request) -> Option<Reply> + Send>;

/// What the registry has, and what it has been asked.
#[derive(Default)]
pub(crate) struct State {
    /// By digest.
    pub(crate) blobs: HashMap<String, Vec<u8>>,
    /// Media type and bytes, by `NAME:TAG` and by digest.
    pub(crate) manifests: HashMap<String, (String, Vec<u8>)>,
    /// Every request, in order.
    pub(crate) log: Vec<Request>,
    /// Uploads in progress.
    uploads: HashMap<String, Vec<u8>>,
    rules: Vec<Rule>,
    auth: Auth,
    /// Valid tokens, and when they expire.
    tokens: HashMap<String, Instant>,
}

/// What the registry asks of a request.
#[derive(Clone, Default)]
pub(crate) enum Auth {
    #[default]
    None,
    /// This user and password.
    Basic(&'static str),
    /// A token that is valid for so long, for this user and password or for anybody.
    Bearer {
        account: Option<&'static str>,
        lifetime: Duration,
    },
}

/// A running registry.
pub(crate) struct Fake {
    pub(crate) server: Server,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let answering = state.clone();
        let server = Server::start(move |request| answer(&answering, request));
        Self { server, state }
    }

    pub(crate) fn with_auth(auth: Auth) -> Self {
        let fake = Self::start();
        fake.state.lock().unwrap().auth = auth;
        fake
    }

    pub(crate) fn host(&self) -> String {
        self.server.host()
    }

    /// `HOST/app:TAG`.
    pub(crate) fn reference(&self, tag: &str) -> wasi_overlay_image::Reference {
        format!("{}/app:{tag}", self.host()).parse().unwrap()
    }

    pub(crate) fn add_rule(&self, rule: impl FnMut(&Request) -> Option<Reply> + Send + 'static) {
        self.state.lock().unwrap().rules.push(Box::new(rule));
    }

    /// Replaces the next `times` answers to requests whose line contains `part`.
    pub(crate) fn answer(&self, part: &str, times: usize, reply: Reply) {
        let (part, mut left) = (part.to_owned(), times);
        self.add_rule(move |request| {
            if left == 0 || !request.line().contains(&part) {
                return None;
            }
            left -= 1;
            Some(reply.clone())
        });
    }

    pub(crate) fn add_blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let mut state = self.state.lock().unwrap();
        state.blobs.insert(digest.to_string(), bytes.to_vec());
        digest
    }

    /// Adds a manifest under its digest and, if given, a tag of `app`.
    pub(crate) fn add_manifest(&self, media_type: &str, text: &str, tag: Option<&str>) -> Digest {
        let digest = Digest::of(text.as_bytes());
        let mut state = self.state.lock().unwrap();
        let value = (media_type.to_owned(), text.as_bytes().to_vec());
        state.manifests.insert(digest.to_string(), value.clone());
        if let Some(tag) = tag {
            state.manifests.insert(format!("app:{tag}"), value);
        }
        digest
    }

    /// Adds an image with these layers, and returns the digest of its manifest.
    pub(crate) fn add_image(&self, tag: Option<&str>, layers: &[&[u8]]) -> Digest {
        let config =
            br#"{"architecture":"wasm","os":"wasip2","rootfs":{"type":"layers","diff_ids":[]}}"#;
        self.add_blob(config);
        for layer in layers {
            self.add_blob(layer);
        }
        self.add_manifest(MANIFEST, &manifest(config, layers), tag)
    }

    /// The lines of all requests, without the ping that detects plain http.
    pub(crate) fn lines(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let lines = state.log.iter().map(Request::line);
        lines.filter(|line| line != "GET /v2/").collect()
    }

    /// The requests whose line contains `part`.
    pub(crate) fn requests(&self, part: &str) -> Vec<Request> {
        let state = self.state.lock().unwrap();
        let found = state.log.iter().filter(|r| r.line().contains(part));
        found.cloned().collect()
    }
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A descriptor of bytes.
pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> String {
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#,
        Digest::of(bytes),
        bytes.len()
    )
}

pub(crate) fn manifest(config: &[u8], layers: &[&[u8]]) -> String {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            let is_gzip = layer.starts_with(&[0x1f, 0x8b]);
            let suffix = if is_gzip { "+gzip" } else { "" };
            descriptor(
                &format!("application/vnd.oci.image.layer.v1.tar{suffix}"),
                layer,
            )
        })
        .collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
        descriptor("application/vnd.oci.image.config.v1+json", config),
        layers.join(",")
    )
}

pub(crate) fn answer(state: &Mutex<State>, request: &Request) -> Reply {
    let mut state = state.lock().unwrap();
    state.log.push(request.clone());
    let mut rules = std::mem::take(&mut state.rules);
    let broken = rules.iter_mut().find_map(|rule| rule(request));
    state.rules.append(&mut rules);
    if let Some(reply) = broken {
        return reply;
    }
    if request.path == "/token" {
        return state.token(request);
    }
    if let Some(refusal) = state.refuse(request) {
        return refusal;
    }
    state.serve(request)
}

impl State {
    fn refuse(&self, request: &Request) -> Option<Reply> {
        let given = request.header("authorization");
        match &self.auth {
            Auth::None => None,
            Auth::Basic(account) => {
                let right = format!("Basic {}", base64(account.as_bytes()));
                (given != Some(&right))
                    .then(|| Reply::new(401).header("WWW-Authenticate", r#"Basic realm="fake""#))
            }
            Auth::Bearer { .. } => {
                let valid = given
                    .and_then(|given| given.strip_prefix("Bearer "))
                    .and_then(|token| self.tokens.get(token))
                    .is_some_and(|expires| Instant::now() < *expires);
                let actions = if request.method == "GET" || request.method == "HEAD" {
                    "pull"
                } else {
                    "pull,push"
                };
                let host = request.header("host").unwrap_or_default();
                let challenge = format!(
                    r#"Bearer realm="http://{host}/token",service="fake",scope="repository:app:{actions}""#
                );
                (!valid).then(|| Reply::new(401).header("WWW-Authenticate", challenge))
            }
        }
    }

    fn token(&mut self, request: &Request) -> Reply {
        let Auth::Bearer { account, lifetime } = self.auth else {
            return Reply::new(404);
        };
        if let Some(account) = account {
            let right = format!("Basic {}", base64(account.as_bytes()));
            let form = String::from_utf8_lossy(&request.body);
            let refreshed = form.contains("refresh_token=identity");
            if request.header("authorization") != Some(&right) && !refreshed {
                return Reply::new(401).body(r#"{"details":"wrong password"}"#);
            }
        }
        let token = format!("token-{}", self.tokens.len());
        self.tokens.insert(token.clone(), Instant::now() + lifetime);
        // Longer than it is valid, as from a server with another clock.
        Reply::new(200).body(format!(r#"{{"token":"{token}","expires_in":300}}"#))
    }

    fn serve(&mut self, request: &Request) -> Reply {
        let Some(rest) = request.path.strip_prefix("/v2/") else {
            return Reply::new(404);
        };
        if rest.is_empty() {
            return Reply::new(200);
        }
        if let Some((_, session)) = rest.split_once("/blobs/uploads/") {
            return self.upload(request, session);
        }
        if let Some((_, digest)) = rest.split_once("/blobs/") {
            return self.blob(request, digest);
        }
        match rest.split_once("/manifests/") {
            Some((name, reference)) => self.manifest(request, name, reference),
            None => Reply::new(404),
        }
    }

    fn blob(&self, request: &Request, digest: &str) -> Reply {
        let Some(bytes) = self.blobs.get(digest) else {
            return not_found("BLOB_UNKNOWN", "blob unknown to registry");
        };
        let start = request
            .header("range")
            .and_then(|range| range.strip_prefix("bytes="))
            .and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
        match start {
            Some(start) => partial(bytes, start),
            None => Reply::new(200).body(bytes.as_slice()),
        }
    }

    fn manifest(&mut self, request: &Request, name: &str, reference: &str) -> Reply {
        let name = name.rsplit('/').next().unwrap_or(name);
        let key = match reference.contains(':') {
            true => reference.to_owned(),
            false => format!("{name}:{reference}"),
        };
        if request.method == "PUT" {
            let media_type = request
                .header("content-type")
                .unwrap_or_default()
                .to_owned();
            let digest = Digest::of(&request.body).to_string();
            let value = (media_type, request.body.clone());
            self.manifests.insert(key, value.clone());
            self.manifests.insert(digest.clone(), value);
            return Reply::new(201).header("Docker-Content-Digest", digest);
        }
        match self.manifests.get(&key) {
            Some((media_type, bytes)) => Reply::new(200)
                .header("Content-Type", media_type)
                .header("Docker-Content-Digest", Digest::of(bytes).to_string())
                .body(bytes.as_slice()),
            None => not_found("MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }

    fn upload(&mut self, request: &Request, session: &str) -> Reply {
        match request.method.as_str() {
            "POST" => {
                if request.parameter("from").as_deref() == Some("base")
                    && request
                        .parameter("mount")
                        .is_some_and(|d| self.blobs.contains_key(&d))
                {
                    return Reply::new(201);
                }
                let session = format!("session-{}", self.log.len());
                self.uploads.insert(session.clone(), Vec::new());
                // Relative, with a parameter that has to come back.
                let location = format!("/v2/app/blobs/uploads/{session}?_state=a%2Fb");
                Reply::new(202).header("Location", location)
            }
            "PATCH" | "PUT" if request.parameter("_state").as_deref() != Some("a/b") => {
                Reply::new(400)
            }
            "PATCH" => {
                let Some(upload) = self.uploads.get_mut(session) else {
                    return Reply::new(404);
                };
                let start = upload.len();
                upload.extend_from_slice(&request.body);
                let range = format!("{start}-{}", upload.len() - 1);
                if request.header("content-range") != Some(&range) {
                    return Reply::new(416);
                }
                Reply::new(202)
                    .header(
                        "Location",
                        format!("/v2/app/blobs/uploads/{session}?_state=a%2Fb"),
                    )
                    .header("Range", format!("0-{}", upload.len() - 1))
            }
            "PUT" => {
                let Some(mut upload) = self.uploads.remove(session) else {
                    return Reply::new(404);
                };
                upload.extend_from_slice(&request.body);
                let digest = Digest::of(&upload).to_string();
                if request.parameter("digest").as_ref() != Some(&digest) {
                    return Reply::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
                self.blobs.insert(digest, upload);
                Reply::new(201)
            }
            _ => Reply::new(405),
        }
    }
}

/// The bytes from `start`.
pub(crate) fn partial(bytes: &[u8], start: usize) -> Reply {
    let length = bytes.len();
    if start >= length {
        return Reply::new(416);
    }
    Reply::new(206)
        .header(
            "Content-Range",
            format!("bytes {start}-{}/{length}", length - 1),
        )
        .body(&bytes[start..])
}

fn not_found(code: &str, message: &str) -> Reply {
    Reply::new(404).body(format!(
        r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#
    ))
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}
