//! Files are created at free names, and not at names that exist.

use guests_p1::wasi::{OFLAGS_CREAT, OFLAGS_DIRECTORY, OFLAGS_EXCL, OFLAGS_TRUNC};
use guests_p1::{ROOT, at, raw, show_data, show_tree, tried};
use std::fs;

fn main() {
    for path in [
        "new",
        "dir/new",
        "a/b/new",
        "emptydir/new",
        "gone-file",
        "dir/gone",
        "gone-dir",
    ] {
        tried(format_args!("create {path}"), fs::write(at(path), path));
        show_data(format_args!("read {path}"), fs::read(at(path)));
    }
    for path in [
        "hello.txt",
        "dir",
        "links/dangling",
        "links/rel",
        "links/self",
        "new",
        "fresh",
        "missing/x",
        "new/x",
    ] {
        let opened = raw::open_write(ROOT, path, OFLAGS_CREAT | OFLAGS_EXCL);
        if let Some(fd) = tried(format_args!("create {path} exclusively"), opened) {
            tried("close", raw::close(fd));
        }
    }
    // Without `EXCL`, an existing file is opened unchanged.
    for path in [
        "hello.txt",
        "links/rel",
        "dir",
        "links/dir",
        "links/dangling",
        "links/dangling-dir",
        "links/self",
        "fresh/",
        "dir/",
    ] {
        let opened = raw::open_write(ROOT, path, OFLAGS_CREAT);
        if let Some(fd) = tried(format_args!("create or open {path}"), opened) {
            show_data("its data", raw::pread(fd, 64, 0));
            tried("write", raw::pwrite(fd, b"was here", 0));
            tried("close", raw::close(fd));
        }
    }
    show_data(
        "what the dangling link named",
        fs::read(at("links/nowhere")),
    );
    for (how, flags) in [
        ("create, directory", OFLAGS_CREAT | OFLAGS_DIRECTORY),
        ("exclusive, directory", OFLAGS_EXCL | OFLAGS_DIRECTORY),
        ("truncate, directory", OFLAGS_TRUNC | OFLAGS_DIRECTORY),
        ("exclusive alone", OFLAGS_EXCL),
    ] {
        for path in ["dir", "absent", "hello.txt"] {
            if let Some(fd) = tried(
                format_args!("{how}: {path}"),
                raw::open_write(ROOT, path, flags),
            ) {
                tried("close", raw::close(fd));
            }
        }
    }
    show_tree(".");
}
