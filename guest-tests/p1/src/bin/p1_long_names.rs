//! Names of up to 255 bytes can be read, created, written and renamed; longer names and too long paths are
//! errors.

use guests_p1::wasi::OFLAGS_CREAT;
use guests_p1::{ROOT, raw, show, show_data, tried};

/// Abbreviates a long path.
fn short(path: &str) -> String {
    format!("{}..({})", &path[..path.len().min(8)], path.len())
}

fn main() {
    // Files that exist from the start are read and written.
    for (letter, length) in [("a", 251), ("b", 252), ("c", 255)] {
        let name = format!("long/{}", letter.repeat(length));
        let fd = raw::open_write(ROOT, &name, 0).expect("it can be opened");
        show_data(short(&name), raw::pread(fd, 64, 0));
        show("write", raw::pwrite(fd, b"long", 0));
        show_data("read", raw::pread(fd, 64, 0));
        tried("close", raw::close(fd));
    }
    // New files.
    for length in [251, 252, 255, 256, 4096] {
        let (file, dir, link) = ("f".repeat(length), "d".repeat(length), "l".repeat(length));
        if let Some(fd) = tried(
            format_args!("create {length}"),
            raw::open_write(ROOT, &file, OFLAGS_CREAT),
        ) {
            tried("close", raw::close(fd));
        }
        tried(format_args!("mkdir {length}"), raw::mkdir(ROOT, &dir));
        tried(
            format_args!("symlink {length}"),
            raw::symlink(&file, ROOT, &link),
        );
        tried(
            format_args!("stat {length}"),
            raw::stat(ROOT, &file, true).map(|_| ()),
        );
        tried(
            format_args!("through the link {length}"),
            raw::stat(ROOT, &link, true).map(|_| ()),
        );
        tried(
            format_args!("stat a missing {length}"),
            raw::stat(ROOT, &"m".repeat(length), true).map(|_| ()),
        );
        tried(
            format_args!("rename to {length}"),
            raw::rename(ROOT, &file, ROOT, &"r".repeat(length)),
        );
        tried(
            format_args!("unlink {length}"),
            raw::unlink(ROOT, &"r".repeat(length)),
        );
        tried(
            format_args!("unlink link {length}"),
            raw::unlink(ROOT, &link),
        );
        tried(format_args!("rmdir {length}"), raw::rmdir(ROOT, &dir));
    }
    tried(
        "rename a lower file to 255",
        raw::rename(ROOT, "hello.txt", ROOT, &"h".repeat(255)),
    );
    tried(
        "and back",
        raw::rename(ROOT, &"h".repeat(255), ROOT, "hello.txt"),
    );
    // Long paths with short names.
    for length in [1000, 2000, 2047, 2048, 5000, 100_000] {
        let path = format!("{}hello.txt", "./".repeat(length));
        tried(
            format_args!("{} bytes of ./", path.len()),
            raw::stat(ROOT, &path, true).map(|_| ()),
        );
    }
    for length in [4095, 4096, 5000] {
        tried(
            format_args!("symlink to {length} bytes"),
            raw::symlink(&"t/".repeat(length)[..length], ROOT, "to"),
        );
        show(
            "readlink",
            raw::readlink(ROOT, "to", 8192).map(|target| target.len()),
        );
        tried("unlink", raw::unlink(ROOT, "to"));
    }
}
