//! Mounts of the kernel's overlayfs and of fuse-overlayfs on the same layers, with their own upper.
//! Each mount lasts for one run.

use crate::subject::Backend;
use crate::trees::Trees;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mount, unmounted on drop.
#[derive(Debug)]
pub(crate) struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// Mounts the overlay of a backend; `None` if the backend needs no mount.
    pub(crate) fn new(backend: Backend, trees: &Trees) -> Result<Option<Self>> {
        if !matches!(backend, Backend::Kernel | Backend::Fuse) {
            return Ok(None);
        }
        let folder = |name: &str| trees.root().join(format!("mounted-{name}"));
        let (path, upper, work) = (folder("here"), folder("upper"), folder("work"));
        for folder in [&path, &upper, &work] {
            if folder.try_exists()? {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir(folder)?;
        }
        // The topmost layer comes first.
        let layers = (0..trees.layers).rev().map(|index| trees.layer(index));
        let layers: Vec<String> = layers.map(|path| path.display().to_string()).collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            layers.join(":"),
            upper.display(),
            work.display()
        );
        // rustix's mount calls need a feature that no other crate enables; enabling it would rebuild
        // wasmtime.
        let mut command = match backend {
            Backend::Fuse => Command::new("fuse-overlayfs"),
            _ => {
                let mut mount = Command::new("mount");
                // The newer mount API limits the list of layers to 255 bytes.
                mount.env("LIBMOUNT_FORCE_MOUNT2", "always");
                mount.args(["-t", "overlay", "overlay"]);
                mount
            }
        };
        let status = command
            .args(["-o", &options])
            .arg(&path)
            .stdin(Stdio::null())
            // fuse-overlayfs stays in the background and would keep a pipe open.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {:?}", command.get_program()))?;
        ensure!(
            status.success(),
            "the overlay cannot be mounted on this machine ({status})"
        );
        Ok(Some(Self { path }))
    }

    /// The mount point.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let undone = Command::new("umount").arg("-l").arg(&self.path).status();
        if !undone.is_ok_and(|status| status.success()) {
            eprintln!("cannot unmount {}: unmount it by hand", self.path.display());
        }
    }
}
