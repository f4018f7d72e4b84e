//! Processes with few descriptors. Cached descriptors never make a call fail that would succeed without the
//! cache, and guests leave some descriptors to the engine.
//!
//! The oracle is a plain directory, which has one descriptor for each open file.
#![cfg(feature = "dir")]

mod cached;
mod guests;
mod kit;

/// Only `plain/dir/open.rs` closes cached descriptors when none is left, so no other file may open files.
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
