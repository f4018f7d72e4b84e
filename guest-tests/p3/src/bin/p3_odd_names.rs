//! A listing returns all names that it can before it fails. In the fixture every name can be returned;
//! `host/tests/guests/odd_names.rs` runs this guest where some names are not UTF-8.

use guests_p3::{root, say, show};

async fn run() {
    let (stream, ended) = root().read_directory();
    let entries = stream.collect().await;
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    say!("names: {names:?}");
    show("ended", ended.await);
}

guests_p3::command!(run);
