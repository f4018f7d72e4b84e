//! Atomic writing of output files, and output to stdout.

use anyhow::{Context, Result, anyhow, bail, ensure};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where to write the output, checked.
pub(crate) enum Output {
    /// A file.
    File(OutputFile),
    /// `-o -`.
    Stdout,
}

impl Output {
    /// Checks that a file can be created at `path`, or replaced there if `force` is set. `-` is stdout, unless
    /// that is a terminal.
    pub(crate) fn new(path: &Path, force: bool) -> Result<Self> {
        if path.as_os_str() != "-" {
            return OutputFile::new(path, force).map(Self::File);
        }
        ensure!(
            !io::stdout().is_terminal(),
            "-o -: stdout is a terminal, and WebAssembly is binary; redirect it, as in `-o - >out.wasm`"
        );
        Ok(Self::Stdout)
    }

    /// Writes the output. A file appears whole or not at all.
    pub(crate) fn write(self, content: &[u8]) -> Result<()> {
        match self {
            Self::File(file) => file.write(content),
            Self::Stdout => {
                let mut stdout = io::stdout();
                let written = stdout.write_all(content).and_then(|()| stdout.flush());
                written.context("-o -: stdout cannot be written")
            }
        }
    }
}

/// Writes text to stdout.
pub(crate) fn write_stdout(text: &str) -> Result<()> {
    let mut stdout = io::stdout();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.context("stdout cannot be written")
}

/// An output file whose path was checked.
pub(crate) struct OutputFile {
    /// The path as the user typed it.
    name: String,
    /// The path with links followed.
    path: PathBuf,
    force: bool,
}

impl OutputFile {
    fn new(path: &Path, force: bool) -> Result<Self> {
        let name = path.display().to_string();
        let exists = match fs::symlink_metadata(path) {
            Ok(_) => {
                ensure!(
                    force,
                    "-o {name}: the file already exists; add --force to replace it, or choose \
                     another name"
                );
                true
            }
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => bail!("-o {name}: it cannot be accessed ({error}); check the path"),
        };
        let path = if exists {
            // A link stays a link: its target is replaced.
            let path = path.canonicalize().with_context(|| {
                format!("-o {name}: the target of the link cannot be found; remove the link")
            })?;
            ensure!(
                path.is_file(),
                "-o {name}: it is not a regular file, so it cannot be replaced; choose another name"
            );
            path
        } else {
            let parent = parent_dir(path);
            ensure!(
                parent.is_dir(),
                "-o {name}: there is no directory `{0}`; create it with `mkdir -p {0}`",
                parent.display()
            );
            path.to_owned()
        };
        Ok(Self { name, path, force })
    }

    /// Writes the file under a temporary name in its directory, then renames it, so that it is never
    /// incomplete.
    fn write(self, content: &[u8]) -> Result<()> {
        let failed = |error: std::io::Error| {
            anyhow!(
                "-o {}: it cannot be written ({error}); check the directory and its filesystem",
                self.name
            )
        };
        let mut file = tempfile::Builder::new()
            .prefix(".wasi-overlay-")
            // The umask of the process applies, as for any new file.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(parent_dir(&self.path))
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

/// The directory that contains `path`.
fn parent_dir(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}
