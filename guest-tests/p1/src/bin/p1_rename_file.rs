//! Files are renamed within and between directories, to free names and onto files.

use guests_p1::{ROOT, at, raw, show, show_data, show_tree, tried};
use std::fs;

fn rename(from: &str, to: &str) {
    tried(
        format_args!("rename {from} to {to}"),
        fs::rename(at(from), at(to)),
    );
}

fn main() {
    rename("hello.txt", "renamed");
    show_data("renamed", fs::read(at("renamed")));
    show_data("hello.txt", fs::read(at("hello.txt")));
    rename("renamed", "a/b/moved");
    rename("a/b/c/deep.txt", "shallow");
    rename("dir/one", "dir/two");
    show_data("dir/two", fs::read(at("dir/two")));
    rename("dir/three", "gone-file");
    rename("dir/sub/inner", "dir/gone");
    rename("empty", "gone-dir");
    rename("big.bin", "hello.txt");
    rename("hello.txt", "big.bin");
    rename("big.bin", "big.bin");
    rename("big.bin", "./dir/../big.bin");
    show_data("big.bin", fs::read(at("big.bin")));
    // A link itself is renamed, and not its target.
    rename("links/rel", "links/rel2");
    show("its target", fs::read_link(at("links/rel2")));
    rename("links/dangling", "emptydir/dangling");
    rename("links/self", "links/loop1");
    // A descriptor follows the renamed file.
    let fd = raw::open_write(ROOT, "many/f0000", 0).expect("it can be opened");
    rename("many/f0000", "emptydir/f");
    show("write after rename", raw::write(fd, b"still mine"));
    tried("close", raw::close(fd));
    show_data("emptydir/f", fs::read(at("emptydir/f")));
    // The old name can be used again.
    tried("make the old name anew", fs::write(at("many/f0000"), "new"));
    rename("emptydir/f", "many/f0000");
    show_data("many/f0000", fs::read(at("many/f0000")));
    for tree in [
        "a",
        "dir",
        "links",
        "emptydir",
        "gone-dir",
        "gone-file",
        "shallow",
        "empty",
    ] {
        show_tree(tree);
    }
}
