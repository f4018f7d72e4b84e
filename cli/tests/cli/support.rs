//! A temporary directory in which a test runs the binary.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A temporary directory for guests and layers, in which the binary runs.
pub(crate) struct TestDir {
    dir: TempDir,
}

/// The result of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestDir {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        Self { dir }
    }

    /// A directory with empty subdirectories of these names.
    pub(crate) fn with_dirs(names: &[&str]) -> Self {
        let temp = Self::new();
        for name in names {
            fs::create_dir_all(temp.path(name)).unwrap();
        }
        temp
    }

    /// The path of `name` in the directory.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, and creates the directories above it.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// The content of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Every path in `name`, sorted, relative to it.
    pub(crate) fn tree(&self, name: &str) -> Vec<String> {
        let root = self.path(name);
        let (mut todo, mut found) = (vec![root.clone()], Vec::new());
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let relative = path.strip_prefix(&root).unwrap();
                found.push(relative.to_str().unwrap().to_owned());
                if path.is_dir() && !path.is_symlink() {
                    todo.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// The `run` command with these arguments, in this directory, with `RUST_BACKTRACE` set.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        self.subcommand("run", args)
    }

    /// As [`command`](Self::command), for another subcommand.
    pub(crate) fn subcommand<A: AsRef<OsStr>>(
        &self,
        subcommand: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Command {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.binary([subcommand.into()].into_iter().chain(args))
    }

    /// As [`command`](Self::command), without a subcommand.
    pub(crate) fn binary<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasi-overlay"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("RUST_BACKTRACE", "1")
            // The user's own cache may not be writable.
            .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
            .env_remove("COLUMNS")
            .stdin(Stdio::null());
        command
    }

    /// Runs the `run` command with these arguments until it ends.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ended {
        ended(self.command(args).output().unwrap())
    }
}

/// Converts the output of a process. The code of a signal is 1000 and its number.
pub(crate) fn ended(output: Output) -> Ended {
    let code = output.status.code();
    Ended {
        code: code.unwrap_or_else(|| 1000 + output.status.signal().unwrap_or_default()),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
