//! A native program that runs the same workloads on the plain directory, each step by the system call
//! that is made for it.

use crate::runner::Run;
use crate::trees::{LITTLE, SMALL, Trees};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps};
use rustix::fs::{
    flistxattr, fstat, fsync, futimens, mkdirat, mknodat, openat, renameat, seek, statat, sync,
    unlinkat,
};
use rustix::io::{Errno, pread, pwrite, read, write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes per read or write.
const STEP: usize = 64 * 1024;

/// Runs a workload.
pub(crate) fn run(run: Run<'_>, trees: &Trees) -> Result<Duration> {
    let workload = run.workload.guest_command;
    let mut native = Native::new(&trees.plain(), run.workload.expected_size(&trees.sizes))?;
    native.prepare(workload)?;
    if run.warm {
        native.run_once(workload)?;
    }
    let start = Instant::now();
    for _ in 0..run.iterations {
        native.run_once(workload)?;
    }
    Ok(start.elapsed())
}

/// The state of the native program.
struct Native {
    base: OwnedFd,
    /// The directory that stands for an upper, and its times, which a copy-up has to preserve.
    work: (OwnedFd, Timestamps),
    /// The size that an iteration expects: bytes, entries or files.
    size: usize,
    /// A file that stays open between iterations.
    held: Option<OwnedFd>,
    /// Number of names used so far.
    used: u32,
    /// State of the random number generator.
    random: u64,
    buffer: Vec<u8>,
}

impl Native {
    fn new(plain: &Path, size: u64) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let work = openat(CWD, plain.join("work"), flags, Mode::empty())?;
        let times = times(&fstat(&work)?)?;
        Ok(Self {
            base: openat(CWD, plain, flags, Mode::empty())?,
            work: (work, times),
            size: usize::try_from(size)?,
            held: None,
            used: 0,
            random: 1,
            buffer: vec![7; STEP],
        })
    }

    fn prepare(&mut self, workload: &str) -> Result<()> {
        let held = match workload {
            "fstat" => "a/b/c",
            "random-read" | "random-read-at" => "big",
            "rename" => return self.create("work/old").map(drop),
            "remove-unpacked" => return self.unpack("work/unpacked"),
            "stat-upper" => {
                let made = self.create("work/made")?;
                ensure!(write(&made, &self.buffer[..SMALL])? == SMALL);
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.held = Some(self.open(held, OFlags::RDONLY)?);
        Ok(())
    }

    fn run_once(&mut self, workload: &str) -> Result<()> {
        match workload {
            "get-type" => {
                let stat = fstat(&self.base)?;
                ensure!(FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
                Ok(())
            }
            "stat" => self.stat("a/b/c"),
            "stat-upper" => self.stat("work/made"),
            "deep-stat" => self.stat("deep/b/c/d/e/f/g/h"),
            "missing-stat" => {
                let found = statat(&self.base, "a/b/none", AtFlags::empty());
                ensure!(found.err() == Some(Errno::NOENT), "a/b/none exists");
                Ok(())
            }
            "open-close" => self.open("a/b/c", OFlags::RDONLY).map(drop),
            "open-read-close" => {
                let file = self.open("a/b/c", OFlags::RDONLY)?;
                ensure!(read(&file, &mut self.buffer[..SMALL])? == SMALL);
                Ok(())
            }
            "fstat" => {
                ensure!(usize::try_from(fstat(self.held()?)?.st_size)? == SMALL);
                Ok(())
            }
            "readdir" => {
                let found = self.list(&format!("many-{}", self.size))?.len();
                ensure!(found == self.size, "{found} entries");
                Ok(())
            }
            "walk" => self.walk("tree"),
            "read" => self.read(false),
            "read-at" => self.read(true),
            "write" => self.write(false),
            "write-at" => self.write(true),
            "random-read" => {
                let offset = self.offset();
                seek(self.held()?, SeekFrom::Start(offset))?;
                let file = self
                    .held
                    .as_ref()
                    .context("no file is open: `prepare` was not called")?;
                ensure!(read(file, &mut self.buffer[..SMALL])? == SMALL);
                Ok(())
            }
            "random-read-at" => {
                let offset = self.offset();
                let file = self
                    .held
                    .as_ref()
                    .context("no file is open: `prepare` was not called")?;
                ensure!(pread(file, &mut self.buffer[..SMALL], offset)? == SMALL);
                Ok(())
            }
            "create-write-unlink" => {
                let file = self.create("work/new")?;
                ensure!(write(&file, &self.buffer[..SMALL])? == SMALL);
                drop(file);
                self.unlink("work/new")
            }
            "rename" => {
                self.rename("work/old", "work/renamed")?;
                self.rename("work/renamed", "work/old")
            }
            "mkdir-rmdir" => {
                self.mkdir("work/dir")?;
                self.rmdir("work/dir")
            }
            "create" => {
                let name = self.next("work/");
                self.create(&name).map(drop)
            }
            "unpack" => self.unpack("work/tree"),
            "remove-unpacked" => self.remove_tree("work/unpacked"),
            "remove-tree" => self.remove_tree("removed"),
            "rename-dir" => {
                self.copy_tree("moved", "work/moved")?;
                sync();
                Ok(())
            }
            "append-spread" => {
                let name = self.next("spread/dir-") + "/file";
                self.append(&name)
            }
            "rename-spread" => {
                let name = self.next("spread/dir-") + "/file";
                self.rename(&name, &format!("{name}.renamed"))
            }
            "append-lower" => {
                let name = self.next("victims/");
                self.append(&name)
            }
            "unlink-lower" => {
                let name = self.next("victims/");
                self.unlink(&name)
            }
            "rename-lower" => {
                let name = self.next("victims/");
                self.rename(&name, &format!("{name}-renamed"))
            }
            "append-copied" => {
                let name = self.next("victims/");
                let copy = self.copy_small(&name)?;
                ensure!(write(&copy, &self.buffer[..16])? == 16);
                Ok(())
            }
            "unlink-marked" => {
                let name = self.next("victims/");
                self.create_whiteout(&name)
            }
            "rename-copied" => {
                let name = self.next("victims/");
                self.rename_copied(&name, &format!("{name}-renamed"))
            }
            // As by `cp`.
            "copy-up-large" => self.copy("large", "work/copy", self.size),
            other => bail!("no such workload: {other}"),
        }
    }

    fn stat(&self, name: &str) -> Result<()> {
        let stat = statat(&self.base, name, AtFlags::empty())?;
        ensure!(usize::try_from(stat.st_size)? == SMALL);
        Ok(())
    }

    fn open(&self, name: &str, flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        openat(&self.base, name, flags, Mode::empty()).with_context(|| name.to_owned())
    }

    fn create(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(&self.base, name, flags, Mode::from_raw_mode(0o644)).with_context(|| name.to_owned())
    }

    fn unlink(&self, name: &str) -> Result<()> {
        Ok(unlinkat(&self.base, name, AtFlags::empty())?)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        Ok(renameat(&self.base, from, &self.base, to)?)
    }

    fn held(&self) -> Result<&OwnedFd> {
        self.held
            .as_ref()
            .context("no file is open: `prepare` was not called")
    }

    fn append(&self, name: &str) -> Result<()> {
        let file = self.open(name, OFlags::WRONLY | OFlags::APPEND)?;
        ensure!(write(&file, &self.buffer[..16])? == 16);
        Ok(())
    }

    fn mkdir(&self, name: &str) -> Result<()> {
        Ok(mkdirat(&self.base, name, Mode::from_raw_mode(0o755))?)
    }

    fn rmdir(&self, name: &str) -> Result<()> {
        Ok(unlinkat(&self.base, name, AtFlags::REMOVEDIR)?)
    }

    fn unpack(&self, top: &str) -> Result<()> {
        self.mkdir(top)?;
        for file in 0..self.size {
            let dir = format!("{top}/dir-{:03}", file / 10);
            if file % 10 == 0 {
                self.mkdir(&dir)?;
            }
            let file = self.create(&format!("{dir}/file-{file:04}"))?;
            ensure!(write(&file, &self.buffer[..LITTLE])? == LITTLE);
        }
        Ok(())
    }

    fn remove_tree(&self, top: &str) -> Result<()> {
        let mut dirs = vec![top.to_owned()];
        let mut next = 0;
        while let Some(dir) = dirs.get(next).cloned() {
            next += 1;
            for (name, kind) in self.list(&dir)? {
                let path = format!("{dir}/{name}");
                match kind {
                    FileType::Directory => dirs.push(path),
                    _ => self.unlink(&path)?,
                }
            }
        }
        dirs.iter().rev().try_for_each(|dir| self.rmdir(dir))
    }

    /// Copies a tree as `cp -r` does.
    fn copy_tree(&self, from: &str, to: &str) -> Result<()> {
        let mut dirs = vec![(from.to_owned(), to.to_owned())];
        while let Some((from, to)) = dirs.pop() {
            self.mkdir(&to)?;
            for (name, kind) in self.list(&from)? {
                let (from, to) = (format!("{from}/{name}"), format!("{to}/{name}"));
                match kind {
                    FileType::Directory => dirs.push((from, to)),
                    _ => self.copy(&from, &to, LITTLE)?,
                }
            }
        }
        Ok(())
    }

    /// The next unused name.
    fn next(&mut self, prefix: &str) -> String {
        self.used += 1;
        format!("{prefix}{:04}", self.used - 1)
    }

    /// The next random page offset, by the same sequence as in the guests.
    fn offset(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005);
        self.random = self.random.wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % (self.size / SMALL) as u64 * SMALL as u64
    }

    fn read(&mut self, by_position: bool) -> Result<()> {
        let file = self.open("big", OFlags::RDONLY)?;
        let mut total = 0;
        loop {
            let count = if by_position {
                pread(&file, &mut self.buffer, total as u64)?
            } else {
                read(&file, &mut self.buffer)?
            };
            total += count;
            if count == 0 {
                break;
            }
        }
        ensure!(total == self.size);
        Ok(())
    }

    fn write(&self, by_position: bool) -> Result<()> {
        let file = self.create("work/big")?;
        let mut total = 0;
        while total < self.size {
            total += if by_position {
                pwrite(&file, &self.buffer, total as u64)?
            } else {
                write(&file, &self.buffer)?
            };
        }
        drop(file);
        self.unlink("work/big")
    }

    fn copy(&self, from: &str, to: &str, length: usize) -> Result<()> {
        let from = self.open(from, OFlags::RDONLY)?;
        let to = self.create(to)?;
        let mut left = length;
        while left > 0 {
            let copied = rustix::fs::copy_file_range(&from, None, &to, None, left)?;
            ensure!(copied > 0, "the file is short");
            left -= copied;
        }
        Ok(())
    }

    /// Copies a small file to a new name, by the steps that no copy-up can omit: the copy has the times
    /// and attributes of the original, it is on disk before it gets its name, and the times of its
    /// directory are preserved.
    fn copy_small(&mut self, name: &str) -> Result<OwnedFd> {
        let from = self.open(name, OFlags::RDONLY)?;
        let stat = fstat(&from)?;
        // The list is not used: some attributes are never copied, such as those of a security module.
        flistxattr(&from, &mut self.buffer[..])?;
        let copy = self.create("work/copy")?;
        ensure!(read(&from, &mut self.buffer[..SMALL])? == SMALL);
        ensure!(write(&copy, &self.buffer[..SMALL])? == SMALL);
        futimens(&copy, &times(&stat)?)?;
        fsync(&copy)?;
        self.rename("work/copy", &upper_path(name))?;
        let (work, times) = &self.work;
        futimens(work, times)?;
        Ok(copy)
    }

    /// Creates the whiteout of a file: the least that a removal of a lower file has to do.
    fn create_whiteout(&self, name: &str) -> Result<()> {
        let name = upper_path(name).replace('/', "/.wh.");
        let mode = Mode::from_raw_mode(0o644);
        Ok(mknodat(&self.base, name, FileType::RegularFile, mode, 0)?)
    }

    /// Renames a small file by copy and whiteout.
    fn rename_copied(&mut self, from: &str, to: &str) -> Result<()> {
        self.copy_small(from)?;
        self.create_whiteout(from)?;
        self.rename(&upper_path(from), &upper_path(to))
    }

    fn list(&self, name: &str) -> Result<Vec<(String, FileType)>> {
        let mut names = Vec::new();
        for entry in Dir::new(self.open(name, OFlags::RDONLY | OFlags::DIRECTORY)?)? {
            let entry = entry?;
            let name = entry.file_name().to_str()?;
            if !matches!(name, "." | "..") {
                names.push((name.to_owned(), entry.file_type()));
            }
        }
        Ok(names)
    }

    fn walk(&self, top: &str) -> Result<()> {
        let mut left = vec![top.to_owned()];
        let mut files = 0;
        while let Some(dir) = left.pop() {
            for (name, kind) in self.list(&dir)? {
                let path = format!("{dir}/{name}");
                let stat = statat(&self.base, &path, AtFlags::SYMLINK_NOFOLLOW)?;
                ensure!(FileType::from_raw_mode(stat.st_mode) == kind);
                match kind {
                    FileType::Directory => left.push(path),
                    _ => files += 1,
                }
            }
        }
        ensure!(files == self.size, "{files} files");
        Ok(())
    }
}

/// Converts the times of a file to what `futimens` takes.
fn times(stat: &Stat) -> Result<Timestamps> {
    let at = |tv_sec, nanoseconds| {
        Ok::<_, std::num::TryFromIntError>(Timespec {
            tv_sec,
            tv_nsec: i64::try_from(nanoseconds)?,
        })
    };
    Ok(Timestamps {
        last_access: at(stat.st_atime, stat.st_atime_nsec)?,
        last_modification: at(stat.st_mtime, stat.st_mtime_nsec)?,
    })
}

/// The path in the directory that stands for an upper, for `victims/NAME`.
fn upper_path(name: &str) -> String {
    name.replace("victims/", "work/")
}
