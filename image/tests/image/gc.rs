//! Collection: what is removed, and what stays because it is used.

use super::support::{Layout, assert_blobs_are_whole, files_below, read_stack, store, tar};
use std::fs;
use std::time::Duration;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Digest, Error, Image, Prune, Pruned, Reference, Store};

const ALL_AGES: Prune = Prune {
    compressed: false,
    images: false,
    min_age: Duration::ZERO,
    dry_run: false,
};

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// A store with the images `one` and `two`, which share a layer.
fn filled() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    let mut layout = Layout::default();
    for name in ["one", "two"] {
        let tars = [tar(&[("shared", b"s")]), tar(&[("f", name.as_bytes())])];
        let image = layout.image_of("wasi/wasm", &tars, super::support::gzip);
        layout.name(name, &image);
    }
    layout.add_to(&store).unwrap();
    (dir, store)
}

fn open(store: &Store, name: &str) -> Image {
    store.image(&reference(name), &Choice::default()).unwrap()
}

fn use_image(store: &Store, name: &str) {
    let stack = open(store, name).stack(&Limits::default()).unwrap();
    assert_eq!(read_stack(stack, "f"), name.as_bytes());
}

fn blobs(store: &Store) -> usize {
    files_below(&store.path().join("blobs")).len()
}

fn prune(store: &Store, what: &Prune) -> Pruned {
    let pruned = store.prune(what).unwrap();
    assert_blobs_are_whole(store.path());
    assert_eq!(store.verify(None).unwrap(), []);
    pruned
}

#[test]
fn blobs_of_images_stay() {
    let (_dir, store) = filled();
    use_image(&store, "one");
    // Two manifests, two configs, three compressed layers, two plain ones.
    assert_eq!(blobs(&store), 9);
    assert_eq!(prune(&store, &ALL_AGES), Pruned::default());
    assert_eq!(blobs(&store), 9);
}

#[test]
fn blobs_of_a_removed_image_go_and_shared_ones_stay() {
    let (_dir, store) = filled();
    use_image(&store, "one");
    use_image(&store, "two");
    store.remove_image(&reference("one")).unwrap();
    let dry = Prune {
        dry_run: true,
        ..ALL_AGES
    };
    let planned = prune(&store, &dry);
    assert_eq!(blobs(&store), 10);
    let pruned = prune(&store, &ALL_AGES);
    assert_eq!(pruned.blobs, planned.blobs);
    assert_eq!((pruned.blobs.len(), blobs(&store)), (4, 6));
    assert!(pruned.bytes > 1000 && pruned.bytes == planned.bytes);
    use_image(&store, "two");
    // Its index and the digest of its blob are gone as well.
    for (folder, count) in [("index", 2), ("unpacked", 2)] {
        let files = files_below(&store.path().join(".wasi-overlay").join(folder));
        assert_eq!(files.len(), count, "{folder}");
    }
}

#[test]
fn young_blobs_stay_for_an_hour() {
    let (_dir, store) = filled();
    store.remove_image(&reference("one")).unwrap();
    assert_eq!(prune(&store, &Prune::default()).blobs, []);
    let old = std::time::SystemTime::now() - Duration::from_secs(3700);
    let files: Vec<_> = files_below(&store.path().join("blobs"))
        .into_iter()
        .map(|file| store.path().join("blobs").join(file))
        .collect();
    for file in &files {
        fs::File::open(file).unwrap().set_modified(old).unwrap();
    }
    // A pull that finds a blob prevents its collection.
    let unused = Digest::of(&{
        let mut layout = Layout::default();
        let image = layout.image("wasi/wasm", &[("f", b"one")]);
        let _ = image;
        super::support::gzip(&tar(&[("f", b"one")]))
    });
    assert!(store.has(&unused).unwrap());
    let pruned = prune(&store, &Prune::default());
    assert_eq!(pruned.blobs.len(), 2);
    assert!(store.has(&unused).unwrap());
}

#[test]
fn layers_in_use_stay_until_their_stack_is_dropped() {
    let (_dir, store) = filled();
    let stack = open(&store, "one").stack(&Limits::default()).unwrap();
    store.remove_image(&reference("one")).unwrap();
    store.remove_image(&reference("two")).unwrap();
    prune(&store, &ALL_AGES);
    // The two plain layers of the stack.
    assert_eq!(blobs(&store), 2);
    assert_eq!(read_stack(stack.clone(), "f"), b"one");
    assert_eq!(read_stack(stack.clone(), "shared"), b"s");
    drop(stack);
    prune(&store, &ALL_AGES);
    assert_eq!(blobs(&store), 0);
}

#[test]
fn leased_blob_stays() {
    let (_dir, store) = store();
    let digest = store.write_blob(b"content").unwrap();
    let lease = store.lease(&digest).unwrap().unwrap();
    let again = store.lease(&digest).unwrap().unwrap();
    assert_eq!(prune(&store, &ALL_AGES).blobs, []);
    drop(lease);
    assert_eq!(prune(&store, &ALL_AGES).blobs, []);
    drop(again);
    assert_eq!(prune(&store, &ALL_AGES).blobs, [digest]);
    assert!(store.lease(&digest).unwrap().is_none());
}

#[test]
fn compressed_blobs_go_if_asked_and_images_still_run() {
    let (_dir, store) = filled();
    use_image(&store, "one");
    let compressed = Prune {
        compressed: true,
        ..ALL_AGES
    };
    // The layer of `two` that was never used has no plain tar yet.
    assert_eq!(prune(&store, &compressed).blobs.len(), 2);
    assert!(open(&store, "one").is_complete().unwrap());
    use_image(&store, "one");
    use_image(&store, "two");
    store.tag(&reference("one"), &reference("again")).unwrap();
}

#[test]
fn unused_images_go_if_asked() {
    let (_dir, store) = filled();
    let stack = open(&store, "one").stack(&Limits::default()).unwrap();
    let images = Prune {
        images: true,
        ..ALL_AGES
    };
    // `two` has a layer in common with `one`, so it counts as used.
    assert!(prune(&store, &images).names.is_empty());
    drop(stack);
    let dry = Prune {
        dry_run: true,
        ..images.clone()
    };
    let planned = prune(&store, &dry);
    assert_eq!(store.entries().unwrap().len(), 2);
    let pruned = prune(&store, &images);
    assert_eq!(pruned.names, planned.names);
    assert_eq!(pruned.names.len(), 2);
    assert_eq!((store.entries().unwrap().len(), blobs(&store)), (0, 0));
}

#[test]
fn remains_of_interrupted_work_go_and_running_work_stays() {
    let (_dir, store) = store();
    let ours = store.path().join(".wasi-overlay");
    fs::write(ours.join("tmp/left"), "x").unwrap();
    fs::write(ours.join("index/odd"), "x").unwrap();
    fs::write(ours.join("unpacked/1-x"), "x").unwrap();
    fs::write(store.path().join("blobs/sha256/foreign"), "x").unwrap();
    let digest = Digest::of(b"content");
    let mut partial = store.partial(&digest, Some(7)).unwrap();
    partial.write(b"con").unwrap();
    prune_only(&store);
    assert!(!ours.join("tmp/left").exists() && !ours.join("index/odd").exists());
    assert!(!ours.join("unpacked/1-x").exists());
    // Files of other programs stay.
    assert!(store.path().join("blobs/sha256/foreign").exists());
    partial.write(b"tent").unwrap();
    partial.commit().unwrap();
    assert!(store.has(&digest).unwrap());

    let other = Digest::of(b"other");
    let mut partial = store.partial(&other, None).unwrap();
    partial.write(b"o").unwrap();
    drop(partial);
    store.prune(&Prune::default()).unwrap();
    assert_eq!(store.partial(&other, None).unwrap().len(), 1);
    prune_only(&store);
    assert_eq!(store.partial(&other, None).unwrap().len(), 0);
}

/// Interrupted work may leave a file as large as an image.
#[test]
fn next_pull_removes_what_an_interrupted_one_left() {
    let (_dir, store) = store();
    let left = store.path().join(".wasi-overlay/tmp/left");
    fs::write(&left, "x").unwrap();
    drop(store.adding().unwrap());
    assert!(left.exists(), "a process may be about to lock it");
    let time = std::time::SystemTime::now() - Duration::from_secs(120);
    let file = fs::File::open(&left).unwrap();
    file.set_modified(time).unwrap();
    file.lock().unwrap();
    drop(store.adding().unwrap());
    assert!(left.exists(), "it is in use");
    drop(file);
    drop(store.adding().unwrap());
    assert!(!left.exists());
}

/// A pull of two hours would lose its first blobs to a collection, since they are older than one hour and
/// no image named them.
#[test]
fn blobs_of_a_long_pull_stay() {
    let (_dir, store) = store();
    let set_age = |path: &std::path::Path, minutes: u64| {
        let time = std::time::SystemTime::now() - Duration::from_secs(minutes * 60);
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    };
    let before = store.write_blob(b"before").unwrap();
    let first = store.write_blob(b"first").unwrap();
    let adding = store.adding().unwrap();
    let temporary = store.path().join(".wasi-overlay/tmp");
    let [file] = files_below(&temporary).try_into().unwrap();
    set_age(&temporary.join(file), 120);
    set_age(&store.blob_path(&before), 200);
    set_age(&store.blob_path(&first), 100);
    // As another process would.
    let other = Store::at(store.path()).unwrap();
    assert_eq!(other.prune(&Prune::default()).unwrap().blobs, [before]);
    drop(adding);
    assert!(files_below(&temporary).is_empty());
    assert_eq!(other.prune(&Prune::default()).unwrap().blobs, [first]);
}

fn prune_only(store: &Store) {
    store.prune(&ALL_AGES).unwrap();
}

#[test]
fn damaged_manifest_stops_the_collection() {
    let (_dir, store) = filled();
    let manifest = open(&store, "one").digest().unwrap();
    let path = store.blob_path(&manifest);
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let before = blobs(&store);
    let error = store.prune(&ALL_AGES).unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    assert_eq!(blobs(&store), before);
}
