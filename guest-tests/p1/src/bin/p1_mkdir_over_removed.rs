//! A directory made at the name of a removed one is empty: the old content does not reappear in it, or after
//! it is removed in turn.

use guests_p1::{ROOT, at, raw, show, show_tree, tried};
use std::fs;

fn main() {
    for path in ["gone-dir", "gone-file", "dir/gone"] {
        tried(format_args!("mkdir {path}"), fs::create_dir(at(path)));
        show_tree(path);
    }
    tried("remove dir/sub", fs::remove_dir_all(at("dir/sub")));
    tried("mkdir dir/sub", fs::create_dir(at("dir/sub")));
    show_tree("dir");
    tried("mkdir dir/sub/sub2", fs::create_dir(at("dir/sub/sub2")));
    show("list", guests_p1::names("dir/sub/sub2"));
    tried("old file below", fs::read(at("dir/sub/inner")).map(|_| ()));

    // A file in place of the directory, then a directory again.
    tried("remove dir", fs::remove_dir_all(at("dir")));
    tried("write dir", fs::write(at("dir"), "a file now"));
    tried("below a file", fs::read(at("dir/one")).map(|_| ()));
    tried("unlink dir", fs::remove_file(at("dir")));
    tried("mkdir dir", fs::create_dir(at("dir")));
    show_tree("dir");
    tried("write dir/one", fs::write(at("dir/one"), "new"));
    tried("mkdir dir/sub", fs::create_dir(at("dir/sub")));
    show_tree("dir");
    tried("rename onto it", fs::rename(at("emptydir"), at("dir/sub")));
    show_tree("dir");
    tried("remove dir", fs::remove_dir_all(at("dir")));
    tried("stat dir", fs::metadata(at("dir")).map(|_| ()));

    for path in [
        "a",
        "hello.txt",
        "links/dangling",
        "links/dir",
        "links/self",
        "missing/x",
        "hello.txt/x",
        "",
        ".",
        "a/..",
        "..",
        "/",
    ] {
        tried(format_args!("mkdir {path:?}"), raw::mkdir(ROOT, path));
    }
    tried("mkdir with a slash", raw::mkdir(ROOT, "slash/"));
    show("list", guests_p1::names("slash"));
}
