//! Files are truncated and extended, at open and while open; extended parts are zero.

use guests_p1::wasi::{OFLAGS_TRUNC, RIGHTS_FD_READ};
use guests_p1::{ROOT, at, raw, show, show_data, tried};
use std::fs::{self, File, OpenOptions};

fn set_len(path: &str, length: u64) {
    let file = OpenOptions::new()
        .write(true)
        .open(at(path))
        .expect("it can be opened");
    tried(format_args!("set {path} to {length}"), file.set_len(length));
    show(
        format_args!("size of {path}"),
        fs::metadata(at(path)).map(|meta| meta.len()),
    );
    show_data(format_args!("data of {path}"), fs::read(at(path)));
}

fn main() {
    for (path, length) in [
        ("big.bin", 70_000),
        ("big.bin", 0),
        ("big.bin", 12),
        ("hello.txt", 5),
        ("hello.txt", 9),
    ] {
        set_len(path, length);
    }
    set_len("dir/one", 100_000);
    set_len("empty", 1);

    tried("cut at open", File::create(at("a/b/c/deep.txt")));
    show_data("a/b/c/deep.txt", fs::read(at("a/b/c/deep.txt")));
    tried("cut by writing whole", fs::write(at("dir/two"), "2"));
    show_data("dir/two", fs::read(at("dir/two")));

    // A descriptor that is open for reading sees the truncation.
    let reader = raw::open_read(ROOT, "dir/three").expect("it can be opened");
    show_data("before", raw::pread(reader, 64, 0));
    tried("cut at open", File::create(at("dir/three")));
    show_data("after", raw::pread(reader, 64, 0));
    // SAFETY: a call to the host; the descriptor is open.
    tried("cut what was opened for reading", unsafe {
        guests_p1::wasi::fd_filestat_set_size(reader, 1)
    });
    tried("close", raw::close(reader));

    for path in ["dir", "missing", "links/dir"] {
        tried(
            format_args!("cut {path}"),
            File::create(at("x")).and_then(|_| File::create(at(path))),
        );
    }
    let opened = raw::open(ROOT, "dir/sub/inner", true, OFLAGS_TRUNC, RIGHTS_FD_READ, 0);
    if let Some(fd) = tried("cut at open for reading", opened) {
        tried("close", raw::close(fd));
    }
    show_data("dir/sub/inner", fs::read(at("dir/sub/inner")));
    let fd = raw::open_write(ROOT, "links/rel", OFLAGS_TRUNC).expect("it can be opened");
    tried("cut through a link", raw::close(fd));
    show_data("hello.txt", fs::read(at("hello.txt")));
}
