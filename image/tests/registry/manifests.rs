//! Manifests and indexes: bounds, digests, the choice of a platform.

use crate::fake::{Fake, INDEX, MANIFEST, descriptor, manifest};
use crate::http::{Length, Reply};
use crate::{Local, client, noise, options};
use std::sync::atomic::Ordering;
use wasi_overlay_image::registry::{Error, Silent};
use wasi_overlay_image::{Choice, Digest};

#[test]
fn manifest_of_50_mb_is_not_read_to_its_end() {
    for length in [Length::Right, Length::Chunked, Length::Close] {
        let fake = Fake::start();
        fake.add_image(Some("1"), &[b"layer"]);
        let huge = Reply::new(200).body(vec![b' '; 50 << 20]).length(length);
        fake.answer("GET /v2/app/manifests/", 1, huge);
        let local = Local::new();
        let error = local
            .pull(&client(options()), &fake.reference("1"))
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::TooLarge {
                    limit: 4_194_304,
                    ..
                }
            ),
            "{error}"
        );
        let sent = fake.server.sent.load(Ordering::SeqCst);
        assert!(sent < 20 << 20, "{length:?}: {sent} bytes were read");
    }
}

#[test]
fn header_without_end_is_refused() {
    let fake = Fake::start();
    let reply = Reply::new(200).header("X-Long", "x".repeat(1 << 20));
    fake.answer("HEAD", 1, reply);
    let error = Local::new()
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn manifest_with_another_digest_is_refused() {
    // A registry that sends another manifest than it announced, and one that lies about the digest.
    let fake = Fake::start();
    let digest = fake.add_image(Some("1"), &[b"layer"]);
    let other = manifest(b"{}", &[b"other"]);
    let reply = Reply::new(200).header("Content-Type", MANIFEST).body(other);
    fake.answer(&format!("manifests/{digest}"), 1, reply.clone());
    let local = Local::new();
    let error = local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    assert!(!local.store.has(&digest).unwrap());

    fake.answer("HEAD", 1, Reply::new(405));
    let lie = reply.header("Docker-Content-Digest", digest.to_string());
    fake.answer("manifests/1", 1, lie);
    let error = local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
}

#[test]
fn registry_without_head_or_digest_header_works() {
    let fake = Fake::start();
    let digest = fake.add_image(Some("1"), &[b"layer"]);
    fake.answer("HEAD", 1, Reply::new(405));
    let pulled = Local::new()
        .pull(&client(options()), &fake.reference("1"))
        .unwrap();
    assert_eq!(pulled.digest, digest);
    fake.answer("HEAD", 1, Reply::new(200));
    let resolved = client(options())
        .resolve(&fake.reference("1"), &Silent)
        .unwrap();
    assert_eq!(resolved, digest);
}

#[test]
fn resolve_asks_only_for_the_head() {
    let fake = Fake::start();
    let digest = fake.add_image(Some("1"), &[b"layer"]);
    let client = client(options());
    assert_eq!(
        client.resolve(&fake.reference("1"), &Silent).unwrap(),
        digest
    );
    assert_eq!(fake.lines(), ["HEAD /v2/app/manifests/1"]);
    let reference = fake.reference("1").with_digest(digest);
    assert_eq!(client.resolve(&reference, &Silent).unwrap(), digest);
    assert_eq!(fake.lines().len(), 1);
}

#[test]
fn unknown_tag_is_named() {
    let fake = Fake::start();
    let error = Local::new()
        .pull(&client(options()), &fake.reference("none"))
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("app:none"), "{error}");
}

#[test]
fn what_is_no_manifest_is_an_error() {
    for (body, part) in [
        ("<html>", "not JSON"),
        ("{}", "neither manifests nor layers"),
        (r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1"),
        (r#"{"manifests":[],"layers":[]}"#, "both"),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"md5:0","size":0},"layers":[]}"#,
            "md5",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":-1},"layers":[]}"#,
            "-1",
        ),
    ] {
        let fake = Fake::start();
        let digest = fake.add_manifest(MANIFEST, body, Some("1"));
        let error = Local::new()
            .pull(&client(options()), &fake.reference("1"))
            .unwrap_err();
        assert!(error.to_string().contains(part), "{digest}: {error}");
    }
}

/// An index of four platforms and an attestation; the layer of each holds its platform.
fn four_platforms(fake: &Fake) -> Digest {
    let mut entries = Vec::new();
    for (os, architecture) in [
        ("linux", "amd64"),
        ("linux", "arm64"),
        ("wasip1", "wasm"),
        ("wasip2", "wasm"),
    ] {
        let text = manifest(b"{}", &[format!("{os}/{architecture}").as_bytes()]);
        fake.add_blob(b"{}");
        fake.add_blob(format!("{os}/{architecture}").as_bytes());
        fake.add_manifest(MANIFEST, &text, None);
        let entry = descriptor(MANIFEST, text.as_bytes());
        entries.push(entry.replacen(
            '{',
            &format!(r#"{{"platform":{{"os":"{os}","architecture":"{architecture}"}},"#),
            1,
        ));
    }
    let attestation = descriptor(MANIFEST, b"attestation").replacen(
        '{',
        r#"{"annotations":{"vnd.docker.reference.type":"attestation-manifest"},"platform":{"os":"unknown","architecture":"unknown"},"#,
        1,
    );
    entries.insert(0, attestation);
    index(fake, &entries, Some("1"))
}

fn index(fake: &Fake, entries: &[String], tag: Option<&str>) -> Digest {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
        entries.join(",")
    );
    fake.add_manifest(INDEX, &text, tag)
}

#[test]
fn platform_is_chosen_and_only_its_layers_are_downloaded() {
    let fake = Fake::start();
    let root = four_platforms(&fake);
    for (platform, layer) in [
        (None, "wasip2/wasm"),
        (Some("wasip1/wasm"), "wasip1/wasm"),
        (Some("linux/arm64"), "linux/arm64"),
    ] {
        let local = Local::new();
        let choice = Choice {
            platform: platform.map(|platform| platform.parse().unwrap()),
            ..Choice::default()
        };
        let pulled = client(options())
            .pull(&local.store, &fake.reference("1"), &choice, &Silent)
            .unwrap();
        assert_eq!(pulled.digest, root);
        let text = manifest(b"{}", &[layer.as_bytes()]);
        assert_eq!(pulled.manifest, Digest::of(text.as_bytes()));
        for other in ["linux/amd64", "linux/arm64", "wasip1/wasm", "wasip2/wasm"] {
            assert_eq!(
                local.has(other.as_bytes()),
                other == layer,
                "{other} for {platform:?}"
            );
        }
    }
}

#[test]
fn missing_platform_lists_what_there_is() {
    let fake = Fake::start();
    four_platforms(&fake);
    let choice = Choice {
        platform: Some("linux/riscv64".parse().unwrap()),
        ..Choice::default()
    };
    let local = Local::new();
    let error = client(options())
        .pull(&local.store, &fake.reference("1"), &choice, &Silent)
        .unwrap_err();
    let text = error.to_string();
    for part in ["linux/riscv64", "linux/arm64", "wasip2/wasm"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("unknown"), "{text}");
}

#[test]
fn index_within_an_index_is_part_of_it() {
    let fake = Fake::start();
    four_platforms(&fake);
    let inner = fake.state.lock().unwrap().manifests["app:1"].1.clone();
    let outer = index(&fake, &[descriptor(INDEX, &inner)], Some("2"));
    let local = Local::new();
    let pulled = local
        .pull(&client(options()), &fake.reference("2"))
        .unwrap();
    assert_eq!(pulled.digest, outer);
    assert!(local.has(b"wasip2/wasm"));
}

#[test]
fn endless_indexes_within_indexes_end() {
    let fake = Fake::start();
    let mut entry = descriptor(MANIFEST, b"none");
    for _ in 0..200 {
        let digest = index(&fake, &[entry], Some("1"));
        let bytes = fake.state.lock().unwrap().manifests[&digest.to_string()]
            .1
            .clone();
        entry = descriptor(INDEX, &bytes);
    }
    let error = Local::new()
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(error.to_string().contains("index"), "{error}");
    assert!(fake.lines().len() < 30);
}

#[test]
fn index_of_many_indexes_is_refused() {
    let fake = Fake::start();
    let mut entries = Vec::new();
    for number in 0..100 {
        let entry = descriptor(MANIFEST, format!("none {number}").as_bytes());
        let digest = index(&fake, &[entry], None);
        let bytes = fake.state.lock().unwrap().manifests[&digest.to_string()]
            .1
            .clone();
        entries.push(descriptor(INDEX, &bytes));
    }
    index(&fake, &entries, Some("1"));
    let error = Local::new()
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(error.to_string().contains("64 documents"), "{error}");
    assert!(fake.lines().len() < 70);
}

#[test]
fn foreign_layer_is_named_and_nothing_is_downloaded() {
    for (media_type, urls) in [
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "",
        ),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "",
        ),
        (
            "application/vnd.oci.image.layer.v1.tar",
            r#""urls":["http://127.0.0.1/x"],"#,
        ),
    ] {
        let fake = Fake::start();
        let layer = descriptor(media_type, b"layer").replacen('{', &format!("{{{urls}"), 1);
        let config = descriptor("application/vnd.oci.image.config.v1+json", b"{}");
        let text = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#);
        fake.add_manifest(MANIFEST, &text, Some("1"));
        fake.add_blob(b"{}");
        let error = Local::new()
            .pull(&client(options()), &fake.reference("1"))
            .unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert!(fake.requests("blobs/").is_empty());
    }
}

#[test]
fn huge_sizes_in_a_manifest_are_refused_before_a_download() {
    for (config, layer) in [(u64::MAX, 5), (2, u64::MAX)] {
        let fake = Fake::start();
        let sized = |bytes: &[u8], size: u64| {
            format!(
                r#"{{"mediaType":"a/b","digest":"{}","size":{size}}}"#,
                Digest::of(bytes)
            )
        };
        let text = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            sized(b"{}", config),
            sized(b"layer", layer)
        );
        fake.add_manifest(MANIFEST, &text, Some("1"));
        let error = Local::new()
            .pull(&client(options()), &fake.reference("1"))
            .unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        assert!(fake.requests("blobs/").is_empty());
    }
}

#[test]
fn layer_listed_twice_is_downloaded_once() {
    let fake = Fake::start();
    let layer = noise(1, 100);
    fake.add_image(Some("1"), &[&layer, &layer, b""]);
    let local = Local::new();
    local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap();
    assert!(local.has(&layer) && local.has(b""));
    assert_eq!(fake.requests(&Digest::of(&layer).to_string()).len(), 1);
}
