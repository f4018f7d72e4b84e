//! Pulls and pushes against registries that misbehave, and against Debian's docker-registry.

mod auth;
mod blobs;
mod docker_registry;
mod fake;
mod hosts;
mod http;
mod manifests;
mod push;

use std::ffi::OsString;
use std::sync::Mutex;
use std::time::Duration;
use wasi_overlay_image::registry::{Client, Error, Options, Outcome, Progress, Proxies, Pulled};
use wasi_overlay_image::{Choice, Digest, Reference, Store};

/// Options with short times, and without the proxies of the environment.
fn options() -> Options {
    Options {
        proxies: Proxies::default(),
        backoff: Duration::from_millis(10),
        longest_wait: Duration::from_secs(3),
        stall_timeout: Duration::from_millis(700),
        ..Options::default()
    }
}

/// A client that finds no credentials in the environment.
fn client(options: Options) -> Client {
    Client::with_environment(options, |_| None::<OsString>)
}

/// A store in a temporary directory.
struct Local {
    _folder: tempfile::TempDir,
    store: Store,
}

impl Local {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("store")).unwrap();
        Self {
            _folder: folder,
            store,
        }
    }

    fn pull(&self, client: &Client, reference: &Reference) -> Result<Pulled, Error> {
        client.pull(
            &self.store,
            reference,
            &Choice::default(),
            &Events::default(),
        )
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.store.has(&Digest::of(bytes)).unwrap()
    }

    /// Bytes of a download that was not completed.
    fn partial(&self, bytes: &[u8]) -> u64 {
        let path = self.store.path().join(".wasi-overlay/partial");
        let path = path.join(Digest::of(bytes).hex());
        std::fs::metadata(path).map_or(0, |meta| meta.len())
    }
}

/// Records the reports of a transfer as lines.
#[derive(Default)]
struct Events(Mutex<Vec<String>>);

impl Events {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Progress for Events {
    fn started(&self, digest: &Digest, size: u64, done: u64) {
        self.push(format!("start {} {done}/{size}", &digest.hex()[..4]));
    }

    fn advanced(&self, digest: &Digest, done: u64) {
        self.push(format!("at {} {done}", &digest.hex()[..4]));
    }

    fn finished(&self, digest: &Digest, outcome: Outcome) {
        self.push(format!("{outcome:?} {}", &digest.hex()[..4]));
    }

    fn waiting(&self, _: Duration, reason: &str) {
        self.push(format!("wait {reason}"));
    }

    fn warning(&self, text: &str) {
        self.push(format!("warning {text}"));
    }
}

/// Bytes without a pattern that repeats soon.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}
