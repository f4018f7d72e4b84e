//! The benchmark's guest for WASI 0.1.
//!
//! `p1_bench WORKLOAD ITERATIONS WARM SIZE` runs a workload in the benchmark's tree and prints
//! nanoseconds. If WARM is `hot`, one iteration runs before the clock starts. SIZE is what an
//! iteration expects: bytes, entries or files. Without arguments, each workload runs once in its own
//! tree.

use guests_p1::{ROOT, raw, wasi};
use guests_script::works::{DIRS, FILES, LITTLE, SMALL, STEP, UNPACKED_EACH, WORKS};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [work, iterations, warm, size] => {
            let size = size.parse().expect("a size");
            let mut bench = Bench::new(ROOT, size);
            bench.prepare(work);
            if warm == "hot" {
                bench.run_once(work);
            }
            let iterations: u32 = iterations.parse().expect("a number of iterations");
            let start = Instant::now();
            for _ in 0..iterations {
                bench.run_once(work);
            }
            println!("{}", start.elapsed().as_nanos());
        }
        _ => run_each_once(),
    }
}

fn run_each_once() {
    raw::mkdir(ROOT, "bench").expect("the name is free");
    let base = raw::open_dir(ROOT, "bench").expect("it was just made");
    for dir in DIRS {
        raw::mkdir(base, dir).expect("the name is free");
    }
    for (name, length) in FILES {
        let file = raw::open_write(base, name, wasi::OFLAGS_CREAT).expect("a file can be made");
        raw::write(file, &vec![7; *length]).expect("there is room");
        raw::close(file).expect("it is open");
    }
    let mut bench = Bench::new(base, 0);
    for (work, size) in WORKS {
        bench.size = *size;
        bench.prepare(work);
        bench.run_once(work);
        println!("{work}: done");
    }
}

/// The state of the benchmark: the tree and a buffer for reads.
struct Bench {
    base: wasi::Fd,
    /// The size that an iteration expects: bytes, entries or files.
    size: usize,
    /// A file that stays open between iterations.
    held: Option<wasi::Fd>,
    /// Number of names used so far.
    used: u32,
    /// State of the random number generator.
    random: u64,
    buffer: Vec<u8>,
}

impl Bench {
    fn new(base: wasi::Fd, size: usize) -> Self {
        Self {
            base,
            size,
            held: None,
            used: 0,
            random: 1,
            buffer: vec![7; STEP],
        }
    }

    /// Prepares a workload before the clock starts.
    fn prepare(&mut self, work: &str) {
        let held = match work {
            "fstat" => "a/b/c",
            "random-read" | "random-read-at" => "big",
            "rename" => {
                let file = self.create("work/old");
                return raw::close(file).expect("it is open");
            }
            "remove-unpacked" => return self.unpack("work/unpacked"),
            "stat-upper" => {
                let file = self.create("work/made");
                self.write(file, SMALL);
                return raw::close(file).expect("it is open");
            }
            _ => return,
        };
        self.held = Some(raw::open_read(self.base, held).expect("it is there"));
    }

    fn run_once(&mut self, work: &str) {
        match work {
            "get-type" => {
                // SAFETY: the call writes only its return value.
                let type_ = unsafe { wasi::fd_prestat_get(ROOT) }.expect("it is a preopen");
                assert_eq!(type_.tag, wasi::PREOPENTYPE_DIR.raw());
            }
            "stat" => self.stat("a/b/c"),
            "deep-stat" => self.stat("deep/b/c/d/e/f/g/h"),
            "stat-upper" => self.stat("work/made"),
            "missing-stat" => {
                let error = raw::stat(self.base, "a/b/none", true).expect_err("it is not there");
                assert_eq!(error, wasi::ERRNO_NOENT);
            }
            "open-close" => {
                let file = raw::open_read(self.base, "a/b/c").expect("it is there");
                raw::close(file).expect("it is open");
            }
            "open-read-close" => {
                let file = raw::open_read(self.base, "a/b/c").expect("it is there");
                assert_eq!(self.read(file, SMALL), SMALL);
                raw::close(file).expect("it is open");
            }
            "fstat" => {
                let stat = raw::fstat(self.held()).expect("it is open");
                assert_eq!(stat.size, SMALL as u64);
            }
            "readdir" => {
                let mut count = 0;
                self.list(&format!("many-{}", self.size), |_, _| count += 1);
                assert_eq!(count, self.size);
            }
            "walk" => assert_eq!(self.walk("tree"), self.size),
            "read" => {
                let file = raw::open_read(self.base, "big").expect("it is there");
                let mut total = 0;
                loop {
                    match self.read(file, STEP) {
                        0 => break,
                        count => total += count,
                    }
                }
                assert_eq!(total, self.size);
                raw::close(file).expect("it is open");
            }
            "write" => {
                let file = self.create("work/big");
                for _ in 0..self.size / STEP {
                    self.write(file, STEP);
                }
                raw::close(file).expect("it is open");
                raw::unlink(self.base, "work/big").expect("it is there");
            }
            "read-at" => {
                let file = raw::open_read(self.base, "big").expect("it is there");
                let mut total = 0;
                loop {
                    match self.read_at(file, STEP, total as u64) {
                        0 => break,
                        count => total += count,
                    }
                }
                assert_eq!(total, self.size);
                raw::close(file).expect("it is open");
            }
            "write-at" => {
                let file = self.create("work/big");
                for step in 0..self.size / STEP {
                    self.write_at(file, STEP, (step * STEP) as u64);
                }
                raw::close(file).expect("it is open");
                raw::unlink(self.base, "work/big").expect("it is there");
            }
            "random-read" => {
                let (file, offset) = (self.held(), self.offset());
                let offset = i64::try_from(offset).expect("no file is that long");
                // SAFETY: a call to the host.
                unsafe { wasi::fd_seek(file, offset, wasi::WHENCE_SET) }.expect("it is a file");
                assert_eq!(self.read(file, SMALL), SMALL);
            }
            "random-read-at" => {
                let (file, offset) = (self.held(), self.offset());
                assert_eq!(self.read_at(file, SMALL, offset), SMALL);
            }
            "create-write-unlink" => {
                let file = self.create("work/new");
                self.write(file, SMALL);
                raw::close(file).expect("it is open");
                raw::unlink(self.base, "work/new").expect("it is there");
            }
            "rename" => {
                self.rename("work/old", "work/renamed");
                self.rename("work/renamed", "work/old");
            }
            "mkdir-rmdir" => {
                self.mkdir("work/dir");
                self.rmdir("work/dir");
            }
            "create" => {
                let name = self.next("work/");
                self.create_empty(&name);
            }
            "request" => assert_eq!(self.request("request"), self.size),
            "unpack" => self.unpack("work/tree"),
            "remove-unpacked" => {
                // The files, a directory for each ten of them, and the root of the tree.
                let dirs = self.size.div_ceil(UNPACKED_EACH);
                assert_eq!(self.remove_tree("work/unpacked"), self.size + dirs + 1);
            }
            "remove-tree" => assert_eq!(self.remove_tree("removed"), self.size),
            "rename-dir" => self.rename("moved", "moved-renamed"),
            "append-spread" => {
                let name = self.next("spread/dir-") + "/file";
                self.append(&name);
            }
            "rename-spread" => {
                let name = self.next("spread/dir-") + "/file";
                self.rename(&name, &format!("{name}.renamed"));
            }
            "append-lower" | "append-copied" => {
                let name = self.next("victims/");
                self.append(&name);
            }
            "unlink-lower" | "unlink-marked" => {
                let name = self.next("victims/");
                raw::unlink(self.base, &name).expect("it is there");
            }
            "rename-lower" | "rename-copied" => {
                let name = self.next("victims/");
                self.rename(&name, &format!("{name}-renamed"));
            }
            "copy-up-large" => self.append("large"),
            other => panic!("no such work: {other}"),
        }
    }

    fn stat(&self, name: &str) {
        let stat = raw::stat(self.base, name, true).expect("it is there");
        assert_eq!(stat.size, SMALL as u64);
    }

    fn rename(&self, from: &str, to: &str) {
        raw::rename(self.base, from, self.base, to).expect("it is there");
    }

    fn append(&self, name: &str) {
        let (rights, flags) = (wasi::RIGHTS_FD_WRITE, wasi::FDFLAGS_APPEND);
        let file = raw::open(self.base, name, true, 0, rights, flags).expect("it is there");
        self.write(file, 16);
        raw::close(file).expect("it is open");
    }

    fn held(&self) -> wasi::Fd {
        self.held.expect("it was prepared")
    }

    fn mkdir(&self, name: &str) {
        raw::mkdir(self.base, name).expect("the name is free");
    }

    fn rmdir(&self, name: &str) {
        raw::rmdir(self.base, name).expect("it is empty");
    }

    fn create_empty(&self, name: &str) {
        raw::close(self.create(name)).expect("it is open");
    }

    /// Lists a directory: each name, and whether it is a directory.
    fn names(&mut self, name: &str) -> Vec<(String, bool)> {
        let mut names = Vec::new();
        self.list(name, |name, kind| {
            let name = std::str::from_utf8(name).expect("names are text");
            names.push((name.to_owned(), kind == wasi::FILETYPE_DIRECTORY.raw()));
        });
        names
    }

    fn write_little(&self, name: &str) {
        let file = self.create(name);
        self.write(file, LITTLE);
        raw::close(file).expect("it is open");
    }

    fn read_little(&mut self, name: &str) {
        let file = raw::open_read(self.base, name).expect("it is there");
        assert_eq!(self.read(file, LITTLE + 1), LITTLE);
        raw::close(file).expect("it is open");
    }

    fn unlink(&self, name: &str) {
        raw::unlink(self.base, name).expect("it is there");
    }

    /// Creates as many files as an iteration expects.
    fn unpack(&self, top: &str) {
        self.mkdir(top);
        for file in 0..self.size {
            let dir = format!("{top}/dir-{:03}", file / UNPACKED_EACH);
            if file % UNPACKED_EACH == 0 {
                self.mkdir(&dir);
            }
            self.write_little(&format!("{dir}/file-{file:04}"));
        }
    }

    /// Removes a directory and its content; returns the number of names removed.
    fn remove_tree(&mut self, top: &str) -> usize {
        let mut dirs = vec![top.to_owned()];
        let mut next = 0;
        let mut files = 0;
        while let Some(dir) = dirs.get(next).cloned() {
            next += 1;
            for (name, is_dir) in self.names(&dir) {
                let path = format!("{dir}/{name}");
                if is_dir {
                    dirs.push(path);
                } else {
                    self.unlink(&path);
                    files += 1;
                }
            }
        }
        for dir in dirs.iter().rev() {
            self.rmdir(dir);
        }
        files + dirs.len()
    }

    /// Reads every file below a directory; returns their number.
    fn request(&mut self, top: &str) -> usize {
        let mut left = vec![top.to_owned()];
        let mut files = 0;
        while let Some(dir) = left.pop() {
            for (name, is_dir) in self.names(&dir) {
                let path = format!("{dir}/{name}");
                if is_dir {
                    left.push(path);
                } else {
                    self.read_little(&path);
                    files += 1;
                }
            }
        }
        files
    }

    /// The next unused name.
    fn next(&mut self, prefix: &str) -> String {
        self.used += 1;
        format!("{prefix}{:04}", self.used - 1)
    }

    /// The offset of the next random page of the file.
    fn offset(&mut self) -> u64 {
        // The constants of Knuth's MMIX. Only the upper bits are random enough.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005);
        self.random = self.random.wrapping_add(1_442_695_040_888_963_407);
        let pages = (self.size / SMALL) as u64;
        (self.random >> 33) % pages * SMALL as u64
    }

    /// Lists every directory below one and stats every name; returns the number of files.
    fn walk(&mut self, top: &str) -> usize {
        let mut left = vec![top.to_owned()];
        let mut files = 0;
        while let Some(dir) = left.pop() {
            let mut names = Vec::new();
            self.list(&dir, |name, kind| {
                let name = std::str::from_utf8(name).expect("names are text");
                names.push((format!("{dir}/{name}"), kind));
            });
            for (path, kind) in names {
                let stat = raw::stat(self.base, &path, false).expect("it is there");
                assert_eq!(stat.filetype.raw(), kind);
                if kind == wasi::FILETYPE_DIRECTORY.raw() {
                    left.push(path);
                } else {
                    files += 1;
                }
            }
        }
        files
    }

    fn create(&self, name: &str) -> wasi::Fd {
        let how = wasi::OFLAGS_CREAT | wasi::OFLAGS_EXCL;
        raw::open_write(self.base, name, how).expect("the name is free")
    }

    /// Reads up to `length` bytes into the buffer, which [`raw::read`] would allocate on each call.
    fn into(&mut self, length: usize) -> wasi::Iovec {
        wasi::Iovec {
            buf: self.buffer.as_mut_ptr(),
            buf_len: length.min(self.buffer.len()),
        }
    }

    fn read(&mut self, file: wasi::Fd, length: usize) -> usize {
        let into = self.into(length);
        // SAFETY: the vector has the length of the buffer, which outlives the call.
        unsafe { wasi::fd_read(file, &[into]) }.expect("it can be read")
    }

    fn read_at(&mut self, file: wasi::Fd, length: usize, offset: u64) -> usize {
        let into = self.into(length);
        // SAFETY: as for `read`.
        unsafe { wasi::fd_pread(file, &[into], offset) }.expect("it can be read")
    }

    fn write(&self, file: wasi::Fd, length: usize) {
        let written = raw::write(file, &self.buffer[..length]).expect("there is room");
        assert_eq!(written, length);
    }

    fn write_at(&self, file: wasi::Fd, length: usize, offset: u64) {
        let data = &self.buffer[..length];
        let written = raw::pwrite(file, data, offset).expect("there is room");
        assert_eq!(written, length);
    }

    /// Lists a directory as wasi-libc does: 4 KiB at a time, continuing after the last complete entry.
    /// Passes on each name and its type.
    fn list(&mut self, name: &str, mut each: impl FnMut(&[u8], u8)) {
        const PAGE: usize = 4096;
        let dir = raw::open_dir(self.base, name).expect("it is there");
        let mut cookie = 0;
        let mut page = [0; PAGE];
        loop {
            let page = &mut page[..];
            // SAFETY: the length is that of the buffer, which outlives the call.
            let used = unsafe { wasi::fd_readdir(dir, page.as_mut_ptr(), PAGE, cookie) }
                .expect("it can be listed");
            let mut rest = &page[..used];
            // The layout: next cookie, inode number, length of the name, type, and the name.
            while let Some((header, after)) = rest.split_at_checked(24) {
                let next = u64::from_le_bytes(header[..8].try_into().expect("eight bytes"));
                let length = u32::from_le_bytes(header[16..20].try_into().expect("four bytes"));
                let Some((name, after)) = after.split_at_checked(length as usize) else {
                    break;
                };
                if name != b"." && name != b".." {
                    each(name, header[20]);
                }
                cookie = next;
                rest = after;
            }
            if used < PAGE {
                break;
            }
        }
        raw::close(dir).expect("it is open");
    }
}
