//! A process with few descriptors. Cached descriptors never prevent a call that would succeed without the cache,
//! of the same guest or another mount, and guests leave some descriptors to the engine.
//!
//! A plain directory is the oracle: it holds one descriptor for what is open, and no other.
#![cfg(feature = "dir")]

mod cached;
mod guests;
mod kit;

/// What opens something by itself does not close cached descriptors where none is left.
#[test]
fn every_open_closes_cached_descriptors_if_needed() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("plain/dir/open.rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains("rustix::fs::open"), "{}", path.display());
            }
        }
    }
}
