//! Filesystems of the kernel's on the same layers, mounted for one run, with an upper of their own.

use crate::subject::Side;
use crate::trees::Trees;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mount, undone when it is dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// Mounts what the side needs; none if it needs nothing.
    pub(crate) fn new(side: Side, trees: &Trees) -> Result<Option<Self>> {
        if !matches!(side, Side::Kernel | Side::Fuse) {
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
        // The top one first.
        let layers = (0..trees.layers).rev().map(|index| trees.layer(index));
        let layers: Vec<String> = layers.map(|path| path.display().to_string()).collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            layers.join(":"),
            upper.display(),
            work.display()
        );
        // Calls of rustix would be a feature that nobody else wants, and wasmtime be built anew.
        let mut command = match side {
            Side::Fuse => Command::new("fuse-overlayfs"),
            _ => {
                let mut mount = Command::new("mount");
                // The newer system call takes no more than 255 bytes of layers.
                mount.env("LIBMOUNT_FORCE_MOUNT2", "always");
                mount.args(["-t", "overlay", "overlay"]);
                mount
            }
        };
        let status = command
            .args(["-o", &options])
            .arg(&path)
            .stdin(Stdio::null())
            // fuse-overlayfs goes on by itself and would keep a pipe open.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {:?}", command.get_program()))?;
        ensure!(status.success(), "it cannot be mounted here ({status})");
        Ok(Some(Self { path }))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let undone = Command::new("umount").arg("-l").arg(&self.path).status();
        if !undone.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path.display());
        }
    }
}
