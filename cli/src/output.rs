//! Atomic writing of output files.

use anyhow::{Context, Result, anyhow, bail, ensure};
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file that may be written.
pub(crate) struct Output {
    /// As the user named it.
    name: String,
    /// Where it is, links followed.
    path: PathBuf,
    force: bool,
}

impl Output {
    /// Checks that a file can appear at `path`, which must not be there yet unless `force`.
    pub(crate) fn new(path: &Path, force: bool) -> Result<Self> {
        let name = path.display().to_string();
        let old = match fs::symlink_metadata(path) {
            Ok(_) => {
                ensure!(
                    force,
                    "-o {name}: it is there already; add --force to replace it, or give another \
                     name"
                );
                true
            }
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => bail!("-o {name}: it cannot be looked at ({error}); check the path"),
        };
        let path = if old {
            // A link stays one: what it names is replaced.
            let path = path.canonicalize().with_context(|| {
                format!("-o {name}: what the link names cannot be found; remove the link")
            })?;
            ensure!(
                path.is_file(),
                "-o {name}: it is no file that could be replaced; give another name"
            );
            path
        } else {
            let parent = folder(path);
            ensure!(
                parent.is_dir(),
                "-o {name}: there is no directory `{0}`; make it with `mkdir -p {0}`",
                parent.display()
            );
            path.to_owned()
        };
        Ok(Self { name, path, force })
    }

    /// Writes it: beside its place first, so that it never is there in part.
    pub(crate) fn write(self, content: &[u8]) -> Result<()> {
        let failed = |error: std::io::Error| {
            anyhow!(
                "-o {}: it cannot be written ({error}); check the directory and its filesystem",
                self.name
            )
        };
        let mut file = tempfile::Builder::new()
            .prefix(".wasi-overlay-")
            // What the process's umask leaves of it, as for any new file.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder(&self.path))
            .map_err(failed)?;
        file.write_all(content).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        if self.force {
            file.persist(&self.path).map_err(|e| failed(e.error))?;
        } else {
            file.persist_noclobber(&self.path)
                .map_err(|e| failed(e.error))?;
        }
        Ok(())
    }
}

/// The directory that a file lies in.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}
