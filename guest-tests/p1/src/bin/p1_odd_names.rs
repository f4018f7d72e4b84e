//! A listing that ends at an error has given every name that it can give. Here there are no others;
//! `host/tests/guests/odd_names.rs` runs this where some names are no UTF-8.

use guests_p1::{Code, at};

fn main() {
    let (mut names, mut failures) = (Vec::new(), Vec::new());
    // As std has it, over C's `readdir`: nothing comes after an error.
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
