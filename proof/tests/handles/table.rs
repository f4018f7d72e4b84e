//! The table: open handles × the layers that have the file × what happens to its name, as scripts.
//!
//! `x` is the file under test and `d` the directory. Both are in `p/q`, so that their parent and the
//! directory above it can be removed and renamed.

/// The handles that are open when the event happens.
pub(crate) const HOLDS: &[(&str, &[&str])] = &[
    ("a reader", &["hold.r p/q/x"]),
    ("a writer", &["hold.w p/q/x"]),
    ("both ways", &["hold.rw p/q/x"]),
    ("one that truncates", &["hold.rwt p/q/x"]),
    ("two readers", &["hold.r p/q/x", "hold.r p/q/x"]),
    ("reader, then writer", &["hold.r p/q/x", "hold.w p/q/x"]),
    ("writer, then reader", &["hold.rw p/q/x", "hold.r p/q/x"]),
    ("two writers", &["hold.rw p/q/x", "hold.rw p/q/x"]),
    ("a file and its directory", &["hold.r p/q/x", "hold p/q"]),
    ("a writer and its directory", &["hold p/q", "hold.rw p/q/x"]),
    ("a directory", &["hold p/q/d"]),
    ("two of a directory", &["hold p/q/d", "hold p/q/d"]),
    ("a directory and its parent", &["hold p/q/d", "hold p/q"]),
    ("a directory and all above", &["hold p/q/d", "hold p/q", "hold p", "hold ."]),
    ("a directory and a file in it", &["hold p/q/d", "hold.rw p/q/d/c"]),
    ("a directory and one below", &["hold p/q/d", "hold p/q/d/s"]),
];

/// The layers that have the file and the directory: calls on the lower layer's tree (`x` of 6 bytes,
/// and `d` with `c` and `s/f`).
pub(crate) const STATES: &[(&str, &[&str])] = &[
    ("lower", &[]),
    (
        "upper",
        &[
            "unlink p/q/x", "create p/q/x anew", "empty p/q/d", "rmdir p/q/d", "mkdir p/q/d",
            "create p/q/d/c anew", "mkdir p/q/d/s", "create p/q/d/s/f anew",
        ],
    ),
    (
        "upper alone",
        &[
            "rename p/q/x gone1", "unlink gone1", "rename p p0", "mkdir p", "mkdir p/q",
            "create p/q/x anew", "create p/q/sib anew", "mkdir p/q/d", "create p/q/d/c anew", "mkdir p/q/d/s",
            "create p/q/d/s/f anew",
        ],
    ),
    ("copied up", &["write p/q/x", "write p/q/d/c"]),
    ("copied up by name", &["times p/q/x", "times p/q/d"]),
    ("merged", &["create p/q/d/new anew", "unlink p/q/d/s/f", "create p/q/y0 anew"]),
    ("moved here", &["rename p/q/x t", "rename t p/q/x", "rename p/q/d t", "rename t p/q/d"]),
    ("with another name", &["link p/q/x other/l"]),
    ("in what has moved", &["rename p t", "rename t p"]),
];

/// Changes of the tree.
pub(crate) const EVENTS: &[(&str, &[&str])] = &[
    ("nothing", &[]),
    ("unlink", &["unlink p/q/x"]),
    ("unlink, create", &["unlink p/q/x", "create p/q/x anew"]),
    ("unlink, mkdir", &["unlink p/q/x", "mkdir p/q/x"]),
    ("rename", &["rename p/q/x p/q/y"]),
    ("rename away", &["rename p/q/x other/y"]),
    ("rename away and back", &["rename p/q/x other/y", "rename other/y p/q/x"]),
    ("rename, create", &["rename p/q/x p/q/y", "create p/q/x anew"]),
    ("rename, unlink", &["rename p/q/x p/q/y", "unlink p/q/y"]),
    ("rename over it", &["rename o p/q/x"]),
    ("rename its neighbour over it", &["rename p/q/sib p/q/x"]),
    ("rename it over another", &["rename p/q/x o"]),
    ("change places", &["rename p/q/x t", "rename o p/q/x", "rename t o"]),
    ("parent emptied", &["empty p/q"]),
    ("parent removed", &["empty p/q", "rmdir p/q"]),
    ("parent removed, made", &["empty p/q", "rmdir p/q", "mkdir p/q", "create p/q/x anew"]),
    ("both parents removed", &["empty p/q", "rmdir p/q", "rmdir p"]),
    ("rename, parent removed", &["rename p/q/x y", "empty p/q", "rmdir p/q"]),
    ("parent renamed", &["rename p/q p/r"]),
    ("parent renamed away", &["rename p/q other/q"]),
    ("grandparent renamed", &["rename p other/p"]),
    ("parent renamed, made", &["rename p/q p/r", "mkdir p/q", "create p/q/x anew"]),
    ("parents change places", &["rename p t", "rename other p", "rename t other"]),
    ("parent renamed, removed", &["rename p/q p/r", "empty p/r", "rmdir p/r"]),
    ("parent replaced", &["rename p/q p/r", "rename e p/q"]),
    ("size by another 2", &["size p/q/x 2"]),
    ("grown by another", &["size p/q/x 12"]),
    ("cut, unlink", &["size p/q/x 2", "unlink p/q/x"]),
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
    ("directory removed, made", &["empty p/q/d", "rmdir p/q/d", "mkdir p/q/d", "create p/q/d/c anew"]),
    ("directory removed, a file made", &["empty p/q/d", "rmdir p/q/d", "create p/q/d anew"]),
    ("directory renamed", &["rename p/q/d p/q/z"]),
    ("directory renamed away", &["rename p/q/d other/z"]),
    ("directory renamed, made", &["rename p/q/d other/z", "mkdir p/q/d", "create p/q/d/n anew"]),
    ("directory renamed, removed", &["rename p/q/d z", "empty z", "rmdir z"]),
    ("directory replaced", &["empty p/q/d", "rename e p/q/d"]),
    ("directory over another", &["rename p/q/d e"]),
    ("made inside", &["create p/q/d/n anew", "mkdir p/q/d/m"]),
    ("removed inside", &["unlink p/q/d/c"]),
    ("replaced inside", &["rename o p/q/d/c"]),
    ("moved out", &["rename p/q/d/c c", "rename p/q/d/s s"]),
    ("moved in", &["rename other p/q/d/in"]),
    ("moved below itself", &["rename p/q/d/s t", "rename p/q/d t/d"]),
];

/// Calls through an open file. After each, the state of every handle is compared.
pub(crate) const FILE_CALLS: &[&str] = &[
    "look @", "write @", "append @", "size @ 2", "append @", "size @ 12", "write @", "times @", "sync @",
];

/// Calls through an open directory.
pub(crate) const DIR_CALLS: &[&str] = &[
    "look @", "stat @/c", "stat @/x", "stat @/..", "open.r @/c", "open.rw @/s/f", "open.wcx @/n", "mkdir @/m",
    "symlink c @/l", "readlink @/l", "rename @/n @/n2", "link @/n2 @/n3", "unlink @/n2",
    "rename @/n3 fromheld", "rename o @/o2", "rmdir @/m", "unlink @/c", "times @", "sync.d @", "look @",
];

/// Names that the open file may have after the event.
pub(crate) const NAMES: &[&str] = &[
    "p/q/x", "p/q/y", "other/y", "o", "y", "p/r/x", "other/q/x", "other/p/q/x", "other/l",
    "other/q/d", "p/q/d", "p/q/z", "other/z", "e", "p/r/d", "other/p/q/d", "p/q", "p/r", "other/q",
    "t/d", "s", "p", ".",
];
