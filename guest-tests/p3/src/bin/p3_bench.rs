//! The benchmark's guest for WASI 0.3.
//!
//! The arguments `WORKLOAD ITERATIONS WARM SIZE` are those of `p1_bench`. With `nothing` it exits at once,
//! and with `one-stat` it stats one file; the host times both. Without arguments, each workload runs
//! once in its own tree.

use guests_p3::bindings::wasi::cli::environment::get_arguments;
use guests_p3::monotonic_clock;
use guests_p3::{
    Descriptor, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags, PathFlags, StreamResult,
    append, open, open_dir, open_write, root, say, sink, write_file,
};
use guests_script::works::{DIRS, FILES, LITTLE, SMALL, STEP, UNPACKED_EACH, WORKS};

guests_p3::command!(run);

async fn run() {
    match &get_arguments()[..] {
        [_, work, iterations, warm, size] => {
            let mut bench = Bench::new(root(), size.parse().expect("a size"));
            bench.prepare(work).await;
            if warm == "hot" {
                bench.run_once(work).await;
            }
            let iterations: u32 = iterations.parse().expect("a number of iterations");
            let start = monotonic_clock::now();
            for _ in 0..iterations {
                bench.run_once(work).await;
            }
            say!("{}", monotonic_clock::now() - start);
        }
        [_, work] if work == "nothing" => {}
        [_, work] if work == "one-stat" => stat(&root(), "a/b/c").await,
        _ => run_each_once().await,
    }
}

async fn run_each_once() {
    let root = root();
    root.create_directory_at("bench")
        .await
        .expect("the name is free");
    let base = open_dir(&root, "bench").await.expect("it was just made");
    for dir in DIRS {
        base.create_directory_at(dir)
            .await
            .expect("the name is free");
    }
    for (name, length) in FILES {
        write_file(&base, name, &vec![7; *length])
            .await
            .expect("there is room");
    }
    let mut bench = Bench::new(base, 0);
    for (work, size) in WORKS.iter().filter(|work| !work.0.ends_with("-at")) {
        bench.size = *size;
        bench.prepare(work).await;
        bench.run_once(work).await;
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
}

impl Bench {
    fn new(base: Descriptor, size: usize) -> Self {
        Self {
            base,
            size,
            held: None,
            used: 0,
            random: 1,
        }
    }

    /// Prepares a workload before the clock starts.
    async fn prepare(&mut self, work: &str) {
        let held = match work {
            "fstat" => "a/b/c",
            "random-read" => "big",
            "rename" => return drop(self.create("work/old").await),
            "remove-unpacked" => return self.unpack("work/unpacked").await,
            "stat-upper" => return self.write("work/made", SMALL).await,
            _ => return,
        };
        self.held = Some(open(&self.base, held).await.expect("it is there"));
    }

    async fn run_once(&mut self, work: &str) {
        match work {
            "get-type" => {
                let type_ = self.base.get_type().await.expect("it is open");
                assert!(matches!(type_, DescriptorType::Directory));
            }
            "stat" => stat(&self.base, "a/b/c").await,
            "deep-stat" => stat(&self.base, "deep/b/c/d/e/f/g/h").await,
            "stat-upper" => stat(&self.base, "work/made").await,
            "missing-stat" => {
                let stat = self
                    .base
                    .stat_at(PathFlags::SYMLINK_FOLLOW, "a/b/none")
                    .await;
                assert_eq!(stat.expect_err("it is not there"), ErrorCode::NoEntry);
            }
            "open-close" => drop(open(&self.base, "a/b/c").await.expect("it is there")),
            "open-read-close" => {
                let file = open(&self.base, "a/b/c").await.expect("it is there");
                assert_eq!(read_page(&file, 0).await, SMALL);
            }
            "fstat" => {
                let stat = self.held().stat().await.expect("it is open");
                assert_eq!(stat.size, SMALL as u64);
            }
            "readdir" => {
                let mut count = 0;
                list(&self.base, &format!("many-{}", self.size), |_| count += 1).await;
                assert_eq!(count, self.size);
            }
            "walk" => assert_eq!(walk(&self.base, "tree").await, self.size),
            "read" => assert_eq!(read(&self.base, "big").await, self.size),
            "write" => {
                self.write("work/big", self.size).await;
                self.unlink("work/big").await;
            }
            "random-read" => {
                let offset = self.offset();
                assert_eq!(read_page(self.held(), offset).await, SMALL);
            }
            "create-write-unlink" => {
                self.write("work/new", SMALL).await;
                self.unlink("work/new").await;
            }
            "rename" => {
                self.rename("work/old", "work/renamed").await;
                self.rename("work/renamed", "work/old").await;
            }
            "mkdir-rmdir" => {
                self.mkdir("work/dir").await;
                self.rmdir("work/dir").await;
            }
            "create" => {
                let name = self.next("work/");
                self.create_empty(&name).await;
            }
            "request" => assert_eq!(self.request("request").await, self.size),
            "unpack" => self.unpack("work/tree").await,
            "remove-unpacked" => {
                // The files, a directory for each ten of them, and the root of the tree.
                let dirs = self.size.div_ceil(UNPACKED_EACH);
                assert_eq!(
                    self.remove_tree("work/unpacked").await,
                    self.size + dirs + 1
                );
            }
            "remove-tree" => assert_eq!(self.remove_tree("removed").await, self.size),
            "rename-dir" => self.rename("moved", "moved-renamed").await,
            "append-spread" => {
                let name = self.next("spread/dir-") + "/file";
                self.append(&name).await;
            }
            "rename-spread" => {
                let name = self.next("spread/dir-") + "/file";
                self.rename(&name, &format!("{name}.renamed")).await;
            }
            "append-lower" | "append-copied" => {
                let name = self.next("victims/");
                self.append(&name).await;
            }
            "unlink-lower" | "unlink-marked" => {
                let name = self.next("victims/");
                self.unlink(&name).await;
            }
            "rename-lower" | "rename-copied" => {
                let name = self.next("victims/");
                self.rename(&name, &format!("{name}-renamed")).await;
            }
            "copy-up-large" => self.append("large").await,
            other => panic!("no such work: {other}"),
        }
    }

    async fn unlink(&self, name: &str) {
        self.base.unlink_file_at(name).await.expect("it is there");
    }

    async fn rename(&self, from: &str, to: &str) {
        let renamed = self.base.rename_at(from, &self.base, to).await;
        renamed.expect("it is there");
    }

    async fn append(&self, name: &str) {
        let file = open_write(&self.base, name, OpenFlags::empty()).await;
        let written = append(&file.expect("it is there"), &[7; 16]).await;
        assert_eq!(written.expect("there is room"), 16);
    }

    fn held(&self) -> &Descriptor {
        self.held.as_ref().expect("it was prepared")
    }

    async fn mkdir(&self, name: &str) {
        let made = self.base.create_directory_at(name).await;
        made.expect("the name is free");
    }

    async fn rmdir(&self, name: &str) {
        let removed = self.base.remove_directory_at(name).await;
        removed.expect("it is empty");
    }

    async fn create_empty(&self, name: &str) {
        drop(self.create(name).await);
    }

    /// Lists a directory: each name, and whether it is a directory.
    async fn names(&self, name: &str) -> Vec<(String, bool)> {
        let mut names = Vec::new();
        list(&self.base, name, |entry| {
            names.push((entry.name, matches!(entry.type_, DescriptorType::Directory)));
        })
        .await;
        names
    }

    async fn write_little(&self, name: &str) {
        self.write(name, LITTLE).await;
    }

    async fn read_little(&self, name: &str) {
        assert_eq!(read(&self.base, name).await, LITTLE);
    }

    /// Creates as many files as an iteration expects.
    async fn unpack(&self, top: &str) {
        self.mkdir(top).await;
        for file in 0..self.size {
            let dir = format!("{top}/dir-{:03}", file / UNPACKED_EACH);
            if file % UNPACKED_EACH == 0 {
                self.mkdir(&dir).await;
            }
            self.write_little(&format!("{dir}/file-{file:04}")).await;
        }
    }

    /// Removes a directory and its content; returns the number of names removed.
    async fn remove_tree(&self, top: &str) -> usize {
        let mut dirs = vec![top.to_owned()];
        let mut next = 0;
        let mut files = 0;
        while let Some(dir) = dirs.get(next).cloned() {
            next += 1;
            for (name, is_dir) in self.names(&dir).await {
                let path = format!("{dir}/{name}");
                if is_dir {
                    dirs.push(path);
                } else {
                    self.unlink(&path).await;
                    files += 1;
                }
            }
        }
        for dir in dirs.iter().rev() {
            self.rmdir(dir).await;
        }
        files + dirs.len()
    }

    /// Reads every file below a directory; returns their number.
    async fn request(&self, top: &str) -> usize {
        let mut left = vec![top.to_owned()];
        let mut files = 0;
        while let Some(dir) = left.pop() {
            for (name, is_dir) in self.names(&dir).await {
                let path = format!("{dir}/{name}");
                if is_dir {
                    left.push(path);
                } else {
                    self.read_little(&path).await;
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

    async fn create(&self, name: &str) -> Descriptor {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let file = open_write(&self.base, name, how).await;
        file.expect("the name is free")
    }

    /// Creates a file and writes it through a stream.
    async fn write(&self, name: &str, length: usize) {
        let file = self.create(name).await;
        let (mut writer, ended) = sink(&file, Some(0));
        let mut left = length;
        // One buffer is reused. It comes back empty, and is filled with the same bytes again.
        let mut buffer = vec![7; STEP.min(length)];
        while left > 0 {
            let step = buffer.len();
            let unwritten = writer.write_all(buffer).await;
            assert!(unwritten.is_empty(), "there is room");
            buffer = unwritten;
            left -= step;
            buffer.resize(STEP.min(left), 7);
        }
        drop(writer);
        ended.await.expect("there is room");
    }
}

async fn stat(base: &Descriptor, name: &str) {
    let stat = base.stat_at(PathFlags::SYMLINK_FOLLOW, name).await;
    assert_eq!(stat.expect("it is there").size, SMALL as u64);
}

/// Reads a page through a new stream: WASI 0.3 has no other way.
async fn read_page(file: &Descriptor, offset: u64) -> usize {
    let (mut stream, _) = file.read_via_stream(offset);
    let (_, data) = stream.read(Vec::with_capacity(SMALL)).await;
    data.len()
}

async fn list(base: &Descriptor, name: &str, mut each: impl FnMut(DirectoryEntry)) {
    let dir = open_dir(base, name).await.expect("it is there");
    let (mut stream, ended) = dir.read_directory();
    let mut buffer = Vec::with_capacity(128);
    loop {
        let result;
        (result, buffer) = stream.read(buffer).await;
        for entry in buffer.drain(..) {
            assert!(!entry.name.is_empty());
            each(entry);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    ended.await.expect("it can be listed");
}

/// Lists every directory below one and stats every name; returns the number of files.
async fn walk(base: &Descriptor, top: &str) -> usize {
    let mut left = vec![top.to_owned()];
    let mut files = 0;
    while let Some(dir) = left.pop() {
        let mut entries = Vec::new();
        list(base, &dir, |entry| entries.push(entry)).await;
        for entry in entries {
            let path = format!("{dir}/{}", entry.name);
            let stat = base.stat_at(PathFlags::empty(), &path).await;
            assert_eq!(stat.expect("it is there").type_, entry.type_);
            match entry.type_ {
                DescriptorType::Directory => left.push(path),
                _ => files += 1,
            }
        }
    }
    files
}

async fn read(base: &Descriptor, name: &str) -> usize {
    let file = open(base, name).await.expect("it is there");
    let (mut stream, ended) = file.read_via_stream(0);
    let mut total = 0;
    let mut buffer = Vec::with_capacity(STEP);
    loop {
        let result;
        (result, buffer) = stream.read(buffer).await;
        total += buffer.len();
        buffer.clear();
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    ended.await.expect("it can be read");
    total
}
