//! The least that a change of a lower file can do: what the native program does in its place.

use crate::sides::native::Native;
use crate::trees::{SMALL, Trees};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Changes of files of lower layers, by a native program on the plain directory.
#[derive(Clone)]
pub(super) struct Changes(Arc<Mutex<State>>);

struct State {
    native: Native,
    /// The copy that was made last, while the guest has it open.
    copy: Option<OwnedFd>,
}

impl Changes {
    pub(super) fn new(trees: &Trees) -> Result<Self> {
        let native = Native::new(&trees.plain(), SMALL as u64)?;
        let state = State { native, copy: None };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a file for writing: copies it.
    pub(super) fn open(&self, path: &str) -> Result<()> {
        let mut state = self.state();
        state.copy = Some(state.native.copy_small(path)?);
        Ok(())
    }

    /// Writes behind what is in the copy.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<()> {
        let state = self.state();
        let copy = state.copy.as_ref().context("nothing is open")?;
        ensure!(rustix::io::write(copy, bytes)? == bytes.len());
        Ok(())
    }

    /// Closes the copy, if there is one.
    pub(super) fn close(&self) {
        self.state().copy = None;
    }

    pub(super) fn unlink(&self, path: &str) -> Result<()> {
        self.state().native.mark(path)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.state().native.rename_copied(from, to)
    }
}
