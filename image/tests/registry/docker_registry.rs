//! Debian's docker-registry, with skopeo as the other client. Skipped where they are missing, except in CI.

use crate::{Events, Local, client, noise, options};
use std::process::Command;
use wasi_overlay_image::registry::{Client, Credentials, Error, Options, Silent};
use wasi_overlay_image::{Choice, Digest, Reference};
use wasi_overlay_proof::machine::Need;
use wasi_overlay_proof::registry::Registry;

/// Starts a registry for a test that uses skopeo as well.
fn start(arguments: &[&str]) -> Option<Registry> {
    Registry::start("docker-registry", arguments, &[Need::Program("skopeo")])
}

fn reference_in(registry: &Registry, name: &str) -> Reference {
    format!("{}/{name}", registry.host()).parse().unwrap()
}

fn skopeo(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("skopeo").args(arguments).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn with_credentials(text: &str) -> Client {
    client(Options {
        credentials: Some(Credentials::parse(text)),
        ..options()
    })
}

/// A store with an image of these layers named `local/app:1`, and the digest of its manifest.
fn image(layers: &[&[u8]]) -> (Local, Digest) {
    let local = Local::new();
    let digests: Vec<_> = layers
        .iter()
        .map(|layer| format!("\"{}\"", Digest::of(layer)))
        .collect();
    let config = format!(
        r#"{{"architecture":"wasm","os":"wasip2","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        digests.join(",")
    );
    let text = crate::fake::manifest(config.as_bytes(), layers);
    for bytes in layers
        .iter()
        .copied()
        .chain([config.as_bytes(), text.as_bytes()])
    {
        local.store.write_blob(bytes).unwrap();
    }
    let digest = Digest::of(text.as_bytes());
    let descriptor = serde_json::from_str(&crate::fake::descriptor(
        crate::fake::MANIFEST,
        text.as_bytes(),
    ));
    let name = "registry.test/app:1".parse().unwrap();
    local.store.add_image(&name, &descriptor.unwrap()).unwrap();
    (local, digest)
}

fn push(
    local: &Local,
    client: &Client,
    reference: &Reference,
    digest: Digest,
) -> Result<Digest, Error> {
    client.push(&local.store, digest, reference, &Silent)
}

#[test]
fn skopeo_reads_what_we_push() {
    let Some(registry) = start(&[]) else {
        return;
    };
    let (big, small) = (noise(1, 3 << 20), noise(2, 10));
    let (local, digest) = image(&[&big, &small, b""]);
    for chunk in [None, Some(1 << 20)] {
        let name = format!("some/app:{}", chunk.unwrap_or(0));
        let reference = reference_in(&registry, &name);
        let client = client(Options {
            upload_chunk: chunk,
            ..options()
        });
        assert_eq!(push(&local, &client, &reference, digest).unwrap(), digest);
        let url = format!("docker://{reference}");
        let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &url]).unwrap();
        assert_eq!(Digest::of(raw.as_bytes()), digest);
        // skopeo checks every digest.
        let folder = tempfile::tempdir().unwrap();
        let copy = format!("dir:{}", folder.path().join("copy").display());
        skopeo(&["copy", "-q", "--src-tls-verify=false", &url, &copy]).unwrap();
    }
}

#[test]
fn we_read_what_skopeo_pushes() {
    let Some(registry) = start(&[]) else {
        return;
    };
    let layer = noise(1, 3 << 20);
    let (local, digest) = image(&[&layer]);
    let source = format!("oci:{}:registry.test/app:1", local.store.path().display());
    let reference = reference_in(&registry, "some/app:1");
    skopeo(&[
        "copy",
        "-q",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &source,
        &format!("docker://{reference}"),
    ])
    .unwrap();
    let other = Local::new();
    let client = client(options());
    let pulled = other.pull(&client, &reference).unwrap();
    assert_eq!(pulled.manifest, digest);
    assert!(other.has(&layer));
    // And skopeo reads our store.
    let folder = tempfile::tempdir().unwrap();
    let source = format!("oci:{}:{reference}", other.store.path().display());
    let copy = format!("oci:{}:copy", folder.path().join("copy").display());
    skopeo(&["copy", "-q", &source, &copy]).unwrap();
    assert_eq!(client.resolve(&reference, &Silent).unwrap(), digest);
}

#[test]
fn interrupted_pull_goes_on_by_range() {
    let Some(registry) = start(&[]) else {
        return;
    };
    let layer = noise(1, 3 << 20);
    let (local, digest) = image(&[&layer]);
    let reference = reference_in(&registry, "some/app:1");
    push(&local, &client(options()), &reference, digest).unwrap();
    let other = Local::new();
    let mut partial = other.store.partial(&Digest::of(&layer), None).unwrap();
    partial.write(&layer[..1 << 20]).unwrap();
    drop(partial);
    let events = Events::default();
    client(options())
        .pull(&other.store, &reference, &Choice::default(), &events)
        .unwrap();
    let name = Digest::of(&layer).hex()[..4].to_owned();
    let begun = format!("start {name} {}/{}", 1 << 20, 3 << 20);
    let lines = events.take();
    assert!(lines.contains(&begun), "{lines:?}");
    // The transfer did not start over.
    let first = lines
        .iter()
        .find(|line| line.starts_with(&format!("at {name}")))
        .unwrap();
    let first: usize = first.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(first > 1 << 20, "{first}");
}

#[test]
fn blob_is_mounted_from_another_repository() {
    let Some(registry) = start(&[]) else {
        return;
    };
    let layer = noise(1, 3 << 20);
    let (local, digest) = image(&[&layer]);
    push(
        &local,
        &client(options()),
        &reference_in(&registry, "base:1"),
        digest,
    )
    .unwrap();
    let base = reference_in(&registry, "base:1");
    let name = "registry.test/app:1".parse().unwrap();
    local.store.tag(&name, &base).unwrap();
    let events = Events::default();
    client(options())
        .push(
            &local.store,
            digest,
            &reference_in(&registry, "app:1"),
            &events,
        )
        .unwrap();
    let lines = events.take();
    assert!(
        lines.contains(&format!("Mounted {}", &Digest::of(&layer).hex()[..4])),
        "{lines:?}"
    );
}

#[test]
fn password_of_the_registry_is_needed() {
    let Some(registry) = start(&["--auth", "password"]) else {
        return;
    };
    let (local, digest) = image(&[b"layer"]);
    let reference = reference_in(&registry, "app:1");
    push(&local, &with_credentials("me:secret"), &reference, digest).unwrap();
    Local::new()
        .pull(&with_credentials("me:secret"), &reference)
        .unwrap();
    for client in [with_credentials("me:wrong"), client(options())] {
        let error = Local::new().pull(&client, &reference).unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
    }
}

#[test]
fn tokens_of_a_token_server_allow_what_they_say() {
    let Some(registry) = start(&["--auth", "token"]) else {
        return;
    };
    let (local, digest) = image(&[b"layer"]);
    let reference = reference_in(&registry, "some/app:1");
    let error = push(&local, &client(options()), &reference, digest).unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    let error = push(&local, &with_credentials("me:wrong"), &reference, digest).unwrap_err();
    assert!(
        error.to_string().contains("incorrect username or password"),
        "{error}"
    );
    push(&local, &with_credentials("me:secret"), &reference, digest).unwrap();
    // Anybody may pull.
    let other = Local::new();
    other.pull(&client(options()), &reference).unwrap();
    assert!(other.has(b"layer"));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.json");
    let entry = format!(
        r#"{{"auths":{{"{}/some":{{"identitytoken":"identity-token"}}}}}}"#,
        registry.host()
    );
    std::fs::write(&path, entry).unwrap();
    let client = client(Options {
        auth_file: Some(path),
        ..options()
    });
    push(
        &local,
        &client,
        &reference_in(&registry, "some/other:1"),
        digest,
    )
    .unwrap();
}

#[test]
fn expired_token_is_renewed() {
    let Some(registry) = start(&["--auth", "token", "--lifetime", "1"]) else {
        return;
    };
    let (local, digest) = image(&[b"layer"]);
    let client = with_credentials("me:secret");
    for tag in ["app:1", "app:2"] {
        push(&local, &client, &reference_in(&registry, tag), digest).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1200));
    }
}

#[test]
fn certificate_is_checked_unless_that_is_turned_off() {
    let Some(registry) = start(&["--tls"]) else {
        return;
    };
    let (local, digest) = image(&[b"layer"]);
    let reference = reference_in(&registry, "app:1");
    let error = push(&local, &client(options()), &reference, digest).unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }), "{error}");
    assert!(error.to_string().contains("--tls-verify=false"), "{error}");

    let trusting = client(Options {
        cert_dir: registry.cert_dir().map(Into::into),
        ..options()
    });
    push(&local, &trusting, &reference, digest).unwrap();
    let blind = client(Options {
        verify_tls: false,
        ..options()
    });
    Local::new().pull(&blind, &reference).unwrap();
}
