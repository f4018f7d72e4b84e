//! Renumbered and closed descriptors, preopens and standard streams among them.
//!
//! The assertions of wasi-testsuite's `close_preopen`, `overwrite_preopen`, `renumber` and `stdio`.

use guests_p1::checks::{assert_refused, fdstat, renumber};
use guests_p1::wasi::{ERRNO_BADF, FILETYPE_DIRECTORY, OFLAGS_CREAT};
use guests_p1::{ROOT, raw, show, tried};

fn main() {
    file_takes_the_number_of_another();
    for stream in [0, 2] {
        standard_stream_moves(stream);
    }
    preopen_is_replaced_and_closed();
    println!("all as it should be");
}

fn file_takes_the_number_of_another() {
    for (path, other) in [
        ("hello.txt", "dir/one"),
        ("dir/two", "new"),
        ("new", "new2"),
    ] {
        let from = raw::open_write(ROOT, path, OFLAGS_CREAT).expect("it can be opened");
        let to = raw::open_write(ROOT, other, OFLAGS_CREAT).expect("it can be opened");
        let (stat, data) = (fdstat(from), raw::pread(from, 64, 0));
        assert_eq!(renumber(from, to), Ok(()), "{path}");
        assert_eq!(fdstat(to), stat, "{path}");
        assert_eq!(raw::pread(to, 64, 0), data, "{path}");
        assert_refused("close what moved", raw::close(from), &[ERRNO_BADF]);
        assert_refused("renumber to what moved", renumber(to, from), &[ERRNO_BADF]);
        assert_eq!(raw::close(to), Ok(()), "{path}");
    }
}

/// A panic after this prints no message if the stream is standard error.
fn standard_stream_moves(stream: u32) {
    let file = raw::open_write(ROOT, "stream", OFLAGS_CREAT).expect("it can be made");
    assert_eq!(renumber(stream, file), Ok(()), "{stream}");
    assert!(fdstat(file).is_ok(), "{stream}");
    assert_refused("the old number", fdstat(stream), &[ERRNO_BADF]);
    assert_eq!(raw::unlink(ROOT, "stream"), Ok(()), "{stream}");
}

fn preopen_is_replaced_and_closed() {
    let root = raw::open_dir(ROOT, ".").expect("it is there");
    let dir = raw::open_dir(ROOT, "dir").expect("it is there");
    let identity = |fd| raw::fstat(fd).map(|stat| (stat.dev, stat.ino));
    let before = identity(dir);
    assert_eq!(renumber(dir, ROOT), Ok(()));
    assert_eq!(identity(ROOT), before);
    assert_refused("the old number", fdstat(dir), &[ERRNO_BADF]);
    tried(
        "what the preopen's number opens",
        raw::open_read(ROOT, "two"),
    );
    assert_eq!(raw::close(ROOT), Ok(()));
    assert_refused("the preopen", fdstat(ROOT), &[ERRNO_BADF]);
    // A file opened from the preopen stays open without it.
    assert_eq!(fdstat(root).map(|stat| stat.0), Ok(FILETYPE_DIRECTORY));
    show(
        "names",
        raw::stat(root, "dir/two", false).map(|stat| stat.size),
    );
}
