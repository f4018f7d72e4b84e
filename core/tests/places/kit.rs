//! Directories, overlays on them, and mounts that end with the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use wasi_overlay_core::{Error, Lower, Overlay, OverlayBuilder, Result};
pub(crate) use wasi_overlay_proof::kit::capability as open;
use wasi_overlay_proof::kit::skip;

/// A temporary directory with these directories in it.
pub(crate) fn dirs(paths: &[&str]) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    for path in paths {
        std::fs::create_dir_all(temp.path().join(path)).unwrap();
    }
    temp
}

/// A lower layer, labelled `lower`.
pub(crate) fn lower(path: &Path) -> Lower {
    Lower::dir("lower", open(path)).unwrap()
}

/// An overlay of one lower, if any, and an upper, labelled `upper`.
pub(crate) fn builder(lower_path: Option<&Path>, upper: &Path) -> OverlayBuilder {
    let builder = Overlay::builder().upper_dir("upper", open(upper));
    match lower_path {
        Some(path) => builder.lower(lower(path)),
        None => builder,
    }
}

/// The error of a call that must fail.
pub(crate) fn error<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error,
    }
}

/// A mount that ends when this is dropped.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Runs `mount` with these arguments and the mount point. None without the permission.
    pub(crate) fn new(arguments: &[&str], point: &Path) -> Option<Self> {
        let mounted = Self::try_new(arguments, point);
        let skip = |reason: String| skip(&format!("mount {arguments:?}"), &reason);
        mounted.map_err(skip).ok()
    }

    /// As [`new`](Self::new), for filesystems that not every kernel supports.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn try_new(arguments: &[&str], point: &Path) -> Result<Self, String> {
        let output = Command::new("mount").args(arguments).arg(point).output();
        let reason = match output {
            Ok(output) if output.status.success() => return Ok(Self(point.to_owned())),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Err(reason)
    }

    /// Bind-mounts a directory or file at `point`.
    pub(crate) fn bind(directory: &Path, point: &Path) -> Option<Self> {
        Self::new(&["--bind", directory.to_str().unwrap()], point)
    }
}

impl Drop for Mounted {
    /// Retries for a while: a process that another test starts has copies of all descriptors until it executes its
    /// program, so the mount may be in use.
    fn drop(&mut self) {
        let unmount = || Command::new("umount").arg(&self.0).output().unwrap();
        let mut ended = unmount();
        for _ in 0..100 {
            if ended.status.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
            ended = unmount();
        }
        let reason = String::from_utf8_lossy(&ended.stderr);
        assert!(std::thread::panicking(), "cannot unmount: {reason}");
    }
}
