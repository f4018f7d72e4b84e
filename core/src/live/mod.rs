//! A live mount: a host directory as it is (skeleton).

#![allow(unused_variables, reason = "skeleton")]
use crate::descriptor::{Listing, OpenHow, Opened};
use crate::error::Result;
use crate::layer::Advice;
use crate::meta::{Identity, SetTimes, Stat};
use std::sync::Arc;

/// A live mount: a host directory as it is, shared with other processes.
pub struct Live;

impl Live {
    /// Mounts `dir`.
    pub fn new(dir: cap_std::fs::Dir) -> Self {
        let _ = dir;
        todo!()
    }
    /// Mounts `dir`; changes fail with `read-only`.
    pub fn read_only(dir: cap_std::fs::Dir) -> Self {
        let _ = dir;
        todo!()
    }
    /// The root.
    pub fn root(&self) -> crate::Dir {
        todo!()
    }
}

/// A directory of a live mount.
#[derive(Clone, Debug)]
pub struct LiveDir;

impl LiveDir {
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

/// An open file of a live mount.
#[derive(Clone, Debug)]
pub struct LiveFile;

impl LiveFile {
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
