//! The small tree and the list of works with which the benchmark's guests test themselves: they run each work
//! once.

/// How many bytes are read or written at a time.
pub const STEP: usize = 64 * 1024;

/// How many bytes a small file has, and a random read.
pub const SMALL: usize = 4096;

/// How many bytes a file has in a tree that is unpacked, requested or removed as a whole.
pub const LITTLE: usize = 1000;

/// How many files each unpacked directory has.
pub const UNPACKED_EACH: usize = 10;

/// The directories of the tree, each after its parent.
pub const DIRS: &[&str] = &[
    "a",
    "a/b",
    "deep",
    "deep/b",
    "deep/b/c",
    "deep/b/c/d",
    "deep/b/c/d/e",
    "deep/b/c/d/e/f",
    "deep/b/c/d/e/f/g",
    "many-1",
    "moved",
    "moved/dir",
    "removed",
    "removed/dir",
    "request",
    "request/dir",
    "spread",
    "spread/dir-0001",
    "spread/dir-0002",
    "tree",
    "tree/dir",
    "victims",
    "work",
];

/// The files of the tree, with their sizes in bytes. The works that use a new name each time share one
/// counter.
pub const FILES: &[(&str, usize)] = &[
    ("a/b/c", SMALL),
    ("deep/b/c/d/e/f/g/h", SMALL),
    ("many-1/entry", 0),
    ("tree/dir/file", 0),
    ("big", 3 * STEP),
    ("large", 3 * STEP),
    ("moved/dir/file", LITTLE),
    ("removed/dir/file", LITTLE),
    ("request/dir/file", LITTLE),
    ("spread/dir-0001/file", SMALL),
    ("spread/dir-0002/file", SMALL),
    ("victims/0003", SMALL),
    ("victims/0004", SMALL),
    ("victims/0005", SMALL),
];

/// The works, each with the number of bytes, entries or files that it has to find. Works that change names
/// come last. Those that end in `-at` read and write without a stream, for which WASI 0.3 has no calls.
pub const WORKS: &[(&str, usize)] = &[
    ("get-type", 0),
    ("stat", 0),
    ("missing-stat", 0),
    ("deep-stat", 0),
    ("stat-upper", 0),
    ("open-close", 0),
    ("open-read-close", 0),
    ("fstat", 0),
    ("readdir", 1),
    ("walk", 1),
    ("read", 3 * STEP),
    ("write", 3 * STEP),
    ("read-at", 3 * STEP),
    ("write-at", 3 * STEP),
    ("random-read", 3 * STEP),
    ("random-read-at", 3 * STEP),
    ("create-write-unlink", 0),
    ("rename", 0),
    ("mkdir-rmdir", 0),
    ("create", 0),
    ("request", 1),
    ("unpack", 20),
    ("remove-unpacked", 20),
    ("remove-tree", 3),
    ("rename-dir", 0),
    ("append-spread", 0),
    ("rename-spread", 0),
    ("append-lower", 0),
    ("unlink-lower", 0),
    ("rename-lower", 0),
    ("copy-up-large", 0),
];
