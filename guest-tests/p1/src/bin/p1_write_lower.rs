//! A write into the middle of a file changes only those bytes, whatever the file's size, and leaves the file
//! next to it unchanged.

use guests_p1::wasi::{FDFLAGS_APPEND, RIGHTS_FD_READ, RIGHTS_FD_WRITE};
use guests_p1::{ROOT, at, raw, show, show_data, show_tree, tried};
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};

fn main() {
    let before = fs::read(at("big.bin")).expect("it is there");
    let mut big = OpenOptions::new()
        .write(true)
        .open(at("big.bin"))
        .expect("it can be written");
    // Across the border of two 64 KiB steps of a copy.
    show("seek", big.seek(SeekFrom::Start(65_530)));
    tried("write in the middle", big.write_all(b"over the seam"));
    let mut expected = before.clone();
    expected[65_530..65_543].copy_from_slice(b"over the seam");
    assert_eq!(fs::read(at("big.bin")).expect("it is there"), expected);
    show("write at the end", big.seek(SeekFrom::End(0)));
    tried("write at the end", big.write_all(b"and on"));
    expected.extend(b"and on");
    assert_eq!(fs::read(at("big.bin")).expect("it is there"), expected);
    show_data("big.bin", fs::read(at("big.bin")));

    let fd = raw::open_write(ROOT, "a/b/c/deep.txt", 0).expect("it can be opened");
    show("pwrite past the end", raw::pwrite(fd, b"far", 20));
    show_data("the gap", raw::pread(fd, 64, 0));
    show("size", raw::fstat(fd).map(|stat| stat.size));
    // `pwrite` does not move the position.
    show("write", raw::write(fd, b"DE"));
    show_data("after write", raw::pread(fd, 64, 0));
    tried("close", raw::close(fd));

    let fd = raw::open(ROOT, "empty", true, 0, RIGHTS_FD_WRITE, 0).expect("it can be opened");
    show("write to an empty file", raw::write(fd, b"no more"));
    tried("read what was opened for writing", raw::read(fd, 1));
    tried("close", raw::close(fd));

    // Opening for writing changes nothing by itself.
    let rights = RIGHTS_FD_READ | RIGHTS_FD_WRITE;
    let fd = raw::open(ROOT, "dir/sub/inner", true, 0, rights, FDFLAGS_APPEND)
        .expect("it can be opened");
    tried("close", raw::close(fd));
    show(
        "write nothing",
        fs::OpenOptions::new()
            .write(true)
            .open(at("dir/two"))
            .and_then(|mut file| file.write(b"")),
    );
    show_tree("a");
    show_tree("dir");
    show_tree("empty");
    show_tree("hello.txt");
}
