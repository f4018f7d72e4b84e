//! A file that was opened for reading before its copy-up shows what is written afterwards.

use guests_p1::wasi::OFLAGS_TRUNC;
use guests_p1::{ROOT, at, raw, show, show_data, tried};
use std::fs;

fn main() {
    for path in ["hello.txt", "dir/sub/inner", "big.bin"] {
        let early = raw::open_read(ROOT, path).expect("it can be opened");
        let second = raw::open_read(ROOT, path).expect("it can be opened");
        let id = raw::fstat(early)
            .map(|stat| (stat.dev, stat.ino))
            .expect("it is open");
        show_data(format_args!("{path} before"), raw::pread(early, 16, 0));
        let writer = raw::open_write(ROOT, path, 0).expect("it can be opened");
        show("write", raw::pwrite(writer, b"NEW", 1));
        for (name, reader) in [("first", early), ("second", second)] {
            show_data(name, raw::pread(reader, 16, 0));
            assert_eq!(
                raw::fstat(reader).map(|stat| (stat.dev, stat.ino)).ok(),
                Some(id)
            );
        }
        // An open file keeps its position at the copy-up.
        show_data("from its place", raw::read(early, 3));
        // SAFETY: a call to the host; the descriptor is open.
        tried("cut", unsafe {
            guests_p1::wasi::fd_filestat_set_size(writer, 5)
        });
        show_data("from its place", raw::read(early, 16));
        show("size", raw::fstat(second).map(|stat| stat.size));
        tried("write by name", fs::write(at(path), "whole"));
        show_data("second", raw::pread(second, 16, 0));
        tried("rename", fs::rename(at(path), at("elsewhere")));
        show("write", raw::pwrite(writer, b"W", 0));
        show_data("second", raw::pread(second, 16, 0));
        show_data("by name", fs::read(at("elsewhere")));
        for fd in [early, second, writer] {
            raw::close(fd).expect("it is open");
        }
    }
    // Another descriptor truncates the file as it opens it.
    let writer = raw::open_write(ROOT, "dir/two", 0).expect("it can be opened");
    let cutter = raw::open_write(ROOT, "dir/two", OFLAGS_TRUNC).expect("it can be opened");
    show("write", raw::pwrite(writer, b"two", 3));
    show_data("read", raw::pread(cutter, 16, 0));
}
