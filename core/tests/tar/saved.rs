//! Saved indexes: which are used, and what a damaged one can do.

use crate::archive::{Archive, EntryType, Scan};
use crate::show::{FULL, tree};
use std::sync::Arc;
use wasi_overlay_core::tar::{TarIndex, TarLayer};

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

/// An index with a checksum that fits: one that somebody made. It may describe anything, but reading it
/// must neither panic nor read outside of the archive.
#[test]
fn forged_index_is_refused_or_harmless() {
    let bytes: Arc<Vec<u8>> = Arc::new(some().finished());
    let saved = some().layer().index().as_bytes().to_vec();
    let mut harmless = 0;
    for at in 12..saved.len() {
        for change in [1, 0x7f, 0x80, 0xff] {
            let mut forged = saved.clone();
            forged[at] = forged[at].wrapping_add(change);
            let checksum = crc32fast::hash(&forged[12..]);
            forged[8..12].copy_from_slice(&checksum.to_le_bytes());
            let Ok(index) = TarIndex::from_bytes(forged, bytes.len() as u64) else {
                continue;
            };
            harmless += 1;
            read_all(&TarLayer::new(Arc::new(index), bytes.clone()));
        }
    }
    assert!(harmless > 100, "{harmless}");
}

/// Calls all that a layer offers, whatever it answers. A directory may contain itself.
fn read_all(layer: &TarLayer) {
    use std::ops::ControlFlow;
    use wasi_overlay_core::layer::{Layer, ReadAt};
    let mut dirs = vec![(0, layer.root().unwrap())];
    while let Some((depth, dir)) = dirs.pop() {
        layer.dir_meta(&dir).unwrap();
        let mut names = Vec::new();
        let _ = layer.list(&dir, &mut |name, _| {
            names.push(name.to_owned());
            ControlFlow::Continue(())
        });
        for name in &names {
            let name = name.as_name();
            let _ = layer.find(&dir, name);
            let _ = layer.read_link(&dir, name);
            for attribute in layer.xattrs(&dir, Some(name)).unwrap_or_default() {
                layer.xattr(&dir, Some(name), &attribute).unwrap();
            }
            if let Ok(file) = layer.open_file(&dir, name) {
                for offset in [0, 1, 899, 1000, u64::MAX] {
                    let _ = file.read_at(&mut [0; 16], offset);
                    let _ = file.read_vec_at(16, offset);
                    let _ = file.next_data(offset);
                }
            }
            if depth < 4
                && let Ok(below) = layer.open_dir(&dir, name)
            {
                dirs.push((depth + 1, below));
            }
        }
    }
}
