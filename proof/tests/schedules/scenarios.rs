//! Scenarios: the calls that each thread makes, as scripts. `unmount` closes the overlay.
//!
//! A call resolves its path one name after the other, here as on any system. So where a path has
//! several names, no thread may change them twice: the walk could combine states that never existed
//! together.

/// Answers that a call with two paths can give although no order of whole calls does, and the answers
/// that they count as. Linux resolves one path after the other, too: the file at the first path may
/// have moved below the second, or to it.
pub(crate) const ALLOWED: &[(&str, &str)] = &[
    ("rename d e/d: Invalid", "rename d e/d: NoEntry"),
    ("rename e d/e: Invalid", "rename e d/e: NoEntry"),
    ("link d/f e/l: Exist", "link d/f e/l: NoEntry"),
];

/// Lower: `d/f`, `d/g`, `d/s/x`, `e/h`, `w`. See [`crate::world::World`].
pub(crate) const SCENARIOS: &[&[&[&str]]] = &[
    // Two renames that cross.
    &[&["rename d/f e/f"], &["rename e/h d/h"]],
    &[&["rename d/f e/f"], &["rename e/h d/f"]],
    &[&["rename d e/d"], &["rename e d/e"]],
    &[&["rename d x"], &["rename d/f e/f"]],
    &[&["rename d x"], &["rename e x"]],
    &[&["rename d/s e/s"], &["rename d x"]],
    &[&["rename d/f w"], &["rename w d/f"]],
    &[&["rename d/s x", "rename x d/s"], &["list d"]],
    &[&["rename e x"], &["rename d/s x/s"], &["stat.n d/s/x"]],
    // A copy-up, and something else with the file.
    &[&["write.rw d/f A"], &["write.rw d/f B"]],
    &[
        &["append.rw d/f A"],
        &["append.rw d/f B"],
        &["append.rw d/f C"],
    ],
    &[&["write.rw d/f A"], &["unlink d/f"]],
    &[&["write.rw d/f A"], &["unlink d/f", "unlink d/g"]],
    &[&["create.rwcx d/n", "write.rw d/f A"], &["unlink d/f"]],
    &[
        &["create.rwcx d/n", "open 1 0 r d/f", "read 1 0 64"],
        &["unlink d/f"],
    ],
    &[&["create.rwcx d/n", "unlink d/f"], &["rename d x"]],
    &[
        &["write.rw d/f A"],
        &["unlink d/f", "create.rwcx d/f", "stat.n d/g"],
    ],
    &[&["write.rw d/f A"], &["rename d/f e/f"]],
    &[&["write.rw d/f A"], &["rename d x"]],
    &[&["write.rw d/s/x A"], &["rename d x"]],
    &[&["write.rw d/s/x A"], &["rename d/s e/s"]],
    &[&["write.rw d/f A"], &["rename w d/f"]],
    &[
        &["open 1 0 r d/f", "read 1 0 64", "read 1 0 64"],
        &["write.rw d/f A"],
    ],
    &[
        &["open 1 0 r d/f", "read 1 0 64", "read 1 0 64"],
        &["unlink d/f"],
    ],
    &[&["open 1 0 r d/f", "times #1", "stat #1"], &["unlink d/f"]],
    &[
        &["open 1 0 r d/f", "times #1", "stat #1"],
        &["write.rw d/f A"],
    ],
    &[
        &["open 1 0 r d/f", "read 1 0 64", "same.n #1 e/f"],
        &["rename d/f e/f"],
    ],
    // The copy came with its directory, and its name goes.
    &[
        &["open 1 0 r d/f", "read 1 0 64", "read 1 0 64"],
        &["rename d x", "unlink x/f"],
    ],
    &[
        &["open 1 0 r d/f", "read 1 0 64", "read 1 0 64"],
        &["rename d x", "rename x/f e/f"],
    ],
    &[
        &["open 1 0 r d/f", "times #1", "stat #1"],
        &["rename d x", "unlink x/f"],
    ],
    &[&["write.rw d/f A"], &["link d/f e/l"]],
    &[&["link d/f e/l"], &["unlink d/f"]],
    &[&["link d/f e/l"], &["link d/f e/l"]],
    &[&["link d/f e/l"], &["rename d/f e/l"]],
    &[&["stat.n d/f", "stat.n d/f"], &["write.rw d/f A"]],
    &[&["write.rw d/g A"], &["unlink d/f", "stat.n d/f"]],
    &[&["write.rw d/f A"], &["append.rw d/f B", "stat.n d/f"]],
    &[&["times d/f"], &["write.rw d/f A"]],
    &[&["times d/f"], &["unlink d/f"]],
    // An attribute, and another file that gets the name.
    &[&["set-xattr d/f"], &["write.rw w A", "rename w d/f"]],
    &[&["set-xattr d/f", "xattr d/f"], &["rename w d/f"]],
    &[&["set-xattr d/f", "remove-xattr d/f"], &["rename d/f e/f"]],
    &[
        &["set-xattr d/f", "remove-xattr d/f"],
        &["remove-xattr d/f"],
    ],
    &[&["set-xattr d/f"], &["write.rw d/f A"], &["rename d/f e/f"]],
    // Names that come and go.
    &[&["create.rwcx d/n"], &["list d"]],
    &[&["create.rwcx d/n"], &["create.rwcx d/n"]],
    &[&["create.rwcx d/n", "unlink d/n"], &["list d", "list d"]],
    &[&["unlink d/f"], &["list d"]],
    &[&["unlink d/f"], &["unlink d/f"]],
    &[&["unlink d/f"], &["create.rwcx d/f"]],
    &[
        &["unlink d/f", "create.rwcx d/f"],
        &["open 1 0 r d/f", "read 1 0 64"],
    ],
    &[&["unlink d/f"], &["stat.n d/f"], &["create.rwcx d/f"]],
    &[&["mkdir d/n"], &["rename d x"]],
    &[&["mkdir n"], &["create.rwcx n/x"], &["rmdir n"]],
    &[&["rmdir d/o"], &["create.rwcx d/o/x"]],
    &[&["rmdir d/o"], &["rename w d/o/x"]],
    &[&["rmdir d/o"], &["rename d/o e/o"]],
    &[&["rmdir d/o"], &["rename d/s d/o"]],
    &[&["rmdir d/o", "mkdir d/o"], &["create.rwcx d/o/x"]],
    &[&["unlink d/s/x", "rmdir d/s"], &["create.rwcx d/s/y"]],
    &[&["unlink d/s/x", "rmdir d/s"], &["write.rw d/s/x A"]],
    &[&["unlink d/s/x", "rmdir d/s"], &["link w d/s/y"]],
    &[&["open 2 0 r d/s", "create.rwcx #2/y"], &["rename d x"]],
    &[&["open 2 0 r d/s", "create.rwcx #2/y"], &["rename d/s e/s"]],
    &[&["open 2 0 r d/o", "create.rwcx #2/y"], &["rmdir d/o"]],
    &[&["symlink f d/l"], &["stat.n d/l"], &["unlink d/l"]],
    // A handle of a directory that moves.
    &[
        &["open 2 0 r d/s", "stat #2", "stat #2", "list #2"],
        &["rename d x"],
    ],
    &[
        &["open 2 0 r d/s", "create.rwcx #2/y", "list #2"],
        &["rename d x"],
        &["stat.n d/s"],
    ],
    &[
        &["mkdir n", "mkdir n/m", "rename n x", "list x/m"],
        &["stat.n n/m"],
    ],
    &[
        &[
            "symlink f d/l",
            "open 2 0 r d",
            "stat #2/l",
            "readlink #2/l",
        ],
        &["rename d x"],
    ],
    // The end of the mount.
    &[&["unmount"], &["create.rwcx d/n"]],
    &[&["unmount"], &["write.rw d/f A"]],
    &[&["unmount"], &["rename d/f e/f"]],
    &[&["unmount"], &["unlink d/f"], &["list d"]],
    &[&["unmount"], &["unmount"]],
];
