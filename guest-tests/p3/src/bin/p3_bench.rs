//! What the benchmark times: with the arguments `WORK TURNS` it works in the benchmark's tree
//! and prints nanoseconds. With `nothing` it does nothing, and with `one-stat` it looks at one
//! file: that is timed from outside. Without arguments it does each work once in a tree of its own.

use guests_p3::bindings::wasi::cli::environment::get_arguments;
use guests_p3::monotonic_clock;
use guests_p3::{
    Descriptor, ErrorCode, OpenFlags, PathFlags, StreamResult, open, open_dir, open_write, root,
    say, sink, write_file,
};

guests_p3::command!(run);

/// Bytes that are read and written at a time.
const STEP: usize = 64 * 1024;

/// Bytes in the file that is read and written from end to end.
const BIG: usize = 256 << 20;

/// Entries of `many`.
const ENTRIES: usize = 1000;

async fn run() {
    match &get_arguments()[..] {
        [_, work, turns] => {
            let bench = Bench::new(root(), BIG, ENTRIES);
            let turns: u32 = turns.parse().expect("a number of turns");
            let start = monotonic_clock::now();
            for _ in 0..turns {
                bench.turn(work).await;
            }
            say!("{}", monotonic_clock::now() - start);
        }
        [_, work] if work == "nothing" => {}
        [_, work] if work == "one-stat" => stat(&root()).await,
        _ => on_its_own().await,
    }
}

async fn on_its_own() {
    let root = root();
    root.create_directory_at("bench")
        .await
        .expect("the name is free");
    let base = open_dir(&root, "bench").await.expect("it was just made");
    for dir in ["a", "a/b", "many", "many/entry", "work"] {
        base.create_directory_at(dir)
            .await
            .expect("the name is free");
    }
    let data = [7; 3 * STEP];
    write_file(&base, "a/b/c", &data[..4096])
        .await
        .expect("there is room");
    write_file(&base, "big", &data)
        .await
        .expect("there is room");
    let bench = Bench::new(base, data.len(), 1);
    for work in [
        "stat",
        "missing-stat",
        "open-read-close",
        "readdir",
        "read",
        "write",
        "create-write-unlink",
    ] {
        bench.turn(work).await;
        say!("{work}: done");
    }
}

/// A tree, and what is written to it.
struct Bench {
    base: Descriptor,
    big: usize,
    entries: usize,
}

impl Bench {
    fn new(base: Descriptor, big: usize, entries: usize) -> Self {
        Self { base, big, entries }
    }

    async fn turn(&self, work: &str) {
        let base = &self.base;
        match work {
            "stat" => stat(base).await,
            "missing-stat" => {
                let stat = base.stat_at(PathFlags::SYMLINK_FOLLOW, "a/b/none").await;
                assert_eq!(stat.expect_err("it is not there"), ErrorCode::NoEntry);
            }
            "open-read-close" => {
                let file = open(base, "a/b/c").await.expect("it is there");
                let (mut stream, _) = file.read_via_stream(0);
                let (_, data) = stream.read(Vec::with_capacity(4096)).await;
                assert_eq!(data.len(), 4096);
            }
            "readdir" => assert_eq!(list(base, "many").await, self.entries),
            "read" => assert_eq!(read(base, "big").await, self.big),
            "write" => {
                self.write("work/big", self.big).await;
                base.unlink_file_at("work/big").await.expect("it is there");
            }
            "create-write-unlink" => {
                self.write("work/new", 4096).await;
                base.unlink_file_at("work/new").await.expect("it is there");
            }
            other => panic!("no such work: {other}"),
        }
    }

    /// Makes a file and writes it by a stream.
    async fn write(&self, name: &str, length: usize) {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let file = open_write(&self.base, name, how)
            .await
            .expect("the name is free");
        let (mut writer, ended) = sink(&file, Some(0));
        let mut left = length;
        // The same bytes each time, and one buffer: it comes back with nothing in it.
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

async fn stat(base: &Descriptor) {
    let stat = base.stat_at(PathFlags::SYMLINK_FOLLOW, "a/b/c").await;
    assert_eq!(stat.expect("it is there").size, 4096);
}

async fn list(base: &Descriptor, name: &str) -> usize {
    let dir = open_dir(base, name).await.expect("it is there");
    let (mut stream, ended) = dir.read_directory();
    let mut count = 0;
    let mut buffer = Vec::with_capacity(128);
    loop {
        let result;
        (result, buffer) = stream.read(buffer).await;
        for entry in buffer.drain(..) {
            assert!(!entry.name.is_empty());
            count += 1;
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    ended.await.expect("it can be listed");
    count
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
