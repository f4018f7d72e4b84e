//! Blobs that are downloaded in pieces, and unpacked while they arrive.

use super::support::{Layout, files_below, gzip, noise, read_stack, store, tar};
use std::fs;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Digest, Error, Store};

fn partial_files(store: &Store) -> usize {
    files_below(&store.path().join(".wasi-overlay/partial")).len()
}

#[test]
fn download_goes_on_where_it_stopped() {
    let (_dir, store) = store();
    let content = noise(700_000);
    let digest = Digest::of(&content);
    for (start, end) in [(0, 100_000), (100_000, 400_000), (400_000, 700_000)] {
        // Each time as by another process.
        let store = Store::at(store.path()).unwrap();
        let mut partial = store.partial(&digest, Some(700_000)).unwrap();
        assert_eq!(partial.len(), start as u64);
        assert!(!partial.is_complete() && !store.has(&digest).unwrap());
        for chunk in content[start..end].chunks(33_333) {
            partial.write(chunk).unwrap();
        }
        if end == content.len() {
            partial.commit().unwrap();
        }
    }
    assert_eq!(fs::read(store.blob_path(&digest)).unwrap(), content);
    assert_eq!(partial_files(&store), 0);
    let partial = store.partial(&digest, Some(700_000)).unwrap();
    assert!(partial.is_complete());
    assert_eq!(partial.len(), 700_000);
    partial.commit().unwrap();
    assert_eq!(partial_files(&store), 0);
}

#[test]
fn download_with_a_wrong_digest_is_thrown_away() {
    let (_dir, store) = store();
    let digest = Digest::of(b"right");
    let mut partial = store.partial(&digest, Some(5)).unwrap();
    partial.write(b"wrong").unwrap();
    let error = partial.commit().unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    assert!(!store.has(&digest).unwrap());
    let mut partial = store.partial(&digest, Some(5)).unwrap();
    assert_eq!(partial.len(), 0);
    partial.write(b"wr").unwrap();
    partial.restart().unwrap();
    assert_eq!(partial.len(), 0);
    partial.write(b"right").unwrap();
    partial.commit().unwrap();
    assert_eq!(store.read_blob(&digest, 5).unwrap().unwrap(), b"right");
    assert!(store.read_blob(&digest, 4).is_err());
}

#[test]
fn download_of_another_size_is_refused() {
    let (_dir, store) = store();
    let digest = Digest::of(b"content");
    let mut partial = store.partial(&digest, Some(7)).unwrap();
    partial.write(b"cont").unwrap();
    let error = partial.write(b"ent!").unwrap_err();
    assert!(matches!(error, Error::WrongSize { .. }), "{error}");
    drop(partial);
    let partial = store.partial(&digest, Some(7)).unwrap();
    assert_eq!(partial.len(), 4);
    let error = partial.commit().unwrap_err();
    assert!(matches!(error, Error::WrongSize { .. }), "{error}");
    // What is there is kept, unless it is more than the blob has.
    assert_eq!(store.partial(&digest, Some(7)).unwrap().len(), 4);
    assert_eq!(store.partial(&digest, Some(3)).unwrap().len(), 0);
    let error = store.partial(&digest, Some(1 << 60)).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
}

#[test]
fn second_download_of_a_blob_waits_for_the_first() {
    let (_dir, store) = store();
    let digest = Digest::of(b"content");
    let mut first = store.partial(&digest, Some(7)).unwrap();
    let (sender, receiver) = channel();
    thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            let second = store.partial(&digest, Some(7)).unwrap();
            sender.send(second.is_complete()).unwrap();
        });
        assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err());
        first.write(b"content").unwrap();
        first.commit().unwrap();
        assert!(receiver.recv_timeout(Duration::from_secs(20)).unwrap());
    });
    assert_eq!(partial_files(&store), 0);
}

#[test]
fn layer_is_unpacked_while_it_is_downloaded() {
    let (_dir, store) = store();
    let mut layout = Layout::default();
    let content = noise(2_000_000);
    let image = layout.image("wasi/wasm", &[("f", &content)]);
    layout.name("app", &image);
    let plain = tar(&[("f", &content)]);
    let packed = gzip(&plain);
    let (blob, diff_id) = (Digest::of(&packed), Digest::of(&plain));
    let mut partial = store.partial(&blob, Some(packed.len() as u64)).unwrap();
    let follower = partial.follow().unwrap().unwrap();
    thread::scope(|scope| {
        let unpacking = {
            let store = store.clone();
            scope.spawn(move || store.unpack_download(follower, Some(diff_id), &Limits::default()))
        };
        for chunk in packed.chunks(100_000) {
            assert!(!store.has(&diff_id).unwrap());
            partial.write(chunk).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
        partial.commit().unwrap();
        assert_eq!(unpacking.join().unwrap().unwrap(), diff_id);
    });
    assert!(store.has(&diff_id).unwrap() && store.has(&blob).unwrap());
    layout.add_to(&store).unwrap();
    let image = store
        .image(&"app".parse().unwrap(), &Choice::default())
        .unwrap();
    assert_eq!(
        read_stack(image.stack(&Limits::default()).unwrap(), "f"),
        content
    );
}

#[test]
fn unpacking_fails_with_the_download() {
    let plain = tar(&[("f", &noise(500_000))]);
    let packed = gzip(&plain);
    type End = fn(wasi_overlay_image::PartialBlob);
    let end: [(&str, End); 3] = [
        ("dropped", drop),
        ("restarted", |mut partial| partial.restart().unwrap()),
        ("of other content", |mut partial| {
            let rest = 400_000 - usize::try_from(partial.len()).unwrap();
            partial.write(&vec![0; rest]).unwrap();
            partial.commit().unwrap_err();
        }),
    ];
    for (name, end) in end {
        let (_dir, store) = store();
        let blob = Digest::of(&packed);
        let size = if name == "of other content" {
            400_000
        } else {
            packed.len() as u64
        };
        let mut partial = store.partial(&blob, Some(size)).unwrap();
        let follower = partial.follow().unwrap().unwrap();
        thread::scope(|scope| {
            let unpacking =
                scope.spawn(|| store.unpack_download(follower, None, &Limits::default()));
            partial.write(&packed[..200_000]).unwrap();
            thread::sleep(Duration::from_millis(20));
            end(partial);
            let error = unpacking.join().unwrap().unwrap_err();
            assert!(matches!(error, Error::Io { .. }), "{name}: {error}");
        });
        assert!(
            files_below(&store.path().join("blobs")).is_empty(),
            "{name}"
        );
        assert!(
            files_below(&store.path().join(".wasi-overlay/tmp")).is_empty(),
            "{name}"
        );
    }
}

#[test]
fn blob_of_the_store_is_unpacked_on_request() {
    let (_dir, store) = store();
    let plain = tar(&[("f", b"x")]);
    let blob = store.write_blob(&gzip(&plain)).unwrap();
    let error = store
        .unpack_blob(&blob, Some(Digest::of(b"other")), &Limits::default())
        .unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    let diff_id = store.unpack_blob(&blob, None, &Limits::default()).unwrap();
    assert_eq!(diff_id, Digest::of(&plain));
    let error = store
        .unpack_blob(&Digest::of(b"none"), None, &Limits::default())
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
