//! Deeply nested directories are made, walked and removed, one at a time and by long paths.

use guests_p1::wasi::OFLAGS_CREAT;
use guests_p1::{ROOT, raw, show_data, tried};

/// The depth: more than a path in one call can express with names of ten bytes.
const DEPTH: usize = 500;

fn main() {
    let mut dirs = vec![ROOT];
    for _ in 0..DEPTH {
        let dir = *dirs.last().expect("there is the root");
        raw::mkdir(dir, "0123456789").expect("it can be made");
        dirs.push(raw::open_dir(dir, "0123456789").expect("it is there"));
        // Closed, because the test is not about descriptors.
        if dirs.len() > 8 {
            raw::close(dirs.remove(1)).expect("it is open");
        }
    }
    let deepest = *dirs.last().expect("there is the root");
    let file = raw::open_write(deepest, "file", OFLAGS_CREAT).expect("it can be made");
    tried("write", raw::write(file, b"deep down").map(|_| ()));
    show_data("read", raw::pread(file, 64, 0));
    tried("close", raw::close(file));

    let path = |depth: usize| vec!["0123456789"; depth].join("/");
    for depth in [100, 300, 370, 373, 400, 500] {
        tried(
            format_args!("stat {depth} down"),
            raw::stat(ROOT, &path(depth), true).map(|_| ()),
        );
    }
    // A path that goes down and up again.
    let zigzag = format!("{}hello.txt", "dir/sub/../../".repeat(200));
    tried("zigzag", raw::stat(ROOT, &zigzag, true).map(|_| ()));
    let out = format!("{}..", "dir/sub/../../".repeat(200));
    tried("zigzag and out", raw::stat(ROOT, &out, true).map(|_| ()));

    // Renamed as a whole, and removed from the bottom up.
    tried("rename", raw::rename(ROOT, "0123456789", ROOT, "tower"));
    let from = *dirs.last().expect("there is the root");
    tried(
        "stat after rename",
        raw::stat(from, "file", true).map(|_| ()),
    );
    tried("unlink", raw::unlink(from, "file"));
    for fd in dirs.drain(1..) {
        raw::close(fd).expect("it is open");
    }
    let mut left = DEPTH;
    raw::rename(ROOT, "tower", ROOT, "0123456789").expect("it can be renamed");
    while left > 0 {
        // As deep as one path can reach, then from there.
        let mut base = ROOT;
        let mut below = left;
        while below > 300 {
            let next = raw::open_dir(base, &path(300)).expect("it is there");
            if base != ROOT {
                raw::close(base).expect("it is open");
            }
            base = next;
            below -= 300;
        }
        raw::rmdir(base, &path(below)).expect("it is empty");
        if base != ROOT {
            raw::close(base).expect("it is open");
        }
        left -= 1;
    }
    tried("stat", raw::stat(ROOT, "0123456789", true).map(|_| ()));
}
