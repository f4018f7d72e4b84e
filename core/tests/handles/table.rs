//! The table: how a file is held × where it lives × what happens to its name.
//!
//! Steps are words (see [`crate::side`]). `x` is the file, `d` the directory under test; both lie
//! in `p/q`, so that a parent can go or move, and one above it.

/// What is held, before anything happens. A number names the handle in the order of opening.
pub(crate) const HOLDS: &[(&str, &[&str])] = &[
    ("a reader", &["open.r p/q/x"]),
    ("a writer", &["open.w p/q/x"]),
    ("both ways", &["open.rw p/q/x"]),
    ("one that truncates", &["open.rwt p/q/x"]),
    ("two readers", &["open.r p/q/x", "open.r p/q/x"]),
    ("reader, then writer", &["open.r p/q/x", "open.w p/q/x"]),
    ("writer, then reader", &["open.rw p/q/x", "open.r p/q/x"]),
    ("two writers", &["open.rw p/q/x", "open.rw p/q/x"]),
    ("a file and its directory", &["open.r p/q/x", "open p/q"]),
    ("a writer and its directory", &["open p/q", "open.rw p/q/x"]),
    ("a directory", &["open p/q/d"]),
    ("two of a directory", &["open p/q/d", "open p/q/d"]),
    ("a directory and its parent", &["open p/q/d", "open p/q"]),
    ("a directory and all above", &["open p/q/d", "open p/q", "open p", "open ."]),
    ("a directory and a file in it", &["open p/q/d", "open.rw p/q/d/c"]),
    ("a directory and one below", &["open p/q/d", "open p/q/d/s"]),
];

/// Where the file and the directory live, made from what the lower layer has (`x` of 6 bytes, and
/// `d` with `c` and `s/f`).
pub(crate) const PLACES: &[(&str, &[&str])] = &[
    ("lower", &[]),
    (
        "upper",
        &[
            "unlink p/q/x", "create p/q/x", "empty p/q/d", "rmdir p/q/d", "mkdir p/q/d",
            "create p/q/d/c", "mkdir p/q/d/s", "create p/q/d/s/f",
        ],
    ),
    (
        "upper alone",
        &[
            "rename p/q/x gone1", "unlink gone1", "rename p p0", "mkdir p", "mkdir p/q",
            "create p/q/x", "create p/q/sib", "mkdir p/q/d", "create p/q/d/c", "mkdir p/q/d/s",
            "create p/q/d/s/f",
        ],
    ),
    ("copied up", &["write p/q/x", "write p/q/d/c"]),
    ("copied up by name", &["times p/q/x", "times p/q/d"]),
    ("merged", &["create p/q/d/new", "unlink p/q/d/s/f", "create p/q/y0"]),
    ("moved here", &["rename p/q/x t", "rename t p/q/x", "rename p/q/d t", "rename t p/q/d"]),
    ("with another name", &["link p/q/x other/l"]),
    ("in what has moved", &["rename p t", "rename t p"]),
];

/// What happens.
pub(crate) const EVENTS: &[(&str, &[&str])] = &[
    ("nothing", &[]),
    ("unlink", &["unlink p/q/x"]),
    ("unlink, create", &["unlink p/q/x", "create p/q/x"]),
    ("unlink, mkdir", &["unlink p/q/x", "mkdir p/q/x"]),
    ("rename", &["rename p/q/x p/q/y"]),
    ("rename away", &["rename p/q/x other/y"]),
    ("rename away and back", &["rename p/q/x other/y", "rename other/y p/q/x"]),
    ("rename, create", &["rename p/q/x p/q/y", "create p/q/x"]),
    ("rename, unlink", &["rename p/q/x p/q/y", "unlink p/q/y"]),
    ("rename over it", &["rename o p/q/x"]),
    ("rename its neighbour over it", &["rename p/q/sib p/q/x"]),
    ("rename it over another", &["rename p/q/x o"]),
    ("change places", &["rename p/q/x t", "rename o p/q/x", "rename t o"]),
    ("parent emptied", &["empty p/q"]),
    ("parent removed", &["empty p/q", "rmdir p/q"]),
    ("parent removed, made", &["empty p/q", "rmdir p/q", "mkdir p/q", "create p/q/x"]),
    ("both parents removed", &["empty p/q", "rmdir p/q", "rmdir p"]),
    ("rename, parent removed", &["rename p/q/x y", "empty p/q", "rmdir p/q"]),
    ("parent renamed", &["rename p/q p/r"]),
    ("parent renamed away", &["rename p/q other/q"]),
    ("grandparent renamed", &["rename p other/p"]),
    ("parent renamed, made", &["rename p/q p/r", "mkdir p/q", "create p/q/x"]),
    ("parents change places", &["rename p t", "rename other p", "rename t other"]),
    ("parent renamed, removed", &["rename p/q p/r", "empty p/r", "rmdir p/r"]),
    ("parent replaced", &["rename p/q p/r", "rename e p/q"]),
    ("cut by another", &["cut p/q/x"]),
    ("grown by another", &["grow p/q/x"]),
    ("cut, unlink", &["cut p/q/x", "unlink p/q/x"]),
    ("truncated by an open", &["open.wt p/q/x"]),
    ("written by another", &["write p/q/x"]),
    ("appended by another", &["append p/q/x"]),
    ("copied up by another", &["open.w p/q/x", "open.w p/q/d/c"]),
    ("copied up, unlink", &["open.w p/q/x", "unlink p/q/x"]),
    ("times", &["times p/q/x", "times p/q/d", "times p/q"]),
    ("link", &["link p/q/x other/y"]),
    ("link, unlink", &["link p/q/x other/y", "unlink p/q/x"]),
    ("link, write", &["link p/q/x other/y", "write other/y"]),
    ("link, both unlinked", &["link p/q/x other/y", "unlink p/q/x", "unlink other/y"]),
    ("link, rename over it", &["link p/q/x other/y", "rename o p/q/x"]),
    ("rename onto its other name", &["link p/q/x other/y", "rename p/q/x other/y"]),
    ("directory emptied", &["empty p/q/d"]),
    ("directory removed", &["empty p/q/d", "rmdir p/q/d"]),
    ("directory removed, made", &["empty p/q/d", "rmdir p/q/d", "mkdir p/q/d", "create p/q/d/c"]),
    ("directory removed, a file made", &["empty p/q/d", "rmdir p/q/d", "create p/q/d"]),
    ("directory renamed", &["rename p/q/d p/q/z"]),
    ("directory renamed away", &["rename p/q/d other/z"]),
    ("directory renamed, made", &["rename p/q/d other/z", "mkdir p/q/d", "create p/q/d/n"]),
    ("directory renamed, removed", &["rename p/q/d z", "empty z", "rmdir z"]),
    ("directory replaced", &["empty p/q/d", "rename e p/q/d"]),
    ("directory over another", &["rename p/q/d e"]),
    ("made inside", &["create p/q/d/n", "mkdir p/q/d/m"]),
    ("removed inside", &["unlink p/q/d/c"]),
    ("replaced inside", &["rename o p/q/d/c"]),
    ("moved out", &["rename p/q/d/c c", "rename p/q/d/s s"]),
    ("moved in", &["rename other p/q/d/in"]),
    ("moved below itself", &["rename p/q/d/s t", "rename p/q/d t/d"]),
];

/// What is then done to a held file, with a look through every handle after each.
pub(crate) const FILE_STEPS: &[&str] = &[
    "look", "write", "append", "cut", "append", "grow", "write", "times", "sync",
];

/// What is then done to a held directory.
pub(crate) const DIR_STEPS: &[&str] = &[
    "look", "stat c", "stat x", "stat ..", "open.r c", "open.rw s/f", "create n", "mkdir m",
    "symlink l", "readlink l", "rename n n2", "link n2 n3", "unlink n2", "out n3 fromheld", "in o o2",
    "rmdir m", "unlink c", "times", "sync", "look",
];

/// Names that the held file may have by now.
pub(crate) const NAMES: &[&str] = &[
    "p/q/x", "p/q/y", "other/y", "o", "y", "p/r/x", "other/q/x", "other/p/q/x", "other/l",
    "other/q/d", "p/q/d", "p/q/z", "other/z", "e", "p/r/d", "other/p/q/d", "p/q", "p/r", "other/q",
    "t/d", "s", "p", ".",
];
