//! The file operations of a store. Every change goes through here, so that tests can cut a store at each
//! step or make the step fail.

use super::BLOBS;
use crate::error::{Bytes, Error, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RawMode};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A change of the disk that is about to be made, with the path in the store.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A folder is created.
    CreateDir(&'a str),
    /// A file is created.
    Create(&'a str),
    /// Bytes are written to a file.
    Write(&'a str),
    /// A file is truncated.
    Truncate(&'a str),
    /// A file is synced.
    Sync(&'a str),
    /// A file gets its final name.
    Rename(&'a str, &'a str),
    /// A folder is synced.
    SyncDir(&'a str),
    /// A file is removed.
    Remove(&'a str),
}

/// Called before each step. An error is the result of the step, which then changes nothing.
#[doc(hidden)]
pub type Faults = Arc<dyn Fn(Step<'_>) -> io::Result<()> + Send + Sync>;

/// The folder of a store.
pub(super) struct Files {
    root: OwnedFd,
    path: PathBuf,
    is_writable: AtomicBool,
    faults: Option<Faults>,
}

const DIR: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

impl Files {
    /// Opens the folder at `path`, and creates it if it does not exist.
    pub(super) fn open(path: &Path, faults: Option<Faults>) -> Result<Self> {
        let failed = |error: Errno| {
            let what = format!("cannot open the store {}", path.display());
            Error::io(what, error.into())
        };
        let root = match rustix::fs::open(path, DIR, Mode::empty()) {
            Err(Errno::NOENT) => {
                std::fs::create_dir_all(path).map_err(|error| {
                    Error::io(
                        format_args!("cannot create the store {}", path.display()),
                        error,
                    )
                })?;
                rustix::fs::open(path, DIR, Mode::empty()).map_err(failed)?
            }
            opened => opened.map_err(failed)?,
        };
        Ok(Self {
            root,
            path: path.to_owned(),
            is_writable: AtomicBool::new(true),
            faults,
        })
    }

    pub(super) fn set_read_only(&self) {
        self.is_writable.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_writable(&self) -> bool {
        self.is_writable.load(Ordering::Relaxed)
    }

    /// The path of the store, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The device and inode of the store.
    pub(super) fn identity(&self) -> Result<(u64, u64)> {
        let stat = rustix::fs::fstat(&self.root).map_err(|error| self.failed("stat", "", error))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// Fails if the store cannot be written.
    pub(super) fn check_writable(&self, action: impl FnOnce() -> String) -> Result<()> {
        if self.is_writable() {
            return Ok(());
        }
        Err(Error::ReadOnlyStore {
            action: action(),
            path: self.path.display().to_string(),
        })
    }

    /// Fails if fewer than `needed` bytes are free.
    pub(super) fn check_space(&self, what: &str, needed: u64) -> Result<()> {
        let available = self.available()?;
        if needed <= available {
            return Ok(());
        }
        Err(Error::NoSpace {
            what: what.to_owned(),
            needed: Bytes(needed),
            available: Bytes(available),
        })
    }

    /// Bytes that are free on the disk.
    fn available(&self) -> Result<u64> {
        let stat =
            rustix::fs::fstatvfs(&self.root).map_err(|error| self.failed("statvfs", "", error))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// An error of the call `doing` for the file `name`.
    fn failed(&self, doing: &str, name: &str, error: impl Into<io::Error>) -> Error {
        self.failed_needing(doing, name, error, BLOCK)
    }

    /// As [`failed`](Self::failed), for a call that needs space.
    fn failed_needing(
        &self,
        doing: &str,
        name: &str,
        error: impl Into<io::Error>,
        needed: u64,
    ) -> Error {
        let what = format!("cannot {doing} {}", self.path.join(name).display());
        let error = error.into();
        if error.kind() == io::ErrorKind::StorageFull {
            return Error::NoSpace {
                what,
                needed: Bytes(needed),
                available: self.available().map_or(Bytes(0), Bytes),
            };
        }
        Error::io(what, error)
    }

    fn step(&self, step: Step<'_>) -> io::Result<()> {
        match &self.faults {
            Some(faults) => faults(step),
            None => Ok(()),
        }
    }

    /// Opens a regular file for reading. `None` if it does not exist.
    pub(super) fn open_file(&self, name: &str) -> Result<Option<File>> {
        self.open_with(name, OFlags::RDONLY)
    }

    fn open_with(&self, name: &str, access: OFlags) -> Result<Option<File>> {
        // A FIFO would block without NONBLOCK.
        let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match rustix::fs::openat(&self.root, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.failed("open", name, error)),
        };
        let meta = file
            .metadata()
            .map_err(|error| self.failed("stat", name, error))?;
        if !meta.is_file() {
            return Err(Error::malformed(
                self.path.join(name).display(),
                "it is not a regular file",
            ));
        }
        Ok(Some(file))
    }

    /// Opens a file for reading and writing, and creates it if it does not exist.
    pub(super) fn open_or_create(&self, name: &str) -> Result<File> {
        if let Some(file) = self.open_with(name, OFlags::RDWR)? {
            return Ok(file);
        }
        let failed = |error| self.failed("create", name, error);
        self.step(Step::Create(name)).map_err(failed)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o644);
        let fd = rustix::fs::openat(&self.root, name, flags, mode)
            .map_err(|error| self.failed("create", name, error))?;
        Ok(File::from(fd))
    }

    /// Creates a folder, unless it exists. Returns whether it did not.
    pub(super) fn create_dir(&self, name: &str) -> Result<bool> {
        let stat = rustix::fs::statat(&self.root, name, AtFlags::empty());
        if stat.is_ok() {
            return Ok(false);
        }
        let failed = |error| self.failed("create", name, error);
        self.step(Step::CreateDir(name)).map_err(failed)?;
        match rustix::fs::mkdirat(&self.root, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(true),
            Err(error) => Err(self.failed("create", name, error)),
        }
    }

    /// The names in a folder, without `.` and `..`, sorted. Names that are not UTF-8 are not ours, and
    /// omitted. A folder that does not exist has none.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>> {
        let failed = |error| self.failed("list", name, error);
        let dir = match rustix::fs::openat(&self.root, name, DIR, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The metadata of a file. `None` if it does not exist.
    pub(super) fn stat(&self, name: &str) -> Result<Option<rustix::fs::Stat>> {
        match rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("stat", name, error)),
        }
    }

    /// Sets the modification time of a file to now, if it exists and this user may.
    pub(super) fn freshen(&self, name: &str) {
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        // The time of another user's file cannot be set; it is only collected earlier.
        let _ = rustix::fs::utimensat(&self.root, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }

    /// Removes a file, unless it does not exist.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let failed = |error| self.failed("remove", name, error);
        self.step(Step::Remove(name)).map_err(failed)?;
        match rustix::fs::unlinkat(&self.root, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("remove", name, error)),
        }
    }

    /// Writes a file whole, under a temporary name first.
    pub(super) fn replace(
        self: &Arc<Self>,
        name: &str,
        parts: &[&[u8]],
        durable: bool,
    ) -> Result<()> {
        let temp = self.create_temp()?;
        for part in parts {
            temp.write(part)?;
        }
        temp.publish(name, durable)
    }

    /// Creates a file with a name that no other has, locked until it is closed.
    pub(super) fn create_temp(self: &Arc<Self>) -> Result<Temp> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let nanos = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |time| time.subsec_nanos());
            let process = std::process::id();
            let name = format!("{TEMP}/{process}-{number}-{nanos:x}");
            let flags =
                OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let failed = |error| self.failed("create", &name, error);
            self.step(Step::Create(&name)).map_err(failed)?;
            match rustix::fs::openat(&self.root, &name, flags, Mode::from_raw_mode(0o644)) {
                Ok(fd) => {
                    let file = File::from(fd);
                    // Only a `prune` that lists the directory at this moment can know the name.
                    lock(&file, FlockOperation::LockExclusive)
                        .map_err(|error| self.failed("lock", &name, error))?;
                    return Ok(Temp {
                        files: Arc::clone(self),
                        file,
                        name,
                        stays: false,
                    });
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.failed("create", &name, error)),
            }
        }
    }

    /// Opens or creates the file `name`, and waits until no other holds it. A holder that publishes the
    /// file moves it away: then this opens another.
    pub(super) fn open_exclusive(self: &Arc<Self>, name: &str) -> Result<Temp> {
        loop {
            let file = self.open_or_create(name)?;
            // Waiting for the lock itself could take as long as a program runs: once the file is published,
            // those who use it hold its lock.
            let is_locked = try_lock(&file, FlockOperation::NonBlockingLockExclusive)
                .map_err(|error| self.failed("lock", name, error))?;
            let is_ours = self.is_at(&file, name)?;
            if is_locked && is_ours {
                return Ok(Temp {
                    files: Arc::clone(self),
                    file,
                    name: name.to_owned(),
                    stays: false,
                });
            }
            if is_ours {
                std::thread::sleep(WAIT);
            }
        }
    }

    /// Whether the open file has the name.
    pub(super) fn is_at(&self, file: &File, name: &str) -> Result<bool> {
        let meta = file
            .metadata()
            .map_err(|error| self.failed("stat", name, error))?;
        let stat = self.stat(name)?;
        Ok(stat.is_some_and(|stat| stat.st_dev == meta.dev() && stat.st_ino == meta.ino()))
    }

    pub(super) fn sync_dir(&self, name: &str) -> Result<()> {
        let failed = |error| self.failed("sync", name, error);
        self.step(Step::SyncDir(name)).map_err(failed)?;
        let failed = |error: Errno| self.failed("sync", name, error);
        let dir = rustix::fs::openat(&self.root, name, DIR, Mode::empty()).map_err(failed)?;
        rustix::fs::fsync(&dir).map_err(failed)
    }
}

/// The time between two attempts to lock a file that another process writes.
const WAIT: Duration = Duration::from_millis(10);

/// Bytes that a new name may need.
const BLOCK: u64 = 4096;

/// The folder of temporary files.
pub(super) const TEMP: &str = ".wasi-overlay/tmp";

/// Takes a lock on an open file, which ends when the file is closed.
pub(super) fn lock(file: &File, operation: FlockOperation) -> io::Result<()> {
    loop {
        match rustix::fs::flock(file, operation) {
            Err(Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

/// Whether the lock was taken at once. `false` if another holds it.
pub(super) fn try_lock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match lock(file, operation) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file without its final name, locked. Dropping it removes it, unless it is kept or published.
pub(super) struct Temp {
    files: Arc<Files>,
    file: File,
    name: String,
    stays: bool,
}

impl Temp {
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn len(&self) -> Result<u64> {
        match self.file.metadata() {
            Ok(meta) => Ok(meta.len()),
            Err(error) => Err(self.files.failed("stat", &self.name, error)),
        }
    }

    /// Appends at the position of the file.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.files
            .step(Step::Write(&self.name))
            .and_then(|()| io::Write::write_all(&mut &self.file, bytes))
            .map_err(|error| {
                let needed = (bytes.len() as u64).max(BLOCK);
                self.files
                    .failed_needing("write", &self.name, error, needed)
            })
    }

    pub(super) fn truncate(&self) -> Result<()> {
        self.files
            .step(Step::Truncate(&self.name))
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| io::Seek::seek(&mut &self.file, io::SeekFrom::Start(0)))
            .map(|_| ())
            .map_err(|error| self.files.failed("truncate", &self.name, error))
    }

    /// Syncs the data, while more may be written.
    pub(super) fn sync_data(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|error| self.files.failed("sync", &self.name, error))
    }

    /// Sets whether the file stays when it is dropped.
    pub(super) fn set_stays(&mut self, stays: bool) {
        self.stays = stays;
    }

    /// Gives the file its final name. If `durable`, the file and its name are on the disk afterwards.
    pub(super) fn publish(mut self, name: &str, durable: bool) -> Result<()> {
        let files = Arc::clone(&self.files);
        if durable {
            files
                .step(Step::Sync(&self.name))
                .and_then(|()| self.file.sync_all())
                .map_err(|error| files.failed("sync", &self.name, error))?;
        }
        files
            .step(Step::Rename(&self.name, name))
            .and_then(|()| {
                rustix::fs::renameat(&files.root, &self.name, &files.root, name)
                    .map_err(io::Error::from)
            })
            .map_err(|error| files.failed("rename", &self.name, error))?;
        self.stays = true;
        // After the rename: a partial download that cannot be written could not go on. A blob that stays
        // writable is as good as others.
        if name.starts_with(BLOBS)
            && let Ok(stat) = rustix::fs::fstat(&self.file)
        {
            let mode = Mode::from_raw_mode(stat.st_mode & PUBLISHED);
            let _ = rustix::fs::fchmod(&self.file, mode);
        }
        if durable {
            files.sync_dir(name.rsplit_once('/').map_or(".", |(folder, _)| folder))?;
        }
        Ok(())
    }
}

/// The permissions of blobs, which are not written again. Other tools write `index.json`.
const PUBLISHED: RawMode = 0o444;

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.stays {
            // A file that stays is removed by a later `prune`.
            let _ = self.files.remove(&self.name);
        }
    }
}
