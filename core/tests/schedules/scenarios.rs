//! What threads do at once, a list of steps each, in the words of [`crate::world`].
//!
//! A call resolves its path one name after the other, here as on any system. So where a path has
//! several names, no thread may change them twice, or the walk can see what never was at one time.

/// Answers that a walk of two paths can give although no order of whole calls does, and what they
/// stand for. Linux, too, looks at one path after the other: what the first led to may have moved
/// below the second, or to where the second leads.
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
    &[&["rename e x"], &["rename d/s x/s"], &["stat d/s/x"]],
    // A copy-up, and something else with the file.
    &[&["write d/f A"], &["write d/f B"]],
    &[&["append d/f A"], &["append d/f B"], &["append d/f C"]],
    &[&["write d/f A"], &["unlink d/f"]],
    &[&["write d/f A"], &["unlink d/f", "unlink d/g"]],
    &[&["create d/n", "write d/f A"], &["unlink d/f"]],
    &[&["create d/n", "open d/f", "read"], &["unlink d/f"]],
    &[&["create d/n", "unlink d/f"], &["rename d x"]],
    &[&["write d/f A"], &["unlink d/f", "create d/f", "stat d/g"]],
    &[&["write d/f A"], &["rename d/f e/f"]],
    &[&["write d/f A"], &["rename d x"]],
    &[&["write d/s/x A"], &["rename d x"]],
    &[&["write d/s/x A"], &["rename d/s e/s"]],
    &[&["write d/f A"], &["rename w d/f"]],
    &[&["open d/f", "read", "read"], &["write d/f A"]],
    &[&["open d/f", "read", "read"], &["unlink d/f"]],
    &[&["open d/f", "times", "look"], &["unlink d/f"]],
    &[&["open d/f", "times", "look"], &["write d/f A"]],
    &[&["open d/f", "read", "same e/f"], &["rename d/f e/f"]],
    // The copy came with its directory, and its name goes.
    &[&["open d/f", "read", "read"], &["rename d x", "unlink x/f"]],
    &[
        &["open d/f", "read", "read"],
        &["rename d x", "rename x/f e/f"],
    ],
    &[
        &["open d/f", "times", "look"],
        &["rename d x", "unlink x/f"],
    ],
    &[&["write d/f A"], &["link d/f e/l"]],
    &[&["link d/f e/l"], &["unlink d/f"]],
    &[&["link d/f e/l"], &["link d/f e/l"]],
    &[&["link d/f e/l"], &["rename d/f e/l"]],
    &[&["stat d/f", "stat d/f"], &["write d/f A"]],
    &[&["write d/g A"], &["unlink d/f", "stat d/f"]],
    &[&["write d/f A"], &["append d/f B", "stat d/f"]],
    &[&["times d/f"], &["write d/f A"]],
    &[&["times d/f"], &["unlink d/f"]],
    // An attribute, and another file that gets the name.
    &[&["mark d/f"], &["write w A", "rename w d/f"]],
    &[&["mark d/f", "marks d/f"], &["rename w d/f"]],
    &[&["mark d/f", "unmark d/f"], &["rename d/f e/f"]],
    &[&["mark d/f", "unmark d/f"], &["unmark d/f"]],
    &[&["mark d/f"], &["write d/f A"], &["rename d/f e/f"]],
    // Names that come and go.
    &[&["create d/n"], &["list d"]],
    &[&["create d/n"], &["create d/n"]],
    &[&["create d/n", "unlink d/n"], &["list d", "list d"]],
    &[&["unlink d/f"], &["list d"]],
    &[&["unlink d/f"], &["unlink d/f"]],
    &[&["unlink d/f"], &["create d/f"]],
    &[&["unlink d/f", "create d/f"], &["open d/f", "read"]],
    &[&["unlink d/f"], &["stat d/f"], &["create d/f"]],
    &[&["mkdir d/n"], &["rename d x"]],
    &[&["mkdir n"], &["create n/x"], &["rmdir n"]],
    &[&["rmdir d/o"], &["create d/o/x"]],
    &[&["rmdir d/o"], &["rename w d/o/x"]],
    &[&["rmdir d/o"], &["rename d/o e/o"]],
    &[&["rmdir d/o"], &["rename d/s d/o"]],
    &[&["rmdir d/o", "mkdir d/o"], &["create d/o/x"]],
    &[&["unlink d/s/x", "rmdir d/s"], &["create d/s/y"]],
    &[&["unlink d/s/x", "rmdir d/s"], &["write d/s/x A"]],
    &[&["unlink d/s/x", "rmdir d/s"], &["link w d/s/y"]],
    &[&["openDir d/s", "inside y"], &["rename d x"]],
    &[&["openDir d/s", "inside y"], &["rename d/s e/s"]],
    &[&["openDir d/o", "inside y"], &["rmdir d/o"]],
    &[&["symlink f d/l"], &["stat d/l"], &["unlink d/l"]],
    // The end of the mount.
    &[&["close"], &["create d/n"]],
    &[&["close"], &["write d/f A"]],
    &[&["close"], &["rename d/f e/f"]],
    &[&["close"], &["unlink d/f"], &["list d"]],
    &[&["close"], &["close"]],
];
