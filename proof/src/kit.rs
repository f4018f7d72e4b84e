//! Helpers that many tests share: open flags, files, host directories, skipped tests, processes with few
//! descriptors, a report on a table of cells, and layers that wrap a memory layer.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::any::Any;
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use wasi_overlay_core::{Dir, Errno, File, OpenHow, Opened, Result};

/// The flags of an open as letters: `r` read, `w` write, `c` create, `x` exclusive, `t` truncate,
/// `d` directory. A final symbolic link is followed, except with `n`.
pub const fn how(flags: &str) -> OpenHow {
    const fn has(flags: &[u8], flag: u8) -> bool {
        match flags {
            [first, rest @ ..] => *first == flag || has(rest, flag),
            [] => false,
        }
    }
    let flags = flags.as_bytes();
    OpenHow {
        follow: !has(flags, b'n'),
        create: has(flags, b'c'),
        directory: has(flags, b'd'),
        exclusive: has(flags, b'x'),
        truncate: has(flags, b't'),
        read: has(flags, b'r'),
        write: has(flags, b'w'),
    }
}

/// Opens an existing file or directory for reading.
pub const READ: OpenHow = how("r");
/// Opens an existing file for reading and writing.
pub const WRITE: OpenHow = how("rw");
/// As [`WRITE`], and creates the file if it is missing.
pub const CREATE: OpenHow = how("rwc");

/// Opens a directory of the host.
///
/// # Panics
/// If it cannot be opened.
pub fn capability(path: &Path) -> cap_std::fs::Dir {
    match cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()) {
        Ok(dir) => dir,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Creates a temporary directory, on tmpfs where there is one: some tests create hundreds of
/// thousands of files.
///
/// # Panics
/// If it cannot be created.
pub fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary directory")
}

/// Opens a file.
///
/// # Errors
/// Any error of the open.
///
/// # Panics
/// If it is a directory.
pub fn try_file(root: &Dir, path: &str, how: OpenHow) -> Result<File> {
    match root.open_at(path, how)? {
        Opened::File(file) => Ok(file),
        Opened::Dir(_) => panic!("{path} is a directory"),
    }
}

/// Opens a file.
///
/// # Panics
/// If it cannot be opened, or is a directory.
pub fn file(root: &Dir, path: &str, how: OpenHow) -> File {
    match try_file(root, path, how) {
        Ok(file) => file,
        Err(error) => panic!("{path}: {error}"),
    }
}

/// Opens a directory.
///
/// # Panics
/// If it cannot be opened, or is a file.
pub fn dir(root: &Dir, path: &str) -> Dir {
    match root.open_at(path, READ) {
        Ok(Opened::Dir(dir)) => dir,
        Ok(Opened::File(_)) => panic!("{path} is a file"),
        Err(error) => panic!("{path}: {error}"),
    }
}

/// The names in a directory, in the order of its listing.
///
/// # Panics
/// If it cannot be listed.
pub fn names(dir: &Dir) -> Vec<String> {
    let listing = dir.list().expect("a listing");
    listing.iter().map(|entry| entry.name.to_string()).collect()
}

/// The data of a file, up to 256 bytes of it.
///
/// # Panics
/// If it cannot be opened or read, or is a directory.
pub fn text(root: &Dir, path: &str) -> String {
    let data = file(root, path, READ).read_vec_at(256, 0).expect("data");
    String::from_utf8_lossy(&data).into_owned()
}

/// Asserts that a call failed with `errno`.
///
/// # Panics
/// If it succeeded, or failed otherwise.
#[track_caller]
pub fn fails<T>(result: Result<T>, errno: Errno) {
    assert_eq!(result.err().map(|error| error.errno()), Some(errno));
}

/// Work folders and whiteouts beside entries, which an unmounted upper must not contain.
///
/// # Panics
/// If a name is not UTF-8.
pub fn leftovers(upper: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![upper.to_owned()];
    while let Some(dir) = dirs.pop() {
        // Directories without permissions are skipped.
        let entries = std::fs::read_dir(&dir).into_iter().flatten();
        for entry in entries.map(|entry| entry.expect("an entry")) {
            let name = entry.file_name().into_string().expect("UTF-8");
            let whiteout = dir.join(format!(".wh.{name}"));
            if name.starts_with(".wh..wh.work") || whiteout.symlink_metadata().is_ok() {
                found.push(entry.path());
            }
            if entry.file_type().expect("a type").is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    found
}

/// Sets mode 755 on every directory below `path`, so that the tree can be removed.
///
/// # Panics
/// If a directory cannot be changed or read.
pub fn unlock(path: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("a directory");
    for entry in std::fs::read_dir(path).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            unlock(&entry.path());
        }
    }
}

/// Whether a missing tool or permission must fail the test: in CI (`CI=true`), or with
/// `OVERLAY_NO_SKIP`.
pub(crate) fn forbids_skipping() -> bool {
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    is_ci || std::env::var_os("OVERLAY_NO_SKIP").is_some()
}

/// Prints why a test is skipped.
///
/// # Panics
/// As root where no test may be skipped: in CI (`CI=true`), or with `OVERLAY_NO_SKIP`.
pub fn skip(test: &str, why: &str) {
    assert!(
        !forbids_skipping() || !rustix::process::geteuid().is_root(),
        "{test} may not be skipped here: {why}"
    );
    println!("{test}: skipped: {why}");
}

/// Names the test that a child process runs.
const LIMITED: &str = "WASI_OVERLAY_LIMITED";

/// Runs `test` with a limit of `most` open descriptors. The limit belongs to the process, so this
/// starts the test program again for the one test called `name`.
///
/// # Panics
/// If the test fails, or does not run.
pub fn limited(name: &str, most: u64, test: impl FnOnce()) {
    if std::env::var(LIMITED).is_ok_and(|running| running == name) {
        let limit = Rlimit {
            current: Some(most),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        setrlimit(Resource::Nofile, limit).expect("a lower limit");
        return test();
    }
    let output = Command::new(std::env::current_exe().expect("a test program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(LIMITED, name)
        .output()
        .expect("the test program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "with {most} descriptors:\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Counts the cells of a table and collects the failures: the first ones in full, then only names.
#[derive(Debug)]
pub struct Report {
    shown: usize,
    cells: usize,
    failed: usize,
    text: String,
}

impl Report {
    /// A report that shows the first `shown` failures in full.
    pub fn new(shown: usize) -> Self {
        Self {
            shown,
            cells: 0,
            failed: 0,
            text: String::new(),
        }
    }

    /// Records a cell. An empty `complaint` means that it passed.
    pub fn cell(&mut self, name: &str, complaint: &str) {
        self.cells += 1;
        if complaint.is_empty() {
            return;
        }
        self.failed += 1;
        let complaint = if self.failed <= self.shown {
            complaint
        } else {
            ""
        };
        let _ = writeln!(self.text, "{name}\n{complaint}");
    }

    /// Prints the counts.
    ///
    /// # Panics
    /// If a cell failed, or if there was no cell.
    pub fn end(self, of: impl Debug) {
        let Self { cells, failed, .. } = self;
        println!("{of:?}: {cells} cells, {failed} failed");
        assert!(cells > 0, "no cell was run");
        assert!(
            failed == 0,
            "{failed} of {cells} cells failed\n{}",
            self.text
        );
    }
}

/// The message of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "(no message)".to_owned())
}

/// Implements methods of `Layer` with those of the `MemoryLayer` that the method `layer` returns.
#[macro_export]
macro_rules! memory_layer_methods {
    ($($method:ident)*) => {
        $($crate::memory_layer_methods!(@$method);)*
    };
    (@root) => {
        fn root(&self) -> Result<Self::Dir> {
            self.layer().root()
        }
    };
    (@dir_meta) => {
        fn dir_meta(&self, dir: &Self::Dir) -> Result<Meta> {
            self.layer().dir_meta(dir)
        }
    };
    (@is_opaque) => {
        fn is_opaque(&self, dir: &Self::Dir) -> Result<bool> {
            self.layer().is_opaque(dir)
        }
    };
    (@find) => {
        fn find(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Found> {
            self.layer().find(dir, name)
        }
    };
    (@open_dir) => {
        fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir> {
            self.layer().open_dir(dir, name)
        }
    };
    (@read_link) => {
        fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
            self.layer().read_link(dir, name)
        }
    };
    (@list) => {
        fn list(
            &self,
            dir: &Self::Dir,
            each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
        ) -> Result<()> {
            self.layer().list(dir, each)
        }
    };
}
