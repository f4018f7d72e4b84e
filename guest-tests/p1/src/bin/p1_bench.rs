//! What the benchmark times: `p1_bench WORK TURNS` works in the benchmark's tree and prints
//! nanoseconds. Without arguments it does each work once in a tree of its own.

use guests_p1::{ROOT, raw, wasi};
use std::time::Instant;

/// Bytes that are read and written at a time.
const STEP: usize = 64 * 1024;

/// Bytes in the file that is read and written from end to end.
const BIG: usize = 256 << 20;

/// Entries of `many`.
const ENTRIES: usize = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [work, turns] => {
            let mut bench = Bench::new(ROOT, BIG, ENTRIES);
            let turns: u32 = turns.parse().expect("a number of turns");
            let start = Instant::now();
            for _ in 0..turns {
                bench.turn(work);
            }
            println!("{}", start.elapsed().as_nanos());
        }
        _ => on_its_own(),
    }
}

fn on_its_own() {
    raw::mkdir(ROOT, "bench").expect("the name is free");
    let base = raw::open_dir(ROOT, "bench").expect("it was just made");
    for dir in ["a", "a/b", "many", "many/entry", "work"] {
        raw::mkdir(base, dir).expect("the name is free");
    }
    for (name, length) in [("a/b/c", 4096), ("big", 3 * STEP)] {
        let file = raw::open_write(base, name, wasi::OFLAGS_CREAT).expect("a file can be made");
        raw::write(file, &vec![7; length]).expect("there is room");
        raw::close(file).expect("it is open");
    }
    let mut bench = Bench::new(base, 3 * STEP, 1);
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
        println!("{work}: done");
    }
}

/// A tree, and room for what is read from it.
struct Bench {
    base: wasi::Fd,
    big: usize,
    entries: usize,
    buffer: Vec<u8>,
}

impl Bench {
    fn new(base: wasi::Fd, big: usize, entries: usize) -> Self {
        Self {
            base,
            big,
            entries,
            buffer: vec![7; STEP],
        }
    }

    fn turn(&mut self, work: &str) {
        match work {
            "stat" => {
                let stat = raw::stat(self.base, "a/b/c", true).expect("it is there");
                assert_eq!(stat.size, 4096);
            }
            "missing-stat" => {
                let error = raw::stat(self.base, "a/b/none", true).expect_err("it is not there");
                assert_eq!(error, wasi::ERRNO_NOENT);
            }
            "open-read-close" => {
                let file = raw::open_read(self.base, "a/b/c").expect("it is there");
                assert_eq!(self.read(file, 4096), 4096);
                raw::close(file).expect("it is open");
            }
            "readdir" => assert_eq!(self.list("many"), self.entries),
            "read" => {
                let file = raw::open_read(self.base, "big").expect("it is there");
                let mut total = 0;
                loop {
                    match self.read(file, STEP) {
                        0 => break,
                        count => total += count,
                    }
                }
                assert_eq!(total, self.big);
                raw::close(file).expect("it is open");
            }
            "write" => {
                let file = self.create("work/big");
                for _ in 0..self.big / STEP {
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
                assert_eq!(total, self.big);
                raw::close(file).expect("it is open");
            }
            "write-at" => {
                let file = self.create("work/big");
                for step in 0..self.big / STEP {
                    self.write_at(file, STEP, (step * STEP) as u64);
                }
                raw::close(file).expect("it is open");
                raw::unlink(self.base, "work/big").expect("it is there");
            }
            "create-write-unlink" => {
                let file = self.create("work/new");
                self.write(file, 4096);
                raw::close(file).expect("it is open");
                raw::unlink(self.base, "work/new").expect("it is there");
            }
            other => panic!("no such work: {other}"),
        }
    }

    fn create(&self, name: &str) -> wasi::Fd {
        let how = wasi::OFLAGS_CREAT | wasi::OFLAGS_EXCL;
        raw::open_write(self.base, name, how).expect("the name is free")
    }

    /// Up to `length` bytes of the buffer, which [`raw::read`] would make anew each time.
    fn into(&mut self, length: usize) -> wasi::Iovec {
        wasi::Iovec {
            buf: self.buffer.as_mut_ptr(),
            buf_len: length.min(self.buffer.len()),
        }
    }

    fn read(&mut self, file: wasi::Fd, length: usize) -> usize {
        let into = self.into(length);
        // SAFETY: the buffer is as long as the vector says, and outlives the call.
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

    /// Lists as wasi-libc does: 4 KiB at a time, going on after the last whole entry.
    fn list(&mut self, name: &str) -> usize {
        const PAGE: usize = 4096;
        let dir = raw::open_dir(self.base, name).expect("it is there");
        let mut count = 0;
        let mut cookie = 0;
        loop {
            let page = &mut self.buffer[..PAGE];
            // SAFETY: the buffer is as long as is said, and outlives the call.
            let used = unsafe { wasi::fd_readdir(dir, page.as_mut_ptr(), PAGE, cookie) }
                .expect("it can be listed");
            let mut rest = &page[..used];
            // The next cookie, the inode number, the length of the name, the type; the name.
            while let Some((header, after)) = rest.split_at_checked(24) {
                let next = u64::from_le_bytes(header[..8].try_into().expect("eight bytes"));
                let length = u32::from_le_bytes(header[16..20].try_into().expect("four bytes"));
                let Some((name, after)) = after.split_at_checked(length as usize) else {
                    break;
                };
                count += usize::from(name != b"." && name != b"..");
                cookie = next;
                rest = after;
            }
            if used < PAGE {
                break;
            }
        }
        raw::close(dir).expect("it is open");
        count
    }
}
