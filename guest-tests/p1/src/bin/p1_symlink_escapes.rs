//! No path leads out of a preopened directory: not `..`, not an absolute path, not a link, and not from a
//! subdirectory.

use guests_p1::{ROOT, at, raw, show, show_tree, tried};
use std::fs;

fn main() {
    let paths = [
        "..",
        "../",
        "../x",
        "/",
        "/hello.txt",
        "dir/../..",
        "dir/../../x",
        "a/b/../../../x",
        "links/escape",
        "links/abs",
        "links/up/..",
        "links/up/../x",
        "links/dot/../..",
        "missing/../..",
        "hello.txt/..",
        "hello.txt/../..",
        "./../.",
    ];
    for path in paths {
        tried(
            format_args!("stat {path:?}"),
            raw::stat(ROOT, path, true).map(|_| ()),
        );
        tried(
            format_args!("open {path:?}"),
            raw::open_read(ROOT, path).and_then(raw::close),
        );
        tried(
            format_args!("create {path:?}"),
            raw::open_write(ROOT, path, guests_p1::wasi::OFLAGS_CREAT).and_then(raw::close),
        );
        tried(format_args!("mkdir {path:?}"), raw::mkdir(ROOT, path));
        tried(format_args!("rmdir {path:?}"), raw::rmdir(ROOT, path));
        show(
            format_args!("readlink {path:?}"),
            raw::readlink(ROOT, path, 99),
        );
    }
    // Unlinking removes the link itself, wherever it leads.
    for path in [
        "..",
        "../x",
        "/hello.txt",
        "dir/../../x",
        "links/escape",
        "links/abs",
    ] {
        tried(format_args!("unlink {path:?}"), raw::unlink(ROOT, path));
        tried(
            format_args!("link {path:?}"),
            raw::link(ROOT, path, ROOT, "linked"),
        );
        tried(
            format_args!("link to {path:?}"),
            raw::link(ROOT, "hello.txt", ROOT, path),
        );
        tried(
            format_args!("symlink {path:?}"),
            raw::symlink("x", ROOT, path),
        );
    }

    // No path leads out of a descriptor of a subdirectory either.
    let sub = raw::open_dir(ROOT, "dir/sub").expect("it is there");
    for path in [
        "inner",
        "sub2/../inner",
        "..",
        "../one",
        "sub2/../..",
        "sub2/../../one",
    ] {
        tried(
            format_args!("in dir/sub: stat {path:?}"),
            raw::stat(sub, path, true).map(|_| ()),
        );
    }
    tried("symlink in it", raw::symlink("../one", sub, "out"));
    tried(
        "through it from dir/sub",
        raw::stat(sub, "out", true).map(|_| ()),
    );
    tried(
        "through it from the root",
        raw::stat(ROOT, "dir/sub/out", true).map(|_| ()),
    );
    tried("rename out", raw::rename(sub, "inner", ROOT, "dir/inner"));
    tried("rename out by path", raw::rename(sub, "out", sub, "../out"));
    tried("read", fs::read(at("dir/inner")).map(|_| ()));
    show_tree(".");
}
