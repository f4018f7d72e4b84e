//! What the guests of the benchmark do once each in a tree of their own, which shows that they do
//! it: the tree, and the works with the size of what each works on there.

/// Bytes that are read and written at a time.
pub const STEP: usize = 64 * 1024;

/// Bytes of a small file, and of a read at random.
pub const SMALL: usize = 4096;

/// Bytes of a file of a tree that is unpacked, requested or removed as a whole.
pub const LITTLE: usize = 1000;

/// Files of each directory that is unpacked.
pub const UNPACKED_EACH: usize = 10;

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

/// Files, and how many bytes they have. The works that take the next name each time count together.
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
