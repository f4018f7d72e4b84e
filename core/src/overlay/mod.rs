//! An overlay (skeleton).

#![allow(unused_variables, reason = "skeleton")]
use crate::descriptor::{Listing, OpenHow, Opened};
use crate::error::Result;
use crate::layer::Advice;
use crate::layer::{Upper, Usage};
use crate::limits::Limits;
use crate::meta::{Identity, SetTimes, Stat};
use crate::stack::{Lower, LowerStack};
use std::sync::Arc;

/// What an absolute symbolic link means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AbsoluteSymlinks {
    /// Following or reading one is `not-permitted`, as WASI demands.
    #[default]
    Refuse,
    /// It is resolved against the mount's root, where the call is made on that root.
    Root,
}

/// A mounted overlay. A clone is the same overlay; the mount ends when the last clone and the
/// last descriptor are gone, or with [`close`](Self::close).
#[derive(Clone)]
pub struct Overlay;

/// Puts an [`Overlay`] together.
#[derive(Default)]
pub struct OverlayBuilder;

impl OverlayBuilder {
    /// Adds a layer on top of those added before.
    #[must_use]
    pub fn lower(self, lower: Lower) -> Self {
        todo!()
    }
    /// Uses a stack that other overlays share, instead of layers of its own.
    #[must_use]
    pub fn stack(self, stack: Arc<LowerStack>) -> Self {
        todo!()
    }
    /// Takes changes in `upper`; `label` names it in messages to the embedder.
    #[must_use]
    pub fn upper(self, label: impl Into<String>, upper: impl Upper) -> Self {
        todo!()
    }
    /// Takes changes in a directory of the host, in OCI form, locked while mounted.
    #[cfg(feature = "dir")]
    #[must_use]
    pub fn upper_dir(self, label: impl Into<String>, dir: cap_std::fs::Dir) -> Self {
        todo!()
    }
    /// Takes changes in memory, up to `max_bytes` of data.
    #[must_use]
    pub fn upper_memory(self, max_bytes: u64) -> Self {
        todo!()
    }
    /// Refuses changes with `read-only`, though there is an upper.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        todo!()
    }
    /// Never waits for the disk: what a crash of the machine leaves of the changes is not said.
    #[must_use]
    pub fn volatile(self, volatile: bool) -> Self {
        todo!()
    }
    /// What absolute symbolic links mean.
    #[must_use]
    pub fn absolute_symlinks(self, policy: AbsoluteSymlinks) -> Self {
        todo!()
    }
    /// Bounds on what guests can make the overlay hold.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        todo!()
    }
    /// Mounts.
    ///
    /// # Errors
    /// `busy` if another mount has the upper; `invalid` for too many layers; those of the layers.
    pub fn build(self) -> Result<Overlay> {
        todo!()
    }
}

impl Overlay {
    /// Begins an overlay.
    pub fn builder() -> OverlayBuilder {
        OverlayBuilder
    }
    /// The root directory.
    pub fn root(&self) -> crate::Dir {
        todo!()
    }
    /// The root directory, through which changes fail with `read-only`.
    pub fn read_only_root(&self) -> crate::Dir {
        todo!()
    }
    /// Brings all changes to disk.
    ///
    /// # Errors
    /// Those of the upper.
    pub fn sync(&self) -> Result<()> {
        todo!()
    }
    /// How much the upper holds, against its quota; none where it has none of its own.
    pub fn usage(&self) -> Option<Usage> {
        todo!()
    }
    /// Ends the mount. Descriptors that are still open answer `io` to every change.
    ///
    /// # Errors
    /// Those of the upper.
    pub fn close(&self) -> Result<()> {
        todo!()
    }
}

/// A directory of an overlay.
#[derive(Clone, Debug)]
pub struct OverlayDir;

impl OverlayDir {
    pub(crate) fn open_at(&self, path: &str, how: OpenHow) -> Result<Opened> {
        todo!()
    }
    pub(crate) fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        todo!()
    }
    pub(crate) fn identity_at(&self, path: &str, follow: bool) -> Result<Identity> {
        todo!()
    }
    pub(crate) fn set_times_at(&self, path: &str, follow: bool, times: SetTimes) -> Result<()> {
        todo!()
    }
    pub(crate) fn create_directory_at(&self, path: &str) -> Result<()> {
        todo!()
    }
    pub(crate) fn remove_directory_at(&self, path: &str) -> Result<()> {
        todo!()
    }
    pub(crate) fn unlink_file_at(&self, path: &str) -> Result<()> {
        todo!()
    }
    pub(crate) fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        todo!()
    }
    pub(crate) fn readlink_at(&self, path: &str) -> Result<String> {
        todo!()
    }
    pub(crate) fn link_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        todo!()
    }
    pub(crate) fn rename_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        todo!()
    }
    pub(crate) fn list(&self) -> Result<Arc<Listing>> {
        todo!()
    }
    pub(crate) fn stat(&self) -> Result<Stat> {
        todo!()
    }
    pub(crate) fn identity(&self) -> Result<Identity> {
        todo!()
    }
    pub(crate) fn set_times(&self, times: SetTimes) -> Result<()> {
        todo!()
    }
    pub(crate) fn sync(&self, data_only: bool) -> Result<()> {
        todo!()
    }
    pub(crate) fn is_writable(&self) -> bool {
        todo!()
    }
}

/// An open file of an overlay.
#[derive(Clone, Debug)]
pub struct OverlayFile;

impl OverlayFile {
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        todo!()
    }
    pub(crate) fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        todo!()
    }
    pub(crate) fn append(&self, buffer: &[u8]) -> Result<usize> {
        todo!()
    }
    pub(crate) fn set_size(&self, size: u64) -> Result<()> {
        todo!()
    }
    pub(crate) fn stat(&self) -> Result<Stat> {
        todo!()
    }
    pub(crate) fn identity(&self) -> Result<Identity> {
        todo!()
    }
    pub(crate) fn set_times(&self, times: SetTimes) -> Result<()> {
        todo!()
    }
    pub(crate) fn sync(&self, data_only: bool) -> Result<()> {
        todo!()
    }
    pub(crate) fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        todo!()
    }
    pub(crate) fn is_readable(&self) -> bool {
        todo!()
    }
    pub(crate) fn is_writable(&self) -> bool {
        todo!()
    }
}
