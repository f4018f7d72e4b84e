//! Two hard links to a file: changes through one name are visible through the other.

use guests_p1::{ROOT, at, raw, show, show_data, show_tree, tried};
use std::fs::{self, OpenOptions};
use std::io::Write;

/// Whether two names are of one file, by device and inode number.
fn same(one: &str, other: &str) -> raw::Result<bool> {
    let (one, other) = (raw::stat(ROOT, one, false)?, raw::stat(ROOT, other, false)?);
    Ok((one.dev, one.ino) == (other.dev, other.ino))
}

fn main() {
    for (from, to) in [
        ("hello.txt", "linked"),
        ("dir/one", "a/b/one"),
        ("linked", "gone-file"),
        ("empty", "dir/gone"),
        ("links/rel", "links/rel2"),
        ("links/dangling", "dangling2"),
    ] {
        let before = raw::stat(ROOT, from, false).map(|stat| stat.ino);
        tried(
            format_args!("link {from} to {to}"),
            raw::link(ROOT, from, ROOT, to),
        );
        show(format_args!("{from} and {to} are one"), same(from, to));
        let after = raw::stat(ROOT, from, false).map(|stat| stat.ino);
        assert_eq!(before, after, "a link does not make {from} another file");
    }
    tried(
        "write under one name",
        OpenOptions::new()
            .append(true)
            .open(at("linked"))
            .and_then(|mut file| file.write_all(b"more")),
    );
    for name in ["hello.txt", "linked", "gone-file"] {
        show_data(name, fs::read(at(name)));
        show(
            format_args!("size of {name}"),
            raw::stat(ROOT, name, false).map(|stat| stat.size),
        );
    }
    tried("unlink the first", fs::remove_file(at("hello.txt")));
    show_data("linked", fs::read(at("linked")));
    tried("write under another", fs::write(at("gone-file"), "cut"));
    show_data("linked", fs::read(at("linked")));
    // Renaming one name onto another name of the same file has no effect.
    tried(
        "rename onto itself",
        fs::rename(at("linked"), at("gone-file")),
    );
    show(
        "linked is there",
        raw::stat(ROOT, "linked", false).map(|_| ()),
    );
    tried("link again", raw::link(ROOT, "linked", ROOT, "hello.txt"));
    show("one again", same("hello.txt", "gone-file"));
    show(
        "a link of a link is a link",
        raw::readlink(ROOT, "links/rel2", 64),
    );

    for (from, to) in [
        ("dir", "x"),
        ("missing", "x"),
        ("big.bin", "dir"),
        ("big.bin", "empty"),
        ("big.bin", "links/dangling"),
        ("big.bin", "missing/x"),
        ("big.bin", "empty/x"),
        ("big.bin/", "x"),
        ("big.bin", "x/"),
        ("", "x"),
        ("big.bin", ""),
    ] {
        tried(
            format_args!("link {from:?} to {to:?}"),
            raw::link(ROOT, from, ROOT, to),
        );
    }
    // SAFETY: a call to the host; the paths outlive it.
    tried("link, following", unsafe {
        guests_p1::wasi::path_link(
            ROOT,
            guests_p1::wasi::LOOKUPFLAGS_SYMLINK_FOLLOW,
            "links/rel2",
            ROOT,
            "x",
        )
    });
    show_tree("dir");
    show_tree("links");
    show_tree("a");
}
