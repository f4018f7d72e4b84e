//! A listing that fails has given every name that it can give before. Here there are no others;
//! `host/tests/guests/odd_names.rs` runs this where some names are no UTF-8.

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
