//! Saved indexes: which are used, and what a damaged one can do.

use crate::archive::{Archive, EntryType, Scan};
use crate::show::{FULL, tree};
use std::sync::Arc;
use wasi_overlay_core::tar::{TarIndex, TarLayer};
use wasi_overlay_proof::fuzz::is_harmless_index;

fn some() -> Archive {
    Archive::default()
        .dir("d", 0o750)
        .records(&[
            ("SCHILY.xattr.user.a", b"1"),
            ("atime", b"5.5"),
            ("GNU.sparse.major", b"0"),
            ("GNU.sparse.minor", b"1"),
            ("GNU.sparse.size", b"1000"),
            ("GNU.sparse.map", b"0,4,900,6"),
        ])
        .file("d/sparse", b"0123456789")
        .link("d/again", "d/sparse")
        .symlink("link", b"target")
        .device("null", EntryType::Char, 1, 3)
        .file(".wh.gone", b"")
        .file("a/b/c", b"implied")
}

#[test]
fn saved_index_gives_the_same_layer() {
    let bytes = some().finished();
    let layer = some().layer();
    let saved = layer.index().as_bytes().to_vec();
    let index = TarIndex::from_bytes(saved, bytes.len() as u64).unwrap();
    let warnings: Vec<_> = layer.index().warnings().collect();
    assert_eq!(index.warnings().collect::<Vec<_>>(), warnings);
    let loaded = TarLayer::new(Arc::new(index), Arc::new(bytes));
    let lines = tree(&loaded, FULL);
    assert_eq!(lines, tree(&layer, FULL));
    let sparse = lines.iter().find(|line| line.starts_with("d/sparse"));
    assert!(sparse.unwrap().contains("links 2"), "{lines:?}");
}

#[test]
fn index_of_another_version_or_archive_is_refused() {
    let bytes = some().finished();
    let saved = some().layer().index().as_bytes().to_vec();
    let size = bytes.len() as u64;
    let error = TarIndex::from_bytes(saved.clone(), size + 1).unwrap_err();
    assert!(error.to_string().contains("another size"), "{error}");
    let mut newer = saved.clone();
    newer[7] += 1;
    let error = TarIndex::from_bytes(newer, size).unwrap_err();
    assert!(error.to_string().contains("another version"), "{error}");
    for length in 0..saved.len() {
        assert!(TarIndex::from_bytes(&saved[..length], size).is_err());
    }
    for at in 0..saved.len() {
        let mut damaged = saved.clone();
        damaged[at] ^= 0x10;
        assert!(TarIndex::from_bytes(damaged, size).is_err(), "byte {at}");
    }
}

/// A forged index with a valid checksum may describe anything, but reading it must neither panic nor read
/// outside of the archive.
#[test]
fn forged_index_is_refused_or_harmless() {
    let bytes: Arc<Vec<u8>> = Arc::new(some().finished());
    let saved = some().layer().index().as_bytes().to_vec();
    let mut harmless = 0;
    for at in 12..saved.len() {
        for change in [1, 0x7f, 0x80, 0xff] {
            let mut forged = saved.clone();
            forged[at] = forged[at].wrapping_add(change);
            harmless += usize::from(is_harmless_index(forged, &bytes));
        }
    }
    assert!(harmless > 100, "{harmless}");
}
