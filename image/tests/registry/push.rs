//! Pushes: blobs that the registry has are not sent, and the name is set last.

use crate::fake::{Auth, Fake, INDEX, MANIFEST, descriptor};
use crate::http::Reply;
use crate::{Events, Local, client, noise, options};
use std::time::Duration;
use wasi_overlay_image::Digest;
use wasi_overlay_image::registry::{Client, Credentials, Error, Options, Silent};

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
    client.push(&local.store, digest, &fake.reference("2"), &Silent)
}

/// Gives the image of the store a name in the repository `base` of the registry.
fn name_base(local: &Local, fake: &Fake) {
    let name = local.store.entries().unwrap()[0].name.clone().unwrap();
    let base = format!("{}/base:1", fake.host()).parse().unwrap();
    local.store.tag(&name.parse().unwrap(), &base).unwrap();
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
    name_base(&local, &fake);
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
fn interrupted_upload_is_retried() {
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
    name_base(&local, &fake);
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

#[test]
fn progress_of_an_upload_is_reported() {
    let (local, digest, layer) = pulled();
    for upload_chunk in [None, Some(100_000)] {
        let (fake, events) = (Fake::start(), Events::default());
        let client = client(Options {
            upload_chunk,
            ..options()
        });
        client
            .push(&local.store, digest, &fake.reference("2"), &events)
            .unwrap();
        let name = Digest::of(&layer).hex()[..4].to_owned();
        let lines: Vec<_> = events
            .take()
            .into_iter()
            .filter(|line| line.contains(&name))
            .collect();
        assert_eq!(lines[0], format!("start {name} 0/{SIZE}"));
        assert!(lines.contains(&format!("at {name} {SIZE}")), "{lines:?}");
        assert_eq!(lines.last().unwrap(), &format!("Transferred {name}"));
        assert!(lines.len() > 4, "{lines:?}");
    }
}

#[test]
fn blob_that_cannot_be_mounted_is_sent() {
    let (local, digest, layer) = pulled();
    let fake = Fake::start();
    name_base(&local, &fake);
    push(&local, &client(options()), &fake, digest).unwrap();
    assert_eq!(
        fake.state.lock().unwrap().blobs[&Digest::of(&layer).to_string()],
        layer
    );
    // The upload that the registry opened instead was used.
    assert_eq!(fake.requests("POST").len(), 2);
}

#[test]
fn only_image_of_an_index_is_pushed_alone() {
    let fake = Fake::start();
    let layer = noise(1, SIZE);
    let (digest, absent) = (fake.add_image(None, &[&layer]), Digest::of(b"absent"));
    let bytes = fake.state.lock().unwrap().manifests[&digest.to_string()]
        .1
        .clone();
    let entry = descriptor(MANIFEST, &bytes).replacen(
        '{',
        r#"{"platform":{"os":"wasip2","architecture":"wasm"},"#,
        1,
    );
    let other = format!(
        r#"{{"platform":{{"os":"linux","architecture":"arm64"}},"mediaType":"{MANIFEST}","digest":"{absent}","size":9}}"#
    );
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{other},{entry}]}}"#);
    fake.add_manifest(INDEX, &text, Some("1"));
    let local = Local::new();
    let pulled = local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap();
    assert_eq!(pulled.manifest, digest);
    let target = Fake::start();
    let events = Events::default();
    let pushed = client(options())
        .push(&local.store, pulled.digest, &target.reference("2"), &events)
        .unwrap();
    assert_eq!(pushed, digest);
    assert!(events.take().iter().any(|line| line.starts_with("warning")));
}

#[test]
fn whole_index_is_pushed_with_its_images() {
    let fake = Fake::start();
    let local = Local::new();
    let mut entries = Vec::new();
    for text in ["first", "second"] {
        let manifest = crate::fake::manifest(b"{}", &[text.as_bytes()]);
        for bytes in [&b"{}"[..], text.as_bytes(), manifest.as_bytes()] {
            local.store.write_blob(bytes).unwrap();
        }
        entries.push(descriptor(MANIFEST, manifest.as_bytes()));
    }
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        entries.join(",")
    );
    let digest = local.store.write_blob(index.as_bytes()).unwrap();
    assert_eq!(
        push(&local, &client(options()), &fake, digest).unwrap(),
        digest
    );
    assert_eq!(fake.requests("PUT /v2/app/manifests/").len(), 3);
    assert_eq!(fake.lines().last().unwrap(), "PUT /v2/app/manifests/2");
    let state = fake.state.lock().unwrap();
    for text in ["first", "second"] {
        assert!(
            state
                .blobs
                .contains_key(&Digest::of(text.as_bytes()).to_string())
        );
    }
}
