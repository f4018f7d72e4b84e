//! Listings are complete, with each name once and the right type, for every size of the buffer.

use guests_p1::wasi::FILETYPE_DIRECTORY;
use guests_p1::{ROOT, at, names, raw, show, tried};
use std::collections::BTreeSet;
use std::fs;

/// Lists a directory, and checks what has to hold for every one; returns the names and types.
fn listed(path: &str, length: usize) -> Vec<(String, u8)> {
    let dir = raw::open_dir(ROOT, path).expect("it can be opened");
    let entries = raw::readdir_all(dir, length).expect("it can be listed");
    let unique: BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
    assert_eq!(unique.len(), entries.len(), "each name comes once");
    for entry in &entries {
        assert_ne!(entry.next, 0, "0 would be the start again");
        if entry.name == ".." {
            assert_eq!(entry.kind, FILETYPE_DIRECTORY.raw());
            continue;
        }
        let stat = raw::stat(dir, &entry.name, false).expect("what is listed is there");
        assert_eq!(
            stat.filetype.raw(),
            entry.kind,
            "the type of {path}/{}",
            entry.name
        );
        assert_eq!(stat.ino, entry.inode, "the inode of {path}/{}", entry.name);
    }
    raw::close(dir).expect("it is open");
    let mut names: Vec<_> = entries
        .into_iter()
        .map(|entry| (entry.name, entry.kind))
        .collect();
    names.sort();
    names
}

fn main() {
    for path in [".", "dir", "a", "a/b/c", "emptydir", "links", "long"] {
        let whole = listed(path, 64 * 1024);
        println!("{path}: {whole:?}");
        for length in [300, 4096] {
            assert_eq!(
                listed(path, length),
                whole,
                "{path} with a buffer of {length}"
            );
        }
    }
    let many = listed("many", 4096);
    println!(
        "many: {} entries, {:?} to {:?}",
        many.len(),
        many.first(),
        many.last()
    );
    assert_eq!(listed("many", 333), many);
    show("as std lists it", names("many").map(|names| names.len()));

    // A buffer that is too small for an entry is still filled, which means that more follows.
    let dir = raw::open_dir(ROOT, "many").expect("it can be opened");
    for length in [0, 1, 23, 24, 25, 26] {
        show(
            format_args!("buffer of {length}"),
            raw::readdir(dir, length, 0).map(|(entries, full)| (entries.len(), full)),
        );
    }
    raw::close(dir).expect("it is open");

    for path in ["hello.txt", "missing", "links/dangling", "links/loop1"] {
        tried(
            format_args!("list {path}"),
            fs::read_dir(at(path)).map(|_| ()),
        );
    }
    let file = raw::open_read(ROOT, "hello.txt").expect("it can be opened");
    tried("list an open file", raw::readdir(file, 64, 0).map(|_| ()));
    tried(
        "a cookie far past the end",
        raw::open_dir(ROOT, "dir")
            .and_then(|dir| raw::readdir(dir, 4096, 1 << 40))
            .map(|(entries, full)| assert!(entries.is_empty() && !full)),
    );
}
