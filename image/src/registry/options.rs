//! Options of a registry client.

use super::credentials::Credentials;
use super::proxy::Proxies;
use std::path::PathBuf;
use std::time::Duration;
use wasi_overlay_core::Limits;

/// Largest answer of a token server, in bytes.
pub(super) const TOKEN_LIMIT: u64 = 256 << 10;
/// Longest text of an error that is read, in bytes.
pub(super) const ERROR_LIMIT: u64 = 16 << 10;
/// Largest header of an answer, in bytes.
pub(super) const HEADER_LIMIT: usize = 64 << 10;
/// Redirects that one request may follow.
pub(super) const REDIRECT_LIMIT: usize = 8;
/// A transfer of fewer bytes in [`Options::stall_timeout`] has stalled.
pub(super) const SLOWEST_PROGRESS: u64 = 1 << 10;
/// An attempt that received this many bytes resets the number of failures.
pub(super) const RENEWING_PROGRESS: u64 = 1 << 20;

/// Options of a [`Client`](super::Client).
#[derive(Clone, Debug)]
pub struct Options {
    /// Hosts (`HOST` or `HOST:PORT`) that are reached without TLS. Loopback needs no entry.
    pub plain_http: Vec<String>,
    /// Whether certificates are checked.
    pub verify_tls: bool,
    /// Folder with certificates (`*.crt`) of CAs that are trusted beside the system's, instead of the
    /// folders of the host in `/etc/containers/certs.d` and `/etc/docker/certs.d`.
    pub cert_dir: Option<PathBuf>,
    /// Credentials for each registry that asks for some, instead of those in files.
    pub credentials: Option<Credentials>,
    /// File in the format of docker's `config.json` that is read instead of docker's and podman's files.
    pub auth_file: Option<PathBuf>,
    /// Proxies.
    pub proxies: Proxies,
    /// Mirrors, in the order in which they are tried. Only pulls use them.
    pub mirrors: Vec<Mirror>,
    /// Number of retries after a transient failure.
    pub retries: u32,
    /// Pause before the first retry. Each further one is twice as long.
    pub backoff: Duration,
    /// Longest pause. If a registry asks for a longer one with `Retry-After`, the transfer fails.
    pub longest_wait: Duration,
    /// How long a server may make no progress.
    pub stall_timeout: Duration,
    /// Layers that are transferred at the same time.
    pub parallel: usize,
    /// Largest layer, in bytes.
    pub layer_limit: u64,
    /// Decompresses layers while they arrive, within these limits. This takes no time of its own unless the
    /// registry is faster than gzip. Without it, a layer is decompressed when it is used first.
    pub unpack: Option<Limits>,
    /// Size of the pieces in which a blob is uploaded, in bytes. Without it, a blob is uploaded whole, and
    /// in pieces only if the registry refuses that.
    pub upload_chunk: Option<u64>,
}

impl Default for Options {
    /// Proxies from the environment, credentials from the files of docker and podman.
    fn default() -> Self {
        Self {
            plain_http: Vec::new(),
            verify_tls: true,
            cert_dir: None,
            credentials: None,
            auth_file: None,
            proxies: Proxies::from_env(),
            mirrors: Vec::new(),
            retries: 3,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            parallel: 3,
            layer_limit: 64 << 30,
            unpack: None,
            upload_chunk: None,
        }
    }
}

/// Another server with the images of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The registry that is mirrored, for example `docker.io`.
    pub registry: String,
    /// `HOST[:PORT][/PREFIX]`. The prefix stands before the names of repositories.
    pub location: String,
    /// Whether the registry itself is used if all mirrors fail. It is not if any of its mirrors has `false`.
    pub fall_back: bool,
}
