//! Pushes: what the registry has is not sent, and the name comes last.

use crate::fake::{Auth, Fake};
use crate::http::Reply;
use crate::{Events, Local, client, noise, options};
use std::time::Duration;
use wasi_overlay_image::Digest;
use wasi_overlay_image::registry::{Client, Credentials, Error, Options, Push};

const SIZE: usize = 300_000;

/// A store with an image of one layer, pulled from a registry of its own.
fn pulled() -> (Local, Digest, Vec<u8>) {
    let fake = Fake::start();
    let layer = noise(1, SIZE);
    let digest = fake.add_image(Some("1"), &[&layer]);
    let local = Local::new();
    local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap();
    (local, digest, layer)
}

fn push(local: &Local, client: &Client, fake: &Fake, digest: Digest) -> Result<Digest, Error> {
    let push = Push {
        digest,
        reference: &fake.reference("2"),
        mount_from: &["base".to_owned()],
    };
    client.push(&local.store, &push, &Events::default())
}

#[test]
fn pushed_image_can_be_pulled_and_its_name_came_last() {
    let (local, digest, layer) = pulled();
    let fake = Fake::start();
    assert_eq!(
        push(&local, &client(options()), &fake, digest).unwrap(),
        digest
    );
    assert_eq!(fake.lines().last().unwrap(), "PUT /v2/app/manifests/2");
    assert_eq!(
        fake.state.lock().unwrap().blobs[&Digest::of(&layer).to_string()],
        layer
    );
    let other = Local::new();
    let back = other
        .pull(&client(options()), &fake.reference("2"))
        .unwrap();
    assert_eq!(back.digest, digest);
    assert!(other.has(&layer));
}

#[test]
fn blob_that_the_registry_has_is_not_sent() {
    let (local, digest, layer) = pulled();
    let fake = Fake::start();
    push(&local, &client(options()), &fake, digest).unwrap();
    let before = fake.requests("uploads").len();
    push(&local, &client(options()), &fake, digest).unwrap();
    assert_eq!(fake.requests("uploads").len(), before);
    assert_eq!(
        fake.requests(&format!("HEAD /v2/app/blobs/{}", Digest::of(&layer)))
            .len(),
        2
    );
}

#[test]
fn blob_is_mounted_from_another_repository() {
    let (local, digest, layer) = pulled();
    let fake = Fake::start();
    fake.add_blob(&layer);
    // It is in the registry, but not in this repository.
    fake.answer("HEAD /v2/app/blobs/", 2, Reply::new(404));
    push(&local, &client(options()), &fake, digest).unwrap();
    let posts = fake.requests("POST");
    assert!(
        posts
            .iter()
            .any(|r| r.parameter("mount") == Some(Digest::of(&layer).to_string()))
    );
    let sent: usize = fake.requests("PUT").iter().map(|r| r.body.len()).sum();
    assert!(sent < SIZE, "{sent} bytes were sent");
}

#[test]
fn blob_is_sent_in_pieces_if_asked_for() {
    let (local, digest, layer) = pulled();
    let fake = Fake::start();
    let client = client(Options {
        upload_chunk: Some(100_000),
        parallel: 1,
        ..options()
    });
    push(&local, &client, &fake, digest).unwrap();
    let ranges: Vec<_> = fake.requests("PATCH");
    let ranges: Vec<_> = ranges
        .iter()
        .filter_map(|r| r.header("content-range"))
        .collect();
    assert_eq!(ranges[..3], ["0-99999", "100000-199999", "200000-299999"]);
    assert_eq!(
        fake.state.lock().unwrap().blobs[&Digest::of(&layer).to_string()],
        layer
    );
}

#[test]
fn interrupted_upload_is_repeated() {
    let (local, digest, layer) = pulled();
    for chunk in [None, Some(100_000)] {
        let fake = Fake::start();
        fake.answer("PUT /v2/app/blobs/", 1, Reply::new(500));
        fake.answer("PATCH", 1, Reply::new(502));
        let client = client(Options {
            upload_chunk: chunk,
            ..options()
        });
        push(&local, &client, &fake, digest).unwrap();
        assert_eq!(
            fake.state.lock().unwrap().blobs[&Digest::of(&layer).to_string()],
            layer
        );
    }
}

#[test]
fn refused_blob_leaves_no_name() {
    let (local, digest, _) = pulled();
    let fake = Fake::start();
    let reply = Reply::new(400).body(r#"{"errors":[{"code":"SIZE_INVALID","message":"too bad"}]}"#);
    fake.answer("PUT /v2/app/blobs/", 9, reply);
    let error = push(&local, &client(options()), &fake, digest).unwrap_err();
    assert!(error.to_string().contains("too bad"), "{error}");
    assert!(fake.requests("PUT /v2/app/manifests").is_empty());
}

#[test]
fn push_asks_for_a_token_to_push() {
    let (local, digest, _) = pulled();
    let fake = Fake::with_auth(Auth::Bearer {
        account: Some("me:secret"),
        lifetime: Duration::from_secs(3600),
    });
    let credentials = Some(Credentials::parse("me:secret"));
    let client = client(Options {
        credentials,
        ..options()
    });
    push(&local, &client, &fake, digest).unwrap();
    let tokens = fake.requests("/token");
    assert_eq!(tokens.len(), 1);
    assert!(
        tokens[0].query.contains("repository%3Aapp%3Apull%2Cpush"),
        "{}",
        tokens[0].query
    );
    assert!(
        tokens[0].query.contains("repository%3Abase%3Apull"),
        "{}",
        tokens[0].query
    );
}

#[test]
fn incomplete_image_is_not_pushed() {
    let (local, digest, layer) = pulled();
    std::fs::remove_file(local.store.blob_path(&Digest::of(&layer))).unwrap();
    let fake = Fake::start();
    let error = push(&local, &client(options()), &fake, digest).unwrap_err();
    assert!(
        error.to_string().contains(&Digest::of(&layer).to_string()),
        "{error}"
    );
    assert!(fake.requests("PUT /v2/app/manifests").is_empty());
}
