//! What the guests of the benchmark do once each in a tree of their own, which shows that they do
//! it: the tree, and the works with the size of what each works on there.

/// Bytes that are read and written at a time.
pub const STEP: usize = 64 * 1024;

/// Bytes of a small file, and of a read at random.
pub const SMALL: usize = 4096;

/// Directories, each after the one that it is in.
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
    "tree",
    "tree/dir",
    "victims",
    "work",
];

/// Files, and how many bytes they have.
pub const FILES: &[(&str, usize)] = &[
    ("a/b/c", SMALL),
    ("deep/b/c/d/e/f/g/h", SMALL),
    ("many-1/entry", 0),
    ("tree/dir/file", 0),
    ("big", 3 * STEP),
    ("large", 3 * STEP),
    ("victims/0000", SMALL),
    ("victims/0001", SMALL),
    ("victims/0002", SMALL),
];

/// Works, and the size of what each works on. What changes a name comes last. Those that end in
/// `-at` read and write without a stream, which WASI 0.3 has no calls for.
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
    ("append-lower", 0),
    ("unlink-lower", 0),
    ("rename-lower", 0),
    ("copy-up-large", 0),
];
