//! Stores: names, folders, sharing of layers, and stores that cannot be written.

use super::support::{Layout, gzip, json, read_stack, store, tar, tar_of, zstd};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use tempfile::TempDir;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Digest, Error, Reference, Store};

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

fn content(store: &Store, name: &str) -> Result<Vec<u8>, Error> {
    let image = store.image(&reference(name), &Choice::default())?;
    Ok(read_stack(image.stack(&Limits::default())?, "f"))
}

fn names(store: &Store) -> Vec<String> {
    let entries = store.entries().unwrap();
    entries.into_iter().filter_map(|entry| entry.name).collect()
}

/// A layout of one image, named `NAME:latest`, whose file `f` has this content.
fn image(name: &str, content: &[u8]) -> Layout {
    let mut layout = Layout::default();
    let image = layout.image("wasi/wasm", &[("f", content)]);
    layout.name(name, &image);
    layout
}

#[test]
fn image_is_added_tagged_and_removed() {
    let (_dir, store) = store();
    image("app", b"one").add_to(&store).unwrap();
    assert_eq!(names(&store), ["docker.io/library/app:latest"]);
    assert_eq!(content(&store, "app").unwrap(), b"one");
    store
        .tag(&reference("app"), &reference("localhost/copy:2"))
        .unwrap();
    assert_eq!(content(&store, "localhost/copy:2").unwrap(), b"one");
    // The name moves to another image.
    image("app", b"two").add_to(&store).unwrap();
    assert_eq!(
        names(&store),
        ["localhost/copy:2", "docker.io/library/app:latest"]
    );
    assert_eq!(content(&store, "app").unwrap(), b"two");
    assert_eq!(content(&store, "localhost/copy:2").unwrap(), b"one");
    let digest = store
        .image(&reference("app"), &Choice::default())
        .unwrap()
        .digest()
        .unwrap();
    store.remove_image(&reference("app")).unwrap();
    for error in [
        store.remove_image(&reference("app")).unwrap_err(),
        content(&store, "app").unwrap_err(),
        store.tag(&reference("app"), &reference("b")).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotInStore { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("wasi-overlay pull docker.io/library/app:latest")
        );
    }
    // Its blobs are there until they are collected.
    assert_eq!(content(&store, &format!("app@{digest}")).unwrap(), b"two");
    store
        .tag(&reference(&format!("app@{digest}")), &reference("back"))
        .unwrap();
    assert_eq!(content(&store, "back").unwrap(), b"two");
}

#[test]
fn image_is_found_by_the_beginning_of_its_digest() {
    let (_dir, store) = store();
    let mut layout = image("one", b"1");
    let index = layout.index();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let short = &digest["sha256:".len()..][..12];
    layout.name("again", &index["manifests"][0].clone());
    layout.add_to(&store).unwrap();
    assert_eq!(content(&store, short).unwrap(), b"1");
    assert_eq!(
        store.digest_of(&reference(short)).unwrap().to_string(),
        digest
    );
    // Too short, and not the beginning.
    for word in [&short[..5], &format!("{}0", &short[1..])] {
        let error = content(&store, word).unwrap_err();
        assert!(matches!(error, Error::NotInStore { .. }), "{error}");
    }
    // A name comes first.
    image(short, b"2").add_to(&store).unwrap();
    assert_eq!(content(&store, short).unwrap(), b"2");
    store.remove_image(&reference(short)).unwrap();
    assert_eq!(names(&store).len(), 2);
    // All names of the image.
    store.remove_image(&reference(short)).unwrap();
    assert_eq!(names(&store), [""; 0]);
}

#[test]
fn new_name_has_no_digest() {
    let (_dir, store) = store();
    image("one", b"1").add_to(&store).unwrap();
    let digest = store.digest_of(&reference("one")).unwrap();
    let name = reference("two").with_digest(digest);
    let error = store.tag(&reference("one"), &name).unwrap_err();
    assert!(error.to_string().contains("has no digest"), "{error}");
    assert_eq!(names(&store).len(), 1);
}

#[test]
fn image_without_all_its_blobs_gets_no_name() {
    let layout = image("app", b"x");
    for missing in layout.blobs.keys() {
        let (_dir, store) = store();
        let mut partly = image("app", b"x");
        partly.blobs.remove(missing);
        let error = partly.add_to(&store).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        assert!(names(&store).is_empty());
    }
}

#[test]
fn directory_with_other_content_is_not_a_store() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("notes"), "x").unwrap();
    let error = Store::at(dir.path()).unwrap_err();
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let file = dir.path().join("notes");
    assert!(matches!(Store::at(file).unwrap_err(), Error::Io { .. }));
}

#[test]
fn layout_of_another_tool_becomes_a_store() {
    let dir = TempDir::new().unwrap();
    let mut layout = image("docker.io/library/app:latest", b"x");
    layout.entries[0]["custom"] = json!({"a": 1});
    layout.write(dir.path());
    let store = Store::at(dir.path()).unwrap();
    assert_eq!(content(&store, "app").unwrap(), b"x");
    image("other", b"y").add_to(&store).unwrap();
    // What we do not know stays.
    let index = fs::read_to_string(dir.path().join("index.json")).unwrap();
    assert!(index.contains(r#""custom":{"a":1}"#), "{index}");
}

#[test]
fn saved_index_is_made_again_if_it_does_not_fit() {
    let (dir, store) = store();
    image("app", b"x").add_to(&store).unwrap();
    content(&store, "app").unwrap();
    let diff_id = Digest::of(&tar(&[("f", b"x")]));
    let index = store
        .path()
        .join(format!(".wasi-overlay/index/{}.1", diff_id.hex()));
    let good = fs::read(&index).unwrap();
    let other = {
        let (_other_dir, other) = super::support::store();
        image("app", b"longer").add_to(&other).unwrap();
        content(&other, "app").unwrap();
        let folder = other.path().join(".wasi-overlay/index");
        let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap();
        fs::read(file.path()).unwrap()
    };
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [
        &b""[..],
        &good[..good.len() - 1],
        &flipped,
        b"garbage",
        &other,
    ] {
        fs::remove_file(&index).unwrap();
        fs::write(&index, bad).unwrap();
        assert_eq!(content(&store, "app").unwrap(), b"x");
        assert_eq!(fs::read(&index).unwrap(), good);
    }
    fs::remove_file(&index).unwrap();
    assert_eq!(content(&store, "app").unwrap(), b"x");
    assert_eq!(fs::read(&index).unwrap(), good);
    drop(dir);
}

#[test]
fn blobs_cannot_be_written_and_partial_downloads_can() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (_dir, store) = store();
    image("app", b"x").add_to(&store).unwrap();
    content(&store, "app").unwrap();
    for file in super::support::files_below(&store.path().join("blobs")) {
        assert_eq!(mode(&store.path().join("blobs").join(file)) & 0o222, 0);
    }
    let digest = Digest::of(b"xy");
    store.partial(&digest, None).unwrap().write(b"x").unwrap();
    let partial = store
        .path()
        .join(".wasi-overlay/partial")
        .join(digest.hex());
    assert_eq!(mode(&partial) & 0o600, 0o600);
}

/// How many descriptors of this process are open on a file of the store.
fn open_descriptors(path: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter_map(|link| fs::read_link(link.unwrap().path()).ok())
        .filter(|target| target == path)
        .count()
}

/// Threads that unpack one layer wait for each other. One of them used to wait for the lock of the file that
/// another was writing, which by then was the blob: those who used the layer held its lock, and the thread
/// waited as long as they ran.
#[test]
fn layer_of_several_images_is_opened_once() {
    let (_dir, store) = store();
    let base = tar(&[("f", b"base")]);
    let mut layout = Layout::default();
    for name in ["one", "two", "three"] {
        let tars = [base.clone(), tar(&[("name", name.as_bytes())])];
        // The same layer in two compressions is one layer.
        let compress = if name == "two" { zstd } else { gzip };
        let image = layout.image_of("wasi/wasm", &tars, compress);
        layout.name(name, &image);
    }
    layout.add_to(&store).unwrap();
    let blob = store.blob_path(&Digest::of(&base));
    let other = Store::at(store.path()).unwrap();
    let open = |store: &Store, name: &str| {
        let image = store.image(&reference(name), &Choice::default()).unwrap();
        image.stack(&Limits::default()).unwrap()
    };
    let stacks = thread::scope(|scope| {
        let threads: Vec<_> = ["one", "two", "three", "one"]
            .into_iter()
            .enumerate()
            .map(|(number, name)| {
                let store = if number % 2 == 0 { &store } else { &other };
                scope.spawn(move || open(store, name))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(open_descriptors(&blob), 1);
    for stack in &stacks {
        assert_eq!(read_stack(Arc::clone(stack), "f"), b"base");
    }
    drop(stacks);
    assert_eq!(open_descriptors(&blob), 0);
    assert_eq!(read_stack(open(&store, "two"), "name"), b"two");
}

#[test]
fn layer_stays_usable_after_its_image_is_removed() {
    let (_dir, store) = store();
    image("app", b"x").add_to(&store).unwrap();
    let image = store.image(&reference("app"), &Choice::default()).unwrap();
    let stack = image.stack(&Limits::default()).unwrap();
    store.remove_image(&reference("app")).unwrap();
    assert_eq!(read_stack(stack, "f"), b"x");
}

#[test]
fn threads_add_images_without_losing_any() {
    let (_dir, store) = store();
    thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..5 {
                    let name = format!("app{thread}-{number}");
                    image(&name, name.as_bytes()).add_to(store).unwrap();
                }
            });
        }
    });
    assert_eq!(names(&store).len(), 40);
    for thread in 0..8 {
        let name = format!("app{thread}-3");
        assert_eq!(content(&store, &name).unwrap(), name.as_bytes());
    }
}

/// A folder that is mounted a second time, read-only, until it is dropped.
struct ReadOnly(TempDir);

impl ReadOnly {
    fn mount(path: &Path) -> Option<Self> {
        let at = TempDir::new().unwrap();
        let run = |arguments: &[&str]| {
            let status = Command::new("mount").args(arguments).status();
            status.is_ok_and(|status| status.success())
        };
        let (from, to) = (path.to_str().unwrap(), at.path().to_str().unwrap());
        if !run(&["--bind", from, to]) {
            return None;
        }
        let mount = Self(at);
        let to = mount.0.path().to_str().unwrap();
        run(&["-o", "remount,bind,ro", to]).then_some(mount)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.0.path()).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

#[test]
fn read_only_store_is_read_and_refuses_changes() {
    let (_dir, writable) = store();
    image("used", b"used").add_to(&writable).unwrap();
    image("unused", b"unused").add_to(&writable).unwrap();
    content(&writable, "used").unwrap();
    let index = writable.path().join(".wasi-overlay/index");
    for file in fs::read_dir(&index).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let Some(mount) = ReadOnly::mount(writable.path()) else {
        eprintln!("skipped: mounting requires root");
        return;
    };
    let store = Store::at(mount.0.path()).unwrap();
    assert!(!store.is_writable());
    assert_eq!(names(&store).len(), 2);
    // The index cannot be saved, and is made each time.
    assert_eq!(content(&store, "used").unwrap(), b"used");
    let error = content(&store, "unused").unwrap_err();
    assert!(matches!(error, Error::ReadOnlyStore { .. }), "{error}");
    assert!(
        error.to_string().contains("set WASI_OVERLAY_STORE"),
        "{error}"
    );
    for error in [
        store.remove_image(&reference("used")).unwrap_err(),
        store.tag(&reference("used"), &reference("b")).unwrap_err(),
        store
            .prune(&wasi_overlay_image::Prune::default())
            .unwrap_err(),
        store.write_blob(b"x").unwrap_err(),
        store.partial(&Digest::of(b"x"), None).unwrap_err(),
    ] {
        assert!(matches!(error, Error::ReadOnlyStore { .. }), "{error}");
    }
    drop(store);
}

#[test]
fn store_on_a_read_only_disk_that_does_not_exist_is_an_error() {
    let (dir, _store) = store();
    let Some(mount) = ReadOnly::mount(dir.path()) else {
        eprintln!("skipped: mounting requires root");
        return;
    };
    let error = Store::at(mount.0.path().join("none")).unwrap_err();
    assert!(
        error.to_string().contains("cannot create the store"),
        "{error}"
    );
}

#[test]
fn image_is_copied_between_stores() {
    let (_dir, store) = store();
    image("app", b"x").add_to(&store).unwrap();
    let (_other_dir, other) = super::support::store();
    let image = store.image(&reference("app"), &Choice::default()).unwrap();
    let descriptor = image.copy_to(&other).unwrap();
    other.add_image(&reference("copy"), &descriptor).unwrap();
    assert_eq!(content(&other, "copy").unwrap(), b"x");
    assert!(other.verify(None).unwrap().is_empty());
}

#[test]
fn history_shows_the_layers_of_its_steps() {
    let (_dir, store) = store();
    let mut layout = Layout::default();
    let tars = [tar(&[("a", b"1")]), tar_of(&[])];
    let image = layout.image_of("wasi/wasm", &tars, gzip);
    let digest: Digest = image["digest"].as_str().unwrap().parse().unwrap();
    let mut manifest: super::support::Value =
        serde_json::from_slice(&layout.blobs[&digest]).unwrap();
    let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
    manifest["config"] = layout.document(
        super::support::CONFIG,
        &json!({"rootfs": {"diff_ids": diff_ids}, "history": [
            {"created_by": "ADD a"}, {"created_by": "CMD x", "empty_layer": true}, {"created_by": "RUN"}]}),
    );
    let manifest = layout.document(super::support::MANIFEST, &manifest);
    layout.name("app", &manifest);
    layout.add_to(&store).unwrap();
    let image = store.image(&reference("app"), &Choice::default()).unwrap();
    let history = image.history();
    let layers: Vec<_> = history.iter().map(|line| line.layer).collect();
    assert_eq!(
        layers,
        [Some(&image.layers()[0]), None, Some(&image.layers()[1])]
    );
    assert!(image.size() > image.layers()[0].size);
}
