//! The benchmark's guest for WASI 0.2.
//!
//! The arguments `WORKLOAD ITERATIONS WARM SIZE` are those of `p1_bench`. With `nothing` it exits at once,
//! and with `one-stat` it stats one file; the host times both. Without arguments, each workload runs
//! once in its own tree.

use guests_p2::bindings::wasi::cli::environment::get_arguments;
use guests_p2::bindings::wasi::clocks::monotonic_clock;
use guests_p2::bindings::wasi::filesystem::types::DirectoryEntry;
use guests_p2::{
    Descriptor, DescriptorType, ErrorCode, OpenFlags, PathFlags, StreamError, open, open_dir,
    open_write, root, say, write_file,
};
use guests_script::works::{DIRS, FILES, LITTLE, SMALL, STEP, UNPACKED_EACH, WORKS};

guests_p2::command!(run);

fn run() {
    match &get_arguments()[..] {
        [_, work, iterations, warm, size] => {
            let mut bench = Bench::new(root(), size.parse().expect("a size"));
            bench.prepare(work);
            if warm == "hot" {
                bench.run_once(work);
            }
            let iterations: u32 = iterations.parse().expect("a number of iterations");
            let start = monotonic_clock::now();
            for _ in 0..iterations {
                bench.run_once(work);
            }
            say!("{}", monotonic_clock::now() - start);
        }
        [_, work] if work == "nothing" => {}
        [_, work] if work == "one-stat" => stat(&root(), "a/b/c"),
        _ => run_each_once(),
    }
}

fn run_each_once() {
    let root = root();
    root.create_directory_at("bench").expect("the name is free");
    let base = open_dir(&root, "bench").expect("it was just made");
    for dir in DIRS {
        base.create_directory_at(dir).expect("the name is free");
    }
    for (name, length) in FILES {
        write_file(&base, name, &vec![7; *length]).expect("there is room");
    }
    let mut bench = Bench::new(base, 0);
    for (work, size) in WORKS {
        bench.size = *size;
        bench.prepare(work);
        bench.run_once(work);
        say!("{work}: done");
    }
}

/// The state of the benchmark: the tree and the data to write.
struct Bench {
    base: Descriptor,
    /// The size that an iteration expects: bytes, entries or files.
    size: usize,
    /// A file that stays open between iterations.
    held: Option<Descriptor>,
    /// Number of names used so far.
    used: u32,
    /// State of the random number generator.
    random: u64,
    data: Vec<u8>,
}

impl Bench {
    fn new(base: Descriptor, size: usize) -> Self {
        Self {
            base,
            size,
            held: None,
            used: 0,
            random: 1,
            data: vec![7; STEP],
        }
    }

    /// Prepares a workload before the clock starts.
    fn prepare(&mut self, work: &str) {
        let held = match work {
            "fstat" => "a/b/c",
            "random-read" | "random-read-at" => "big",
            "rename" => return drop(self.create("work/old")),
            "remove-unpacked" => return self.unpack("work/unpacked"),
            "stat-upper" => return self.write("work/made", SMALL),
            _ => return,
        };
        self.held = Some(open(&self.base, held).expect("it is there"));
    }

    fn run_once(&mut self, work: &str) {
        match work {
            "get-type" => {
                let type_ = self.base.get_type().expect("it is open");
                assert_eq!(type_, DescriptorType::Directory);
            }
            "stat" => stat(&self.base, "a/b/c"),
            "deep-stat" => stat(&self.base, "deep/b/c/d/e/f/g/h"),
            "stat-upper" => stat(&self.base, "work/made"),
            "missing-stat" => {
                let stat = self.base.stat_at(PathFlags::SYMLINK_FOLLOW, "a/b/none");
                assert_eq!(stat.expect_err("it is not there"), ErrorCode::NoEntry);
            }
            "open-close" => drop(open(&self.base, "a/b/c").expect("it is there")),
            "open-read-close" => {
                let file = open(&self.base, "a/b/c").expect("it is there");
                assert_eq!(read_page(&file, 0), SMALL);
            }
            "fstat" => {
                let stat = self.held().stat().expect("it is open");
                assert_eq!(stat.size, SMALL as u64);
            }
            "readdir" => {
                let mut count = 0;
                list(&self.base, &format!("many-{}", self.size), |_| count += 1);
                assert_eq!(count, self.size);
            }
            "walk" => assert_eq!(walk(&self.base, "tree"), self.size),
            "read" => assert_eq!(read(&self.base, "big"), self.size),
            "write" => {
                self.write("work/big", self.size);
                self.unlink("work/big");
            }
            "read-at" => assert_eq!(self.read_at("big"), self.size),
            "write-at" => {
                self.write_at("work/big", self.size);
                self.unlink("work/big");
            }
            "random-read-at" => {
                let offset = self.offset();
                let (data, _) = self.held().read(SMALL as u64, offset).expect("it has data");
                assert_eq!(data.len(), SMALL);
            }
            "random-read" => {
                let offset = self.offset();
                assert_eq!(read_page(self.held(), offset), SMALL);
            }
            "create-write-unlink" => {
                self.write("work/new", SMALL);
                self.unlink("work/new");
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
                self.unlink(&name);
            }
            "rename-lower" | "rename-copied" => {
                let name = self.next("victims/");
                self.rename(&name, &format!("{name}-renamed"));
            }
            "copy-up-large" => self.append("large"),
            other => panic!("no such work: {other}"),
        }
    }

    fn unlink(&self, name: &str) {
        self.base.unlink_file_at(name).expect("it is there");
    }

    fn rename(&self, from: &str, to: &str) {
        let renamed = self.base.rename_at(from, &self.base, to);
        renamed.expect("it is there");
    }

    fn append(&self, name: &str) {
        let file = open_write(&self.base, name, OpenFlags::empty()).expect("it is there");
        let stream = file.append_via_stream().expect("it can be written");
        let written = stream.blocking_write_and_flush(&self.data[..16]);
        written.expect("there is room");
    }

    fn held(&self) -> &Descriptor {
        self.held.as_ref().expect("it was prepared")
    }

    fn mkdir(&self, name: &str) {
        self.base
            .create_directory_at(name)
            .expect("the name is free");
    }

    fn rmdir(&self, name: &str) {
        self.base.remove_directory_at(name).expect("it is empty");
    }

    fn create_empty(&self, name: &str) {
        drop(self.create(name));
    }

    /// Lists a directory: each name, and whether it is a directory.
    fn names(&self, name: &str) -> Vec<(String, bool)> {
        let mut names = Vec::new();
        list(&self.base, name, |entry| {
            names.push((entry.name, entry.type_ == DescriptorType::Directory));
        });
        names
    }

    fn write_little(&self, name: &str) {
        self.write(name, LITTLE);
    }

    fn read_little(&self, name: &str) {
        assert_eq!(read(&self.base, name), LITTLE);
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
    fn remove_tree(&self, top: &str) -> usize {
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
    fn request(&self, top: &str) -> usize {
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

    fn create(&self, name: &str) -> Descriptor {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        open_write(&self.base, name, how).expect("the name is free")
    }

    /// Creates a file and writes as wasi-libc does: as much as the stream accepts, with a flush at the end.
    fn write(&self, name: &str, length: usize) {
        let file = self.create(name);
        let stream = file.write_via_stream(0).expect("it can be written");
        let mut left = length;
        while left > 0 {
            let takes = stream.check_write().expect("there is room");
            if takes == 0 {
                stream.subscribe().block();
                continue;
            }
            let step = left.min(STEP).min(usize::try_from(takes).unwrap_or(STEP));
            stream.write(&self.data[..step]).expect("there is room");
            left -= step;
        }
        stream.blocking_flush().expect("there is room");
    }

    /// Creates a file and writes without a stream.
    fn write_at(&self, name: &str, length: usize) {
        let file = self.create(name);
        let mut done = 0;
        while done < length {
            let step = &self.data[..STEP.min(length - done)];
            let count = file.write(step, done as u64).expect("there is room");
            done += usize::try_from(count).expect("no more than was passed");
        }
    }

    /// Reads without a stream.
    fn read_at(&self, name: &str) -> usize {
        let file = open(&self.base, name).expect("it is there");
        let mut total = 0;
        loop {
            let step = file.read(STEP as u64, total as u64);
            let (data, end) = step.expect("it can be read");
            total += data.len();
            if end || data.is_empty() {
                return total;
            }
        }
    }
}

fn stat(base: &Descriptor, name: &str) {
    let stat = base.stat_at(PathFlags::SYMLINK_FOLLOW, name);
    assert_eq!(stat.expect("it is there").size, SMALL as u64);
}

/// Reads a page through a new stream, as wasi-libc does after a seek.
fn read_page(file: &Descriptor, offset: u64) -> usize {
    let stream = file.read_via_stream(offset).expect("it can be read");
    let data = stream.blocking_read(SMALL as u64).expect("it has data");
    data.len()
}

fn list(base: &Descriptor, name: &str, mut each: impl FnMut(DirectoryEntry)) {
    let dir = open_dir(base, name).expect("it is there");
    let entries = dir.read_directory().expect("it can be listed");
    while let Some(entry) = entries.read_directory_entry().expect("it can be listed") {
        assert!(!entry.name.is_empty());
        each(entry);
    }
}

/// Lists every directory below one and stats every name; returns the number of files.
fn walk(base: &Descriptor, top: &str) -> usize {
    let mut left = vec![top.to_owned()];
    let mut files = 0;
    while let Some(dir) = left.pop() {
        let mut entries = Vec::new();
        list(base, &dir, |entry| entries.push(entry));
        for entry in entries {
            let path = format!("{dir}/{}", entry.name);
            let stat = base.stat_at(PathFlags::empty(), &path);
            assert_eq!(stat.expect("it is there").type_, entry.type_);
            match entry.type_ {
                DescriptorType::Directory => left.push(path),
                _ => files += 1,
            }
        }
    }
    files
}

fn read(base: &Descriptor, name: &str) -> usize {
    let file = open(base, name).expect("it is there");
    let stream = file.read_via_stream(0).expect("it can be read");
    let mut total = 0;
    loop {
        match stream.blocking_read(STEP as u64) {
            Ok(data) => total += data.len(),
            Err(StreamError::Closed) => return total,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
}
