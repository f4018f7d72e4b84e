//! A listing returns all names that it can before it fails. In the fixture every name can be returned;
//! `host/tests/guests/odd_names.rs` runs this guest where some names are not UTF-8.

use guests_p1::{Code, at};

fn main() {
    let (mut names, mut failures) = (Vec::new(), Vec::new());
    // `std` uses C's `readdir`, which returns nothing after an error.
    for entry in std::fs::read_dir(at(".")).expect("it can be listed") {
        match entry {
            Ok(entry) => names.push(entry.file_name().into_string().expect("WASI's are UTF-8")),
            Err(error) => failures.push(error.code()),
        }
    }
    names.sort();
    println!("names: {names:?}");
    println!("failures: {failures:?}");
}
