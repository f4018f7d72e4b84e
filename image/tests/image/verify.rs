//! What a check of the store finds.

use super::support::{Layout, files_below, read_stack, store};
use std::fs;
use std::path::Path;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Digest, Problem, Store};

fn filled() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    let mut layout = Layout::default();
    for name in ["one", "two"] {
        let image = layout.image("wasi/wasm", &[("f", name.as_bytes())]);
        layout.name(name, &image);
    }
    layout.add_to(&store).unwrap();
    use_all(&store);
    (dir, store)
}

fn use_all(store: &Store) {
    for name in ["one", "two"] {
        let image = store
            .image(&name.parse().unwrap(), &Choice::default())
            .unwrap();
        let stack = image.stack(&Limits::default()).unwrap();
        assert_eq!(read_stack(stack, "f"), name.as_bytes());
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 4;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn flipped_byte_of_any_blob_is_found() {
    let (_dir, store) = filled();
    assert_eq!(store.verify(None).unwrap(), []);
    let blobs = store.path().join("blobs/sha256");
    for file in files_below(&blobs) {
        let digest = Digest::from_hex(file.to_str().unwrap()).unwrap();
        for at in [0, 33, usize::MAX] {
            flip(&blobs.join(&file), at);
            let problems = store.verify(None).unwrap();
            let is_found = problems.iter().any(|problem| {
                matches!(problem, Problem::Damaged { digest: found, .. } if *found == digest)
            });
            assert!(is_found, "{digest}: {problems:?}");
            assert!(problems[0].to_string().contains("sha256:"));
            flip(&blobs.join(&file), at);
            store.verify(None).unwrap();
        }
    }
    assert_eq!(store.verify(None).unwrap(), []);
}

#[test]
fn damaged_index_is_found_and_made_again() {
    let (_dir, store) = filled();
    let indexes = store.path().join(".wasi-overlay/index");
    for file in files_below(&indexes) {
        flip(&indexes.join(&file), 70);
        let problems = store.verify(None).unwrap();
        assert!(
            matches!(problems[..], [Problem::Index { .. }]),
            "{problems:?}"
        );
        assert!(!indexes.join(&file).exists());
        assert_eq!(store.verify(None).unwrap(), []);
        use_all(&store);
        assert!(indexes.join(&file).exists());
    }
}

#[test]
fn missing_blob_is_reported_for_its_image_alone() {
    let (_dir, store) = filled();
    let image = store
        .image(&"one".parse().unwrap(), &Choice::default())
        .unwrap();
    let layer = image.layers()[0].digest.unwrap();
    // The plain tar is there, so nothing is missing.
    fs::remove_file(store.blob_path(&layer)).unwrap();
    assert_eq!(store.verify(None).unwrap(), []);
    fs::remove_file(store.blob_path(&image.config_digest())).unwrap();
    let expected = Problem::Missing {
        image: "docker.io/library/one:latest".to_owned(),
        digest: image.config_digest(),
    };
    let problems = store.verify(None).unwrap();
    assert!(problems.contains(&expected), "{problems:?}");
    assert!(
        store
            .verify(Some(&"one".parse().unwrap()))
            .unwrap()
            .contains(&expected)
    );
    assert_eq!(store.verify(Some(&"two".parse().unwrap())).unwrap(), []);
    assert!(store.verify(Some(&"three".parse().unwrap())).is_err());
}
