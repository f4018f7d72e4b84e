//! Registries: pull and push of images, with the credentials of docker and podman.
//!
//! The protocol is that of the [OCI distribution specification]. Requests are made with `ureq`, and not
//! with `oci-client`, for these reasons:
//!
//! - `oci-client` reads manifests, tokens and errors of any size into memory, and a blob to its end even
//!   if it exceeds its descriptor. This cannot be changed from outside. Here each answer has a bound.
//! - It neither retries nor resumes a request, and does not expose `Retry-After`. Most of a client would have
//!   to be written around it; it would save little more than a few URLs.
//! - It is asynchronous and brings 43 crates; `ureq` brings 4 and the system's certificates 2. The store is
//!   synchronous, and a pull uses a handful of threads.
//!
//! | file | has |
//! |---|---|
//! | `options.rs`, `progress.rs`, `error.rs` | the types of the API |
//! | `endpoint.rs`, `proxy.rs`, `transport.rs` | addresses, and HTTP with bounds |
//! | `challenge.rs`, `credentials.rs`, `helper.rs`, `auth.rs` | authorization |
//! | `client.rs` | requests to a repository: authorized, retried |
//! | `manifest.rs`, `transfer.rs`, `parallel.rs` | one manifest, one blob, several |
//! | `pull.rs`, `blobs.rs`, `push.rs`, `upload.rs` | an image |
//!
//! Layers that an image has elsewhere (`urls`) are not downloaded. Credentials are sent to no other host than
//! the registry and the token server that it names.
//!
//! [OCI distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

mod answer;
mod auth;
mod blobs;
mod certificates;
mod challenge;
mod client;
mod credentials;
mod endpoint;
mod error;
mod helper;
mod manifest;
mod options;
mod parallel;
mod progress;
mod proxy;
mod pull;
mod push;
mod transfer;
mod transport;
mod upload;

pub use client::Client;
pub use credentials::Credentials;
pub use error::Error;
pub use options::{Mirror, Options};
pub use progress::{Outcome, Progress, Silent};
pub use proxy::Proxies;
pub use pull::Pulled;
