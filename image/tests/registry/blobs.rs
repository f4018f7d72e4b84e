//! Downloads of blobs: resumed, retried, and refused if they do not match their descriptor.

use crate::fake::{Fake, partial};
use crate::http::{Length, Reply, Then};
use crate::{Events, Local, client, noise, options};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wasi_overlay_image::registry::{Error, Options, Silent};
use wasi_overlay_image::{Choice, Digest, Store};
use wasi_overlay_proof::machine::SmallDisk;

const SIZE: usize = 300_000;

/// A registry with an image `app:1` of one layer.
fn one_layer() -> (Fake, Vec<u8>) {
    let fake = Fake::start();
    let layer = noise(1, SIZE);
    fake.add_image(Some("1"), &[&layer]);
    (fake, layer)
}

/// The end of a request line for a blob.
fn blob(bytes: &[u8]) -> String {
    format!("blobs/{}", Digest::of(bytes))
}

#[test]
fn second_pull_downloads_nothing() {
    let (fake, layer) = one_layer();
    let (local, client) = (Local::new(), client(options()));
    let first = local.pull(&client, &fake.reference("1")).unwrap();
    assert!(local.has(&layer));
    assert!(first.downloaded > SIZE as u64);
    let before = fake.lines().len();
    let second = local.pull(&client, &fake.reference("1")).unwrap();
    assert_eq!(second.downloaded, 0);
    assert_eq!(fake.lines()[before..], ["HEAD /v2/app/manifests/1"]);
}

#[test]
fn pull_by_digest_sends_no_request_if_stored() {
    let (fake, _) = one_layer();
    let (local, client) = (Local::new(), client(options()));
    let pulled = local.pull(&client, &fake.reference("1")).unwrap();
    let reference = fake.reference("1").with_digest(pulled.digest);
    let before = fake.lines().len();
    assert_eq!(
        local.pull(&client, &reference).unwrap().digest,
        pulled.digest
    );
    assert_eq!(fake.lines().len(), before);
}

#[test]
fn manifest_is_asked_for_by_digest_and_only_if_unknown() {
    let (fake, _) = one_layer();
    let digest = Local::new()
        .pull(&client(options()), &fake.reference("1"))
        .unwrap()
        .digest;
    let manifests: Vec<_> = fake
        .requests("manifests/")
        .iter()
        .map(|r| r.line())
        .collect();
    assert_eq!(
        manifests,
        [
            "HEAD /v2/app/manifests/1".to_owned(),
            format!("GET /v2/app/manifests/{digest}")
        ]
    );
}

#[test]
fn corrupt_blob_is_refused_and_leaves_nothing() {
    let (fake, layer) = one_layer();
    let mut corrupt = layer.clone();
    corrupt[SIZE / 2..SIZE / 2 + 100_000].fill(0);
    fake.answer(&blob(&layer), 9, Reply::new(200).body(corrupt));
    let local = Local::new();
    let error = local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    assert!(
        error.to_string().contains(&Digest::of(&layer).to_string()),
        "{error}"
    );
    assert!(!local.has(&layer));
    assert_eq!(local.partial(&layer), 0);
    assert_eq!(fake.requests(&blob(&layer)).len(), 1);
}

#[test]
fn disk_that_fills_up_in_the_middle_leaves_no_name_and_the_next_pull_goes_on() {
    let Some(disk) = SmallDisk::mount("a disk that fills up", "1m") else {
        return;
    };
    let (fake, layer) = one_layer();
    // Another program takes the room that was there when the pull asked.
    let (name, mut other) = (blob(&layer), Some(disk.path().join("other")));
    fake.add_rule(move |request| {
        if request.line().contains(&name)
            && let Some(other) = other.take()
        {
            std::fs::write(other, vec![1; 850 << 10]).unwrap();
        }
        None
    });
    let store = Store::at(disk.path().join("store")).unwrap();
    let pull = || client(options()).pull(&store, &fake.reference("1"), &Choice::default(), &Silent);
    let error = pull().unwrap_err();
    let Error::Store(error) = error else {
        panic!("{error}");
    };
    assert!(
        matches!(*error, wasi_overlay_image::Error::NoSpace { .. }),
        "{error}"
    );
    assert!(!store.has(&Digest::of(&layer)).unwrap());
    assert!(store.entries().unwrap().is_empty());
    disk.resize("2m");
    pull().unwrap();
    assert!(store.has(&Digest::of(&layer)).unwrap());
    assert!(store.verify(None).unwrap().is_empty());
    // The second request is for what the first one did not store.
    let ranges = fake.requests(&blob(&layer));
    let ranges: Vec<_> = ranges
        .iter()
        .map(|request| request.header("range"))
        .collect();
    assert!(matches!(ranges[..], [None, Some(_)]), "{ranges:?}");
}

#[test]
fn cut_blob_goes_on_where_it_stopped() {
    for length in [Length::Claimed(SIZE as u64), Length::Chunked, Length::Close] {
        let (fake, layer) = one_layer();
        let cut = Reply::new(200).body(&layer[..SIZE - 100_000]);
        fake.answer(&blob(&layer), 1, cut.length(length).then(Then::Close));
        let local = Local::new();
        local
            .pull(&client(options()), &fake.reference("1"))
            .unwrap();
        assert!(local.has(&layer));
        let ranges: Vec<_> = fake.requests(&blob(&layer));
        let ranges: Vec<_> = ranges.iter().map(|r| r.header("range")).collect();
        assert_eq!(ranges, [None, Some("bytes=200000-")], "{length:?}");
    }
}

#[test]
fn next_pull_continues_after_a_blob_that_is_always_cut() {
    let (fake, layer) = one_layer();
    let cut = Reply::new(200).body(&layer[..100_000]);
    let cut = cut.length(Length::Claimed(SIZE as u64)).then(Then::Close);
    fake.answer(&blob(&layer), 1, cut);
    // Further attempts get nothing.
    fake.answer(
        &blob(&layer),
        3,
        Reply::new(200).then(Then::Close).length(Length::Claimed(7)),
    );
    let local = Local::new();
    let once = client(Options {
        retries: 0,
        ..options()
    });
    let error = local.pull(&once, &fake.reference("1")).unwrap_err();
    assert!(error.to_string().contains("100000"), "{error}");
    assert!(!local.has(&layer));
    assert_eq!(local.partial(&layer), 100_000);

    let fresh = Fake::start();
    fresh.add_image(Some("1"), &[&layer]);
    local.pull(&once, &fresh.reference("1")).unwrap();
    assert!(local.has(&layer));
    let requests = fresh.requests(&blob(&layer));
    assert_eq!(requests[0].header("range"), Some("bytes=100000-"));
}

#[test]
fn wrong_bytes_of_an_earlier_run_are_dropped() {
    let (fake, layer) = one_layer();
    let local = Local::new();
    let mut partial = local
        .store
        .partial(&Digest::of(&layer), Some(SIZE as u64))
        .unwrap();
    partial.write(&[0; 1000]).unwrap();
    drop(partial);
    local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap();
    assert!(local.has(&layer));
}

#[test]
fn answer_200_to_a_range_starts_over() {
    let (fake, layer) = one_layer();
    let cut = Reply::new(200).body(&layer[..100_000]);
    let cut = cut.length(Length::Claimed(SIZE as u64)).then(Then::Close);
    fake.answer(&blob(&layer), 1, cut);
    fake.answer(&blob(&layer), 1, Reply::new(200).body(layer.clone()));
    let local = Local::new();
    local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap();
    assert!(local.has(&layer));
    assert_eq!(fake.requests(&blob(&layer)).len(), 2);
}

#[test]
fn another_range_than_asked_for_starts_over() {
    for wrong in [Reply::new(416), partial(&noise(1, SIZE), 50_000)] {
        let (fake, layer) = one_layer();
        let cut = Reply::new(200).body(&layer[..100_000]);
        let cut = cut.length(Length::Claimed(SIZE as u64)).then(Then::Close);
        fake.answer(&blob(&layer), 1, cut);
        fake.answer(&blob(&layer), 1, wrong);
        let local = Local::new();
        local
            .pull(&client(options()), &fake.reference("1"))
            .unwrap();
        assert!(local.has(&layer));
    }
}

#[test]
fn blob_longer_than_its_descriptor_is_not_read_to_its_end() {
    for length in [Length::Right, Length::Chunked, Length::Close] {
        let (fake, layer) = one_layer();
        let mut long = layer.clone();
        long.resize(20 << 20, 0);
        fake.answer(&blob(&layer), 1, Reply::new(200).body(long).length(length));
        let local = Local::new();
        let error = local
            .pull(&client(options()), &fake.reference("1"))
            .unwrap_err();
        assert!(
            matches!(error, Error::WrongSize { .. }),
            "{length:?}: {error}"
        );
        assert!(!local.has(&layer));
        assert_eq!(local.partial(&layer), 0);
        let sent = fake.server.sent.load(Ordering::SeqCst);
        assert!(sent < 15 << 20, "{length:?}: {sent} bytes were read");
    }
}

#[test]
fn missing_content_length_is_accepted() {
    for length in [Length::Chunked, Length::Close] {
        let (fake, layer) = one_layer();
        let reply = Reply::new(200).body(layer.clone()).length(length);
        fake.answer(&blob(&layer), 1, reply);
        let local = Local::new();
        local
            .pull(&client(options()), &fake.reference("1"))
            .unwrap();
        assert!(local.has(&layer));
    }
}

#[test]
fn stalled_blob_is_retried_and_then_reported() {
    let (fake, layer) = one_layer();
    let stall = Reply::new(200).body(&layer[..1000]);
    let stall = stall
        .length(Length::Claimed(SIZE as u64))
        .then(Then::Silence);
    fake.answer(&blob(&layer), 1, stall);
    let local = Local::new();
    local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap();
    assert!(local.has(&layer));

    let (fake, layer) = one_layer();
    let stall = Reply::new(200)
        .length(Length::Claimed(SIZE as u64))
        .then(Then::Silence);
    fake.answer(&blob(&layer), 9, stall);
    assert_stalls(&fake, 1, Duration::from_secs(10));
}

/// A pull stalls, and says so in this time.
#[track_caller]
fn assert_stalls(fake: &Fake, retries: u32, limit: Duration) {
    let started = Instant::now();
    let client = client(Options {
        retries,
        ..options()
    });
    let error = Local::new()
        .pull(&client, &fake.reference("1"))
        .unwrap_err();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
    assert!(started.elapsed() < limit);
}

#[test]
fn blob_that_trickles_in_has_stalled() {
    let (fake, layer) = one_layer();
    // Each byte arrives in time, and all of them would take a day.
    let trickle = Reply::new(200).body(layer.clone());
    fake.answer(&blob(&layer), 9, trickle.pace(Duration::from_millis(100)));
    assert_stalls(&fake, 0, Duration::from_secs(5));
}

#[test]
fn rate_limit_is_waited_for() {
    let (fake, layer) = one_layer();
    fake.answer(&blob(&layer), 1, Reply::new(429).header("Retry-After", "1"));
    fake.answer("HEAD", 1, Reply::new(503));
    let (local, events) = (Local::new(), Events::default());
    let started = Instant::now();
    client(options())
        .pull(
            &local.store,
            &fake.reference("1"),
            &Choice::default(),
            &events,
        )
        .unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    let waits: Vec<_> = events
        .take()
        .into_iter()
        .filter(|e| e.starts_with("wait"))
        .collect();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(
        waits[0].contains("503") && waits[1].contains("429"),
        "{waits:?}"
    );
}

#[test]
fn long_rate_limit_is_an_error_that_says_how_long() {
    let (fake, layer) = one_layer();
    let later = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(600));
    for value in ["600", &later] {
        fake.answer(
            &blob(&layer),
            1,
            Reply::new(429).header("Retry-After", value),
        );
        let error = Local::new()
            .pull(&client(options()), &fake.reference("1"))
            .unwrap_err();
        assert!(matches!(error, Error::RateLimited { .. }), "{error}");
        assert!(error.to_string().contains("s: try again later"), "{error}");
    }
}

#[test]
fn redirected_blob_arrives_without_credentials() {
    let storage = Fake::start();
    let fake = Fake::with_auth(crate::fake::Auth::Basic("me:secret"));
    let layer = noise(1, SIZE);
    fake.add_image(Some("1"), &[&layer]);
    storage.add_blob(&layer);
    let location = format!(
        "http://{}/v2/app/{}?sig=secret",
        storage.host(),
        blob(&layer)
    );
    fake.add_rule({
        let part = blob(&layer);
        move |request| {
            let authorized = request.header("authorization").is_some();
            (authorized && request.line().contains(&part))
                .then(|| Reply::new(307).header("Location", &location))
        }
    });
    let local = Local::new();
    let credentials = Some(wasi_overlay_image::registry::Credentials::parse(
        "me:secret",
    ));
    let client = client(Options {
        credentials,
        ..options()
    });
    local.pull(&client, &fake.reference("1")).unwrap();
    assert!(local.has(&layer));
    let arrived = storage.requests("blobs/");
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].header("authorization"), None);
}

#[test]
fn endless_redirects_end() {
    let (fake, layer) = one_layer();
    let location = format!("/v2/app/{}", blob(&layer));
    fake.answer(
        &blob(&layer),
        99,
        Reply::new(302).header("Location", location),
    );
    let error = Local::new()
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[test]
fn unknown_blob_is_named() {
    let (fake, layer) = one_layer();
    fake.state
        .lock()
        .unwrap()
        .blobs
        .remove(&Digest::of(&layer).to_string());
    let error = Local::new()
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&Digest::of(&layer).to_string()) && text.contains("blob unknown"),
        "{text}"
    );
}

#[test]
fn layers_arrive_at_the_same_time_but_no_more_than_allowed() {
    let fake = Fake::start();
    let layers: Vec<_> = (1..=8).map(|seed| noise(seed, 1000)).collect();
    let layers: Vec<_> = layers.iter().map(Vec::as_slice).collect();
    fake.add_image(Some("1"), &layers);
    // The registry counts the threads that wait for an answer.
    let busy = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let server = {
        let (state, busy, most) = (fake.state.clone(), busy.clone(), most.clone());
        crate::http::Server::start(move |request| {
            let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(60));
            busy.fetch_sub(1, Ordering::SeqCst);
            crate::fake::answer(&state, request)
        })
    };
    let reference = format!("{}/app:1", server.host()).parse().unwrap();
    let local = Local::new();
    local
        .pull(
            &client(Options {
                parallel: 3,
                ..options()
            }),
            &reference,
        )
        .unwrap();
    assert!(layers.iter().all(|layer| local.has(layer)));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn first_error_ends_the_other_transfers() {
    let fake = Fake::start();
    let (slow, broken) = (noise(1, 64 << 20), noise(2, 1000));
    fake.add_image(Some("1"), &[&slow, &broken]);
    fake.answer(&blob(&broken), 1, Reply::new(404));
    let local = Local::new();
    let error = local
        .pull(&client(options()), &fake.reference("1"))
        .unwrap_err();
    assert!(
        error.to_string().contains(&Digest::of(&broken).to_string()),
        "{error}"
    );
    assert!(!local.has(&slow));
}

#[test]
fn progress_reports_start_advance_and_end() {
    let (fake, layer) = one_layer();
    let cut = Reply::new(200).body(&layer[..100_000]);
    let cut = cut.length(Length::Claimed(SIZE as u64)).then(Then::Close);
    fake.answer(&blob(&layer), 1, cut);
    let (local, events) = (Local::new(), Events::default());
    let client = client(options());
    let pull = || {
        let (reference, choice) = (fake.reference("1"), Choice::default());
        let pulled = client.pull(&local.store, &reference, &choice, &events);
        pulled.unwrap();
    };
    pull();
    let name = Digest::of(&layer).hex()[..4].to_owned();
    let lines: Vec<_> = events
        .take()
        .into_iter()
        .filter(|e| e.contains(&name))
        .collect();
    assert_eq!(lines.first().unwrap(), &format!("start {name} 0/{SIZE}"));
    assert_eq!(lines.last().unwrap(), &format!("Transferred {name}"));
    assert!(lines.contains(&format!("at {name} {SIZE}")), "{lines:?}");
    pull();
    assert!(events.take().contains(&format!("Present {name}")));
    // A blob of another size is damaged.
    let path = local.store.blob_path(&Digest::of(&layer));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &layer[1..]).unwrap();
    pull();
    assert!(events.take().contains(&format!("Transferred {name}")));
    assert_eq!(std::fs::read(&path).unwrap(), layer);
}

/// A tar with one file of `length` bytes, as it is and compressed.
fn layer(seed: u64, length: usize) -> (Vec<u8>, Vec<u8>) {
    let mut header = [0; 512];
    header[..4].copy_from_slice(b"file");
    for (offset, value) in [(100, 0o644), (108, 0), (116, 0), (136, 0)] {
        header[offset..offset + 7].copy_from_slice(format!("{value:07o}").as_bytes());
    }
    header[124..135].copy_from_slice(format!("{length:011o}").as_bytes());
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut tar = header.to_vec();
    tar.extend(noise(seed, length));
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&tar).unwrap();
    (tar, encoder.finish().unwrap())
}

/// Adds an image `app:1` of compressed layers, whose config promises these plain tars.
fn add_compressed(fake: &Fake, blobs: &[&[u8]], plain: &[&[u8]]) {
    let ids: Vec<_> = plain
        .iter()
        .map(|tar| format!("\"{}\"", Digest::of(tar)))
        .collect();
    let config = format!(
        r#"{{"architecture":"wasm","os":"wasip2","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    );
    for blob in blobs.iter().copied().chain([config.as_bytes()]) {
        fake.add_blob(blob);
    }
    let text = crate::fake::manifest(config.as_bytes(), blobs);
    fake.add_manifest(crate::fake::MANIFEST, &text, Some("1"));
}

/// Options with which layers are decompressed while they arrive.
fn unpacking() -> Options {
    Options {
        unpack: Some(wasi_overlay_core::Limits::default()),
        ..options()
    }
}

#[test]
fn layers_are_decompressed_by_the_pull() {
    let fake = Fake::start();
    let layers: Vec<_> = (1..=4).map(|seed| layer(seed, 200_000)).collect();
    let blobs: Vec<_> = layers.iter().map(|(_, blob)| blob.as_slice()).collect();
    let plain: Vec<_> = layers.iter().map(|(tar, _)| tar.as_slice()).collect();
    add_compressed(&fake, &blobs, &plain);
    // One of them is cut, and one starts over.
    let cut = |blob: &[u8]| {
        let reply = Reply::new(200).body(&blob[..100_000]);
        reply
            .length(Length::Claimed(blob.len() as u64))
            .then(Then::Close)
    };
    fake.answer(&blob(blobs[0]), 1, cut(blobs[0]));
    fake.answer(&blob(blobs[1]), 1, cut(blobs[1]));
    fake.answer(&blob(blobs[1]), 1, Reply::new(200).body(blobs[1]));
    let local = Local::new();
    local
        .pull(&client(unpacking()), &fake.reference("1"))
        .unwrap();
    for (tar, blob) in &layers {
        assert!(local.has(tar) && local.has(blob));
    }
    // Without it, only the blobs are there.
    let local = Local::new();
    let lazy = client(options());
    local.pull(&lazy, &fake.reference("1")).unwrap();
    for (tar, blob) in &layers {
        assert!(!local.has(tar) && local.has(blob));
    }
}

#[test]
fn layer_that_decompresses_to_another_tar_is_refused() {
    let fake = Fake::start();
    let ((tar, blob), (other, _)) = (layer(1, 1000), layer(2, 1000));
    add_compressed(&fake, &[&blob], &[&other]);
    let local = Local::new();
    let error = local
        .pull(&client(unpacking()), &fake.reference("1"))
        .unwrap_err();
    assert!(
        error.to_string().contains(&Digest::of(&other).to_string()),
        "{error}"
    );
    assert!(!local.has(&tar) && !local.has(&other));
    assert!(local.store.entries().unwrap().is_empty());
}

#[test]
fn layer_that_is_not_a_tar_is_refused_by_the_pull() {
    let fake = Fake::start();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&noise(1, 5000)).unwrap();
    let blob = encoder.finish().unwrap();
    add_compressed(&fake, &[&blob], &[b"other"]);
    let local = Local::new();
    local
        .pull(&client(unpacking()), &fake.reference("1"))
        .unwrap_err();
    assert!(local.store.entries().unwrap().is_empty());
}
