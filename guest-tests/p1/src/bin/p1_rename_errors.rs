//! Renames that have to fail and change nothing.

use guests_p1::{ROOT, at, raw, show_tree, tried};
use std::fs;

fn main() {
    let pairs = [
        ("missing", "x"),
        ("missing", "hello.txt"),
        ("hello.txt", "missing/x"),
        ("hello.txt", "dir"),
        ("hello.txt", "emptydir"),
        ("hello.txt", "dir/"),
        ("hello.txt", "x/"),
        ("hello.txt/", "x"),
        ("hello.txt/x", "x"),
        ("hello.txt", "empty/x"),
        ("dir", "hello.txt"),
        ("dir", "a"),
        ("dir", "many"),
        ("dir", "dir/sub/x"),
        ("dir", "dir/sub"),
        ("dir", "dir/x"),
        ("dir/sub", "dir"),
        ("a/b", "a"),
        ("dir", "links/dir"),
        ("dir", "links/dangling"),
        ("links/dir", "emptydir"),
        ("links/dir/", "x"),
        ("emptydir", "hello.txt"),
        ("dir/", "hello.txt"),
        ("", "x"),
        ("hello.txt", ""),
        (".", "x"),
        ("dir", "."),
        ("dir/..", "x"),
        ("dir", "emptydir/.."),
        ("../x", "x"),
        ("hello.txt", "../x"),
        ("/hello.txt", "x"),
        ("hello.txt", "/x"),
        ("links/loop1/x", "x"),
    ];
    for (from, to) in pairs {
        tried(
            format_args!("rename {from:?} to {to:?}"),
            raw::rename(ROOT, from, ROOT, to),
        );
    }
    show_tree(".");
    // Similar renames that succeed.
    for (from, to) in [
        ("dir/", "folder"),
        ("emptydir", "folder2/"),
        ("folder", "folder"),
        ("folder", "folder2"),
        ("links/dir", "links/d2"),
    ] {
        tried(
            format_args!("rename {from:?} to {to:?}"),
            raw::rename(ROOT, from, ROOT, to),
        );
    }
    tried("stat", fs::metadata(at("folder2/one")).map(|_| ()));
}
