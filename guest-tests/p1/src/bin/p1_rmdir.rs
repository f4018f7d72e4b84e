//! A directory can be removed exactly when its listing is empty.

use guests_p1::{ROOT, at, raw, show_tree, tried};
use std::fs;

fn main() {
    for path in [
        "emptydir",
        "dir",
        "a",
        "a/b",
        "hello.txt",
        "links/dir",
        "links/dangling",
        "missing",
        "gone-dir",
        "missing/x",
        "hello.txt/",
        "links/dir/",
        "",
        ".",
        "..",
        "dir/..",
        "dir/sub/.",
    ] {
        tried(format_args!("rmdir {path:?}"), raw::rmdir(ROOT, path));
    }
    // After its entries are removed, only whiteouts are left, which do not count.
    for path in [
        "dir/one",
        "dir/two",
        "dir/three",
        "dir/sub/inner",
        "dir/sub/sub2/x",
    ] {
        tried(format_args!("unlink {path}"), fs::remove_file(at(path)));
    }
    show_tree("dir");
    for path in ["dir", "dir/sub", "dir/sub/sub2", "dir/sub", "dir"] {
        tried(format_args!("rmdir {path}"), fs::remove_dir(at(path)));
    }
    show_tree(".");
    // A whole tree, removed as programs do.
    tried("remove a", fs::remove_dir_all(at("a")));
    tried("remove many", fs::remove_dir_all(at("many")));
    tried("remove links", fs::remove_dir_all(at("links")));
    for path in ["a", "many", "links", "dir", "emptydir"] {
        tried(
            format_args!("stat {path}"),
            fs::metadata(at(path)).map(|_| ()),
        );
        tried(format_args!("mkdir {path}"), fs::create_dir(at(path)));
        show_tree(path);
        tried(format_args!("rmdir {path}"), fs::remove_dir(at(path)));
    }
    // A tree with new content.
    tried("mkdir", fs::create_dir_all(at("fresh/er/est")));
    tried("rmdir", fs::remove_dir(at("fresh")));
    tried("write", fs::write(at("fresh/er/est/x"), "x"));
    tried("remove", fs::remove_dir_all(at("fresh")));
    tried("stat", fs::metadata(at("fresh")).map(|_| ()));
}
