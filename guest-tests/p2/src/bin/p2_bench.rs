//! What the benchmark times: with the arguments `WORK TURNS` it works in the benchmark's tree
//! and prints nanoseconds. With `nothing` it does nothing, and with `one-stat` it looks at one
//! file: that is timed from outside. Without arguments it does each work once in a tree of its own.

use guests_p2::bindings::wasi::cli::environment::get_arguments;
use guests_p2::bindings::wasi::clocks::monotonic_clock;
use guests_p2::{
    Descriptor, ErrorCode, OpenFlags, PathFlags, StreamError, open, open_dir, open_write, root,
    say, write_file,
};

guests_p2::command!(run);

/// Bytes that are read and written at a time.
const STEP: usize = 64 * 1024;

/// Bytes in the file that is read and written from end to end.
const BIG: usize = 256 << 20;

/// Entries of `many`.
const ENTRIES: usize = 1000;

fn run() {
    match &get_arguments()[..] {
        [_, work, turns] => {
            let bench = Bench::new(root(), BIG, ENTRIES);
            let turns: u32 = turns.parse().expect("a number of turns");
            let start = monotonic_clock::now();
            for _ in 0..turns {
                bench.turn(work);
            }
            say!("{}", monotonic_clock::now() - start);
        }
        [_, work] if work == "nothing" => {}
        [_, work] if work == "one-stat" => stat(&root()),
        _ => on_its_own(),
    }
}

fn on_its_own() {
    let root = root();
    root.create_directory_at("bench").expect("the name is free");
    let base = open_dir(&root, "bench").expect("it was just made");
    for dir in ["a", "a/b", "many", "many/entry", "work"] {
        base.create_directory_at(dir).expect("the name is free");
    }
    write_file(&base, "a/b/c", &[7; 4096]).expect("there is room");
    write_file(&base, "big", &[7; 3 * STEP]).expect("there is room");
    let bench = Bench::new(base, 3 * STEP, 1);
    for work in [
        "stat",
        "missing-stat",
        "open-read-close",
        "readdir",
        "read",
        "write",
        "read-at",
        "write-at",
        "create-write-unlink",
    ] {
        bench.turn(work);
        say!("{work}: done");
    }
}

/// A tree, and what is written to it.
struct Bench {
    base: Descriptor,
    big: usize,
    entries: usize,
    data: Vec<u8>,
}

impl Bench {
    fn new(base: Descriptor, big: usize, entries: usize) -> Self {
        Self {
            base,
            big,
            entries,
            data: vec![7; STEP],
        }
    }

    fn turn(&self, work: &str) {
        let base = &self.base;
        match work {
            "stat" => stat(base),
            "missing-stat" => {
                let stat = base.stat_at(PathFlags::SYMLINK_FOLLOW, "a/b/none");
                assert_eq!(stat.expect_err("it is not there"), ErrorCode::NoEntry);
            }
            "open-read-close" => {
                let file = open(base, "a/b/c").expect("it is there");
                let stream = file.read_via_stream(0).expect("it can be read");
                let data = stream.blocking_read(4096).expect("it has data");
                assert_eq!(data.len(), 4096);
            }
            "readdir" => assert_eq!(list(base, "many"), self.entries),
            "read" => assert_eq!(read(base, "big"), self.big),
            "write" => {
                self.write("work/big", self.big);
                base.unlink_file_at("work/big").expect("it is there");
            }
            "read-at" => assert_eq!(self.read_at("big"), self.big),
            "write-at" => {
                self.write_at("work/big", self.big);
                base.unlink_file_at("work/big").expect("it is there");
            }
            "create-write-unlink" => {
                self.write("work/new", 4096);
                base.unlink_file_at("work/new").expect("it is there");
            }
            other => panic!("no such work: {other}"),
        }
    }

    fn create(&self, name: &str) -> Descriptor {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        open_write(&self.base, name, how).expect("the name is free")
    }

    /// Makes a file and writes as wasi-libc does: as much as the stream takes, flushed at the end.
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

    /// Makes a file and writes without a stream.
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

fn stat(base: &Descriptor) {
    let stat = base.stat_at(PathFlags::SYMLINK_FOLLOW, "a/b/c");
    assert_eq!(stat.expect("it is there").size, 4096);
}

fn list(base: &Descriptor, name: &str) -> usize {
    let dir = open_dir(base, name).expect("it is there");
    let entries = dir.read_directory().expect("it can be listed");
    let mut count = 0;
    while let Some(entry) = entries.read_directory_entry().expect("it can be listed") {
        assert!(!entry.name.is_empty());
        count += 1;
    }
    count
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
