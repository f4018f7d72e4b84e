//! Reports of the progress of a transfer.

use crate::digest::Digest;
use std::time::Duration;

/// How the transfer of a blob ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was transferred.
    Transferred,
    /// It was present already.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
}

/// Receives reports of a transfer, from several threads. Each method may be called often and should return
/// soon. All do nothing by default.
pub trait Progress: Send + Sync {
    /// A blob of `size` bytes is about to be transferred. `done` bytes are present from an earlier attempt.
    fn started(&self, digest: &Digest, size: u64, done: u64) {
        let _ = (digest, size, done);
    }

    /// `done` bytes of the blob are transferred. The number gets smaller when a transfer starts over.
    fn advanced(&self, digest: &Digest, done: u64) {
        let _ = (digest, done);
    }

    /// The blob is complete. Blobs that were present are not started.
    fn finished(&self, digest: &Digest, outcome: Outcome) {
        let _ = (digest, outcome);
    }

    /// The transfer pauses before a retry, because of `reason`.
    fn waiting(&self, pause: Duration, reason: &str) {
        let _ = (pause, reason);
    }

    /// A problem that does not end the transfer, for example a mirror that failed.
    fn warning(&self, text: &str) {
        let _ = text;
    }
}

/// Reports nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
