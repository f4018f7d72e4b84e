//! An ext4 filesystem in an image file, mounted while the benchmark runs.

use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Bytes of the image, a sparse file.
const SIZE: u64 = 8 << 30;

/// ext4, mounted through a loop device.
#[derive(Debug)]
pub(crate) struct Image {
    mounted: PathBuf,
    /// Holds the image. Its removal follows the unmount.
    _folder: TempDir,
}

impl Image {
    /// Creates and mounts an image in the folder for temporary files. Requires root.
    pub(crate) fn mount() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("wasi-overlay-bench-")
            .tempdir()?;
        let (image, mounted) = (folder.path().join("ext4"), folder.path().join("mounted"));
        fs::File::create(&image)?.set_len(SIZE)?;
        fs::create_dir(&mounted)?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&image))?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(&image)
            .arg(&mounted))?;
        Ok(Self {
            mounted,
            _folder: folder,
        })
    }

    /// The mount point.
    pub(crate) fn path(&self) -> &Path {
        &self.mounted
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg(&self.mounted)) {
            eprintln!("{error:#}: unmount {} by hand", self.mounted.display());
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", name.display()))?;
    ensure!(
        output.status.success(),
        "{} failed (is this root?): {}",
        name.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
