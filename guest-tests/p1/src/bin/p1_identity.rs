//! A file keeps its device and inode number when it is written, renamed or linked and when other names of it
//! are removed, and no two files share them.

use guests_p1::{ROOT, at, raw, tried, wasi};
use std::collections::BTreeMap;
use std::fs;

fn id(path: &str) -> (u64, u64) {
    raw::stat(ROOT, path, false)
        .map(|stat| (stat.dev, stat.ino))
        .expect("it is there")
}

fn main() {
    let mut all = BTreeMap::new();
    for path in [
        "hello.txt",
        "empty",
        "big.bin",
        "dir",
        "dir/one",
        "dir/two",
        "dir/three",
        "dir/sub",
        "a",
        "a/b",
        "a/b/c/deep.txt",
        "emptydir",
        "links",
        "links/rel",
        "links/dir",
        "many",
    ] {
        if let Some(other) = all.insert(id(path), path) {
            panic!("{path} and {other} are one");
        }
        assert_eq!(id(path), id(path), "{path} asked twice");
    }
    println!("{} objects, all different", all.len());

    for path in ["hello.txt", "dir/one", "big.bin", "a/b/c/deep.txt", "empty"] {
        let before = id(path);
        let fd = raw::open_write(ROOT, path, 0).expect("it can be opened");
        assert_eq!(id(path), before, "{path} after opening for writing");
        raw::pwrite(fd, b"x", 0).expect("it can be written");
        assert_eq!(id(path), before, "{path} after a write");
        assert_eq!(
            raw::fstat(fd).map(|stat| (stat.dev, stat.ino)).ok(),
            Some(before),
            "{path} open"
        );
        fs::rename(at(path), at("moved")).expect("it can be renamed");
        assert_eq!(id("moved"), before, "{path} after a rename");
        raw::link(ROOT, "moved", ROOT, "linked").expect("it can be linked");
        assert_eq!(id("linked"), before, "{path} after a link");
        raw::unlink(ROOT, "moved").expect("it can be unlinked");
        assert_eq!(id("linked"), before, "{path} after an unlink");
        fs::rename(at("linked"), at(path)).expect("it can be renamed");
        assert_eq!(id(path), before, "{path} back where it was");
        tried(format_args!("{path} is itself"), raw::close(fd));
    }
    let (dir, sub, inner) = (id("dir"), id("dir/sub"), id("dir/sub/inner"));
    fs::rename(at("dir"), at("folder")).expect("it can be renamed");
    assert_eq!(
        (id("folder"), id("folder/sub"), id("folder/sub/inner")),
        (dir, sub, inner),
        "a renamed tree"
    );
    fs::create_dir(at("dir")).expect("the name is free");
    assert_ne!(id("dir"), dir, "a new directory is another one");
    let old = id("links/rel");
    fs::rename(at("links/rel"), at("links/rel2")).expect("it can be renamed");
    assert_eq!(id("links/rel2"), old, "a link");
    // A new file with the name of an unlinked file that is still open has another number.
    let held = raw::open_read(ROOT, "empty").expect("it can be opened");
    let old = id("empty");
    fs::remove_file(at("empty")).expect("it can be removed");
    fs::write(at("empty"), "").expect("it can be made");
    assert_ne!(id("empty"), old, "a new file is another one");
    assert_eq!(
        raw::fstat(held).map(|stat| (stat.dev, stat.ino)).ok(),
        Some(old),
        "the old one is itself still"
    );
    assert_eq!(
        raw::fstat(held).map(|stat| stat.filetype.raw()).ok(),
        Some(wasi::FILETYPE_REGULAR_FILE.raw())
    );
    println!("done");
}
