//! A listing returns all names that it can before it fails. In the fixture every name can be returned;
//! `host/tests/guests/odd_names.rs` runs this guest where some names are not UTF-8.

use guests_p2::{root, say};

fn run() {
    let (mut names, mut failures, mut late) = (Vec::new(), Vec::new(), Vec::new());
    let stream = root().read_directory().expect("it can be listed");
    loop {
        match stream.read_directory_entry() {
            Ok(Some(entry)) => {
                // A C library ends at the first error.
                let list = if failures.is_empty() {
                    &mut names
                } else {
                    &mut late
                };
                list.push(entry.name);
            }
            Ok(None) => break,
            Err(code) => failures.push(code.name()),
        }
    }
    assert!(
        matches!(stream.read_directory_entry(), Ok(None)),
        "it is at its end"
    );
    names.sort();
    say!("names: {names:?}");
    say!("failures: {failures:?}");
    say!("names after a failure: {late:?}");
}

guests_p2::command!(run);
