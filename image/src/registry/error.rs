//! Errors of a registry, of the credentials for it, and of a transfer.

use std::path::PathBuf;
use std::time::Duration;

/// Why a pull or a push failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection could be made, or it failed more often than [`Options::retries`](super::Options::retries).
    #[error("cannot reach {host}: {cause}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the system or the TLS library says.
        cause: String,
    },
    /// The server's certificate is not trusted.
    #[error(
        "the certificate of {host} is not trusted ({cause}): add its CA to the system's certificates or to \
         /etc/containers/certs.d/{host}/ca.crt, or pass --tls-verify=false"
    )]
    Certificate {
        /// Host and port.
        host: String,
        /// What the TLS library says.
        cause: String,
    },
    /// The server made no progress for [`Options::stall_timeout`](super::Options::stall_timeout).
    #[error("{host} made no progress for {} s while sending {what}", after.as_secs_f32())]
    Stalled {
        /// Host and port.
        host: String,
        /// What was being transferred.
        what: String,
        /// How long nothing arrived.
        after: Duration,
    },
    /// The connection ended early, more often than [`Options::retries`](super::Options::retries).
    #[error("{host} closed the connection after {received} bytes of {what} ({cause})")]
    Cut {
        /// Host and port.
        host: String,
        /// What was being transferred.
        what: String,
        /// Bytes that arrived.
        received: u64,
        /// What the system says, or how many bytes are missing.
        cause: String,
    },
    /// The registry does not have it.
    #[error("{host} does not have {what}{detail}")]
    NotFound {
        /// Host and port.
        host: String,
        /// A tag, a manifest or a blob.
        what: String,
        /// What the registry says, after `: `, or nothing.
        detail: String,
    },
    /// The registry or its token server refuses access.
    #[error("{host} denies access to {what}{detail}: {credentials}")]
    Denied {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
        /// What the registry says, after `: `, or nothing.
        detail: String,
        /// Which credentials were used, or how to log in.
        credentials: String,
    },
    /// An answer with an unexpected status.
    #[error("{host} answered {status} for {what}{detail}")]
    Status {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
        /// Status code.
        status: u16,
        /// What the registry says, after `: `, or nothing.
        detail: String,
    },
    /// The registry asks for a pause that is longer than [`Options::longest_wait`](super::Options::longest_wait).
    #[error(
        "{host} limits the rate of requests and asks for a pause of {} s: try again later, or log in for a \
         higher limit",
        wait.as_secs()
    )]
    RateLimited {
        /// Host and port.
        host: String,
        /// The pause.
        wait: Duration,
    },
    /// An answer is larger than its limit. The rest of it was not read.
    #[error("{what} of {host} is larger than {limit} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A blob or manifest does not have the size that its descriptor promises.
    #[error("{what} from {host} has {actual} bytes, and its descriptor promises {expected}")]
    WrongSize {
        /// Host and port.
        host: String,
        /// A manifest or a blob.
        what: String,
        /// Bytes that the descriptor promises.
        expected: u64,
        /// Bytes that the registry announces; one more than `expected` if it sends on.
        actual: u64,
    },
    /// A blob or manifest does not have its digest. Nothing was stored under its name.
    #[error("{what} from {host} is corrupt: {detail}")]
    WrongDigest {
        /// Host and port.
        host: String,
        /// A manifest or a blob.
        what: String,
        /// Both digests.
        detail: String,
    },
    /// A redirect that is not followed.
    #[error("{host} redirects {what} to {target}: {reason}")]
    Redirect {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
        /// The target, without its query.
        target: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// An answer that does not follow the protocol.
    #[error("{host} sent an invalid {what}: {detail}")]
    Invalid {
        /// Host and port.
        host: String,
        /// A header, a token, a manifest.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Text that is not the name of a host.
    #[error("`{host}` is not a host: expected HOST or HOST:PORT")]
    Host {
        /// What was given.
        host: String,
    },
    /// A file with credentials that cannot be read.
    #[error("{}: {detail}", path.display())]
    AuthFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A credential helper failed.
    #[error("the credential helper `{helper}` failed for {server}: {detail}")]
    Helper {
        /// Name of the program.
        helper: String,
        /// The server that credentials were asked for.
        server: String,
        /// What the helper says.
        detail: String,
    },
    /// A proxy that cannot be used.
    #[error(
        "`{proxy}` is not the address of a proxy: expected http://HOST:PORT (HTTPS_PROXY, HTTP_PROXY)"
    )]
    Proxy {
        /// The address, without user and password.
        proxy: String,
    },
    /// A layer that the registry does not have, by design.
    #[error(
        "{digest} is a foreign layer ({media_type}): the registry does not have it, and it is not downloaded \
         from elsewhere; use an image without foreign layers"
    )]
    Foreign {
        /// The layer.
        digest: String,
        /// Its media type.
        media_type: String,
    },
    /// Neither the mirrors nor the registry could serve the image.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    AllMirrors(Vec<Error>),
    /// A file of a transfer, or a certificate, could not be read.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The store or a manifest in it.
    #[error(transparent)]
    Store(Box<crate::Error>),
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

/// An error, and whether a retry may succeed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether a retry may succeed.
    pub(super) transient: bool,
    /// Whether the server refused the connection. This is transient only if it was reached before.
    pub(super) refused: bool,
    /// The pause that the server asks for.
    pub(super) wait: Option<Duration>,
}

impl Failure {
    pub(super) fn transient(error: Error) -> Self {
        Self {
            error,
            transient: true,
            refused: false,
            wait: None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            transient: false,
            refused: false,
            wait: None,
        }
    }
}
