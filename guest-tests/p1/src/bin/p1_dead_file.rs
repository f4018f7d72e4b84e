//! An unlinked file that is still open keeps working, and its name is free for another file.

use guests_p1::wasi::{FSTFLAGS_MTIM, OFLAGS_CREAT};
use guests_p1::{ROOT, at, raw, show, show_data, tried, wasi};
use std::fs;

fn main() {
    for path in ["hello.txt", "dir/one", "big.bin"] {
        let reader = raw::open_read(ROOT, path).expect("it can be opened");
        let before = raw::pread(reader, 1 << 20, 0).expect("it can be read");
        tried(format_args!("unlink {path}"), raw::unlink(ROOT, path));
        assert_eq!(
            raw::pread(reader, 1 << 20, 0).expect("it can be read"),
            before
        );
        show("size", raw::fstat(reader).map(|stat| stat.size));
        // SAFETY: a call to the host; the descriptor is open.
        tried("set its time", unsafe {
            wasi::fd_filestat_set_times(reader, 0, 5_000_000_000, FSTFLAGS_MTIM)
        });
        show("its time", raw::fstat(reader).map(|stat| stat.mtim));
        tried("make another", fs::write(at(path), "another"));
        assert_eq!(
            raw::pread(reader, 1 << 20, 0).expect("it can be read"),
            before
        );
        show_data(path, fs::read(at(path)));
        tried("close", raw::close(reader));
    }
    for path in ["dir/two", "dir/sub/inner", "fresh"] {
        let file = raw::open_write(ROOT, path, OFLAGS_CREAT).expect("it can be opened");
        tried(format_args!("unlink {path}"), raw::unlink(ROOT, path));
        show("write", raw::pwrite(file, b"to nobody", 2));
        show_data("read", raw::pread(file, 64, 0));
        // SAFETY: a call to the host; the descriptor is open.
        tried("cut", unsafe { wasi::fd_filestat_set_size(file, 4) });
        show_data("read", raw::pread(file, 64, 0));
        // SAFETY: as before.
        tried("sync", unsafe { wasi::fd_sync(file) });
        tried("is it back?", raw::stat(ROOT, path, false).map(|_| ()));
        tried("close", raw::close(file));
    }
    // A rename that replaces a file unlinks it too.
    let old = raw::open_write(ROOT, "dir/three", 0).expect("it can be opened");
    tried("rename over it", fs::rename(at("empty"), at("dir/three")));
    show_data("the old one", raw::pread(old, 64, 0));
    show("write to the old one", raw::pwrite(old, b"OLD", 0));
    show_data("the new one", fs::read(at("dir/three")));
    tried("close", raw::close(old));
    // Two descriptors of an unlinked file see each other's changes.
    let writer = raw::open_write(ROOT, "many/f0002", 0).expect("it can be opened");
    let reader = raw::open_read(ROOT, "many/f0002").expect("it can be opened");
    tried("unlink", raw::unlink(ROOT, "many/f0002"));
    show("write", raw::pwrite(writer, b"seen", 0));
    show_data("read", raw::pread(reader, 64, 0));
}
