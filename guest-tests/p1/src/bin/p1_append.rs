//! Appended data goes to the end, whatever the file's position is and whichever descriptor writes besides.

use guests_p1::wasi::{FDFLAGS_APPEND, RIGHTS_FD_READ, RIGHTS_FD_SEEK, RIGHTS_FD_WRITE};
use guests_p1::{ROOT, at, raw, show, show_data, tried};
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

fn main() {
    for path in ["hello.txt", "dir/sub/inner", "empty", "new"] {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(at(path))
            .expect("it can be appended to");
        tried(format_args!("append to {path}"), file.write_all(b"first, "));
        show("go back", file.seek(SeekFrom::Start(0)));
        tried("append again", file.write_all(b"second"));
        show_data(path, fs::read(at(path)));
    }

    // Two descriptors that append do not overwrite each other's data.
    let mut one = OpenOptions::new()
        .append(true)
        .open(at("dir/one"))
        .expect("it can be appended to");
    let mut two = OpenOptions::new()
        .append(true)
        .open(at("dir/one"))
        .expect("it can be appended to");
    for round in 0..3 {
        writeln!(one, "one {round}").expect("it can be written");
        writeln!(two, "two {round}").expect("it can be written");
    }
    show("both", fs::read_to_string(at("dir/one")));

    let mut both = OpenOptions::new()
        .read(true)
        .append(true)
        .open(at("dir/two"))
        .expect("it can be opened");
    let mut start = [0; 3];
    tried("read before appending", both.read_exact(&mut start));
    tried("append", both.write_all(b"more"));
    show("place after append", both.stream_position());
    let mut rest = Vec::new();
    show("read after append", both.read_to_end(&mut rest));

    let rights = RIGHTS_FD_READ | RIGHTS_FD_WRITE | RIGHTS_FD_SEEK;
    let fd =
        raw::open(ROOT, "dir/three", true, 0, rights, FDFLAGS_APPEND).expect("it can be opened");
    // SAFETY: calls to the host; the descriptor is open.
    let flags = |fd| unsafe { guests_p1::wasi::fd_fdstat_get(fd) }.map(|stat| stat.fs_flags);
    show("flags", flags(fd));
    // SAFETY: as before.
    tried("append no more", unsafe {
        guests_p1::wasi::fd_fdstat_set_flags(fd, 0)
    });
    show("flags", flags(fd));
    show("write at the place", raw::write(fd, b"T"));
    // SAFETY: as before.
    tried("append again", unsafe {
        guests_p1::wasi::fd_fdstat_set_flags(fd, FDFLAGS_APPEND)
    });
    show("write at the end", raw::write(fd, b"end"));
    tried("close", raw::close(fd));
    show_data("dir/three", fs::read(at("dir/three")));
}
