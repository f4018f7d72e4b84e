//! A file with two names from the start: readers see one object.
//!
//! The guest does not write, because a copy-up separates the names, as on Linux.

use guests_p1::{ROOT, at, raw, show, show_data, tried};
use std::fs;

fn main() {
    let one = raw::stat(ROOT, "hard/first", false).expect("it is there");
    let two = raw::stat(ROOT, "hard/second", false).expect("it is there");
    show(
        "one object",
        Ok::<_, std::io::Error>((one.dev, one.ino) == (two.dev, two.ino)),
    );
    show_data("first", fs::read(at("hard/first")));
    show_data("second", fs::read(at("hard/second")));
    tried("unlink one", fs::remove_file(at("hard/first")));
    show_data("second", fs::read(at("hard/second")));
    let left = raw::stat(ROOT, "hard/second", false).expect("it is there");
    assert_eq!(
        (left.dev, left.ino),
        (two.dev, two.ino),
        "it is the same file still"
    );
}
