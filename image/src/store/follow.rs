//! [`Follower`]: a download as a source that is read while it arrives, so that decompressing takes no time
//! of its own.

use super::PartialBlob;
use crate::digest::Digest;
use crate::error::Result;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use wasi_overlay_core::tar::Source;
use wasi_overlay_core::{Errno, Error};

/// How far a download is. Shared by the download and its followers.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    length: u64,
    /// Number of restarts. A follower of an earlier attempt fails.
    restarts: u64,
    has_ended: bool,
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_length(&self, length: u64) {
        self.state().length = length;
        self.changed.notify_all();
    }

    pub(super) fn restart(&self) {
        let mut state = self.state();
        state.length = 0;
        state.restarts += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// The download was completed or given up: no more bytes arrive.
    pub(super) fn end(&self) {
        self.state().has_ended = true;
        self.changed.notify_all();
    }
}

/// The bytes of a [`PartialBlob`], as they arrive. A read waits for the bytes at its offset. It fails once the
/// download was restarted, or ended before they came.
#[derive(Debug)]
pub struct Follower {
    file: File,
    digest: Digest,
    size: u64,
    progress: Arc<Progress>,
    restarts: u64,
}

impl Follower {
    pub(super) fn new(file: File, digest: Digest, size: u64, progress: Arc<Progress>) -> Self {
        let restarts = progress.state().restarts;
        Self {
            file,
            digest,
            size,
            progress,
            restarts,
        }
    }

    /// The digest of the blob.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Waits until there are bytes at `offset`; returns how many bytes there are in all.
    fn wait(&self, offset: u64) -> wasi_overlay_core::Result<u64> {
        let mut state = self.progress.state();
        loop {
            if state.restarts != self.restarts {
                return Err(Error::new(Errno::Io, "the download was restarted"));
            }
            if state.length > offset {
                return Ok(state.length);
            }
            if state.has_ended {
                return Err(Error::new(Errno::Io, "the download ended early"));
            }
            state = self
                .progress
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Source for Follower {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> wasi_overlay_core::Result<usize> {
        if offset >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let there = self.wait(offset)? - offset;
        let length = usize::try_from(there).map_or(buffer.len(), |there| there.min(buffer.len()));
        Source::read_at(&self.file, &mut buffer[..length], offset)
    }

    fn size(&self) -> wasi_overlay_core::Result<u64> {
        Ok(self.size)
    }
}

impl PartialBlob {
    /// A source of the blob that waits for bytes that are not there yet, for
    /// [`Store::unpack_download`](super::Store::unpack_download) on another thread. `None` if the size is not
    /// known, or the store has the blob.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn follow(&self) -> Result<Option<Follower>> {
        let (Some(size), Some(file)) = (self.size, self.clone_file()?) else {
            return Ok(None);
        };
        let progress = Arc::clone(&self.progress);
        Ok(Some(Follower::new(file, self.digest, size, progress)))
    }
}
