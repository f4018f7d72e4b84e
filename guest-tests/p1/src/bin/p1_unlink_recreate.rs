//! An unlinked file is gone, also from listings; a new file with its name has none of the old data.

use guests_p1::{ROOT, at, raw, show_data, show_tree, tried};
use std::fs;

fn main() {
    for path in [
        "hello.txt",
        "dir/one",
        "a/b/c/deep.txt",
        "links/rel",
        "links/dangling",
        "links/self",
        "many/f0001",
        "big.bin",
    ] {
        tried(format_args!("unlink {path}"), raw::unlink(ROOT, path));
        tried(
            format_args!("stat {path}"),
            raw::stat(ROOT, path, false).map(|_| ()),
        );
        tried(
            format_args!("open {path}"),
            raw::open_read(ROOT, path).map(|_| ()),
        );
        tried(format_args!("unlink {path} again"), raw::unlink(ROOT, path));
    }
    for path in [
        "dir",
        "emptydir",
        "missing",
        "gone-file",
        "gone-dir",
        "missing/x",
        "dir/two/x",
        "dir/two/",
        "links/dir/",
        "links/dir/two",
        "",
        ".",
        "..",
    ] {
        tried(format_args!("unlink {path:?}"), raw::unlink(ROOT, path));
    }
    show_tree("dir");
    show_tree("links");
    for round in 0..3 {
        tried("make", fs::write(at("dir/one"), format!("round {round}")));
        show_data("read", fs::read(at("dir/one")));
        tried("unlink", fs::remove_file(at("dir/one")));
        tried("stat", fs::metadata(at("dir/one")).map(|_| ()));
    }
    tried("make as a directory", fs::create_dir(at("dir/one")));
    show_tree("dir");
    tried("make in it", fs::write(at("dir/one/x"), "x"));
    tried(
        "make as a link",
        raw::symlink("dir/one/x", ROOT, "hello.txt"),
    );
    show_data("read through it", fs::read(at("hello.txt")));
    tried("make again", fs::write(at("big.bin"), "small"));
    show_data("big.bin", fs::read(at("big.bin")));
    tried(
        "stat",
        raw::stat(ROOT, "big.bin", false).map(|stat| assert_eq!(stat.size, 5)),
    );
    show_tree("dir");
}
