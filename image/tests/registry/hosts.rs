//! Which server is asked: mirrors, proxies, with TLS or without.

use crate::fake::Fake;
use crate::http::{Reply, Server};
use crate::{Events, Local, client, noise, options};
use std::sync::{Arc, Mutex};
use wasi_overlay_image::registry::{Error, Mirror, Options, Proxies};
use wasi_overlay_image::{Choice, Reference};

/// Options with a mirror of `registry.test`.
fn mirrored(mirrors: &[&Fake], fall_back: bool) -> Options {
    let mirror = |fake: &&Fake| Mirror {
        registry: "registry.test".to_owned(),
        location: format!("{}/cache", fake.host()),
        fall_back,
    };
    Options {
        mirrors: mirrors.iter().map(mirror).collect(),
        ..options()
    }
}

fn image() -> Reference {
    "registry.test/app:1".parse().unwrap()
}

#[test]
fn mirror_is_asked_under_its_prefix_for_the_registry() {
    let fake = Fake::start();
    fake.add_image(Some("1"), &[b"layer"]);
    let local = Local::new();
    local
        .pull(&client(mirrored(&[&fake], false)), &image())
        .unwrap();
    assert!(local.has(b"layer"));
    for request in fake.requests("/v2/cache/app/") {
        assert_eq!(request.parameter("ns").as_deref(), Some("registry.test"));
    }
    assert_eq!(fake.requests("HEAD /v2/cache/app/manifests/1").len(), 1);
}

#[test]
fn next_mirror_continues_what_the_first_began() {
    let (broken, right) = (Fake::start(), Fake::start());
    let layer = noise(1, 1000);
    broken.add_image(Some("1"), &[&layer]);
    right.add_image(Some("1"), &[&layer]);
    broken.answer("blobs/", 99, Reply::new(404));
    let (local, events) = (Local::new(), Events::default());
    let client = client(mirrored(&[&broken, &right], false));
    client
        .pull(&local.store, &image(), &Choice::default(), &events)
        .unwrap();
    assert!(local.has(&layer));
    // The manifest came from the first.
    assert!(right.requests("GET /v2/cache/app/manifests").is_empty());
    let warnings = events.take();
    let warning = warnings.iter().find(|e| e.starts_with("warning")).unwrap();
    assert!(warning.contains(&broken.host()), "{warning}");
}

#[test]
fn registry_is_asked_after_its_mirrors_only_if_they_fall_back() {
    let (mirror, registry) = (Fake::start(), Fake::start());
    registry.add_image(Some("1"), &[b"layer"]);
    let image: Reference = registry.reference("1");
    for fall_back in [true, false] {
        let options = Options {
            mirrors: vec![Mirror {
                registry: registry.host(),
                location: mirror.host(),
                fall_back,
            }],
            ..options()
        };
        let before = registry.lines().len();
        let pulled = Local::new().pull(&client(options), &image);
        assert_eq!(pulled.is_ok(), fall_back, "{pulled:?}");
        assert_eq!(registry.lines().len() > before, fall_back);
    }
}

#[test]
fn plain_http_host_is_reached_through_the_proxy() {
    let fake = Fake::start();
    fake.add_image(Some("1"), &[b"layer"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let proxy = Server::proxy(fake.host(), seen.clone());
    let proxies = Proxies {
        http: Some(format!("http://{}", proxy.host())),
        ..Proxies::default()
    };
    let options = Options {
        plain_http: vec!["registry.test".to_owned()],
        proxies,
        ..options()
    };
    let local = Local::new();
    local.pull(&client(options), &image()).unwrap();
    assert!(local.has(b"layer"));
    let seen = seen.lock().unwrap();
    assert!(
        !seen.is_empty() && seen.iter().all(|line| line == "CONNECT registry.test:80"),
        "{seen:?}"
    );
}

#[test]
fn other_host_is_reached_with_tls_through_the_proxy() {
    // The proxy leads to a server without TLS, so that the handshake fails.
    let fake = Fake::start();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let proxy = Server::proxy(fake.host(), seen.clone());
    let proxies = Proxies {
        https: Some(format!("http://{}", proxy.host())),
        ..Proxies::default()
    };
    let options = Options {
        proxies,
        retries: 0,
        ..options()
    };
    Local::new().pull(&client(options), &image()).unwrap_err();
    assert_eq!(*seen.lock().unwrap(), ["CONNECT registry.test:443"]);
    assert!(fake.requests("/v2/").is_empty());
}

#[test]
fn host_that_does_not_exist_is_named() {
    let error = Local::new()
        .pull(
            &client(options()),
            &"registry.invalid/app:1".parse().unwrap(),
        )
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("registry.invalid"), "{error}");
}

#[test]
fn refused_connection_fails_at_once() {
    let host = Server::start(|_| Reply::new(200)).host();
    let started = std::time::Instant::now();
    let options = Options {
        backoff: std::time::Duration::from_secs(9),
        ..options()
    };
    let error = Local::new()
        .pull(&client(options), &format!("{host}/app:1").parse().unwrap())
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn redirect_to_another_scheme_is_refused() {
    let fake = Fake::start();
    for location in ["file:///etc/passwd", "ftp://registry.test/x", "http:///"] {
        fake.answer("HEAD", 1, Reply::new(302).header("Location", location));
        let error = Local::new()
            .pull(&client(options()), &fake.reference("1"))
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("not a URL"), "{location}: {text}");
    }
}
