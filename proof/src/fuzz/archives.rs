//! Archives with odd entries, and modified saved indexes.

use crate::Choices;
use crate::archive::{Archive, EntryType, Header, header};
use std::ops::ControlFlow;
use std::sync::Arc;
use wasi_overlay_core::layer::{Found, Layer, Listed, ReadAt};
use wasi_overlay_core::tar::{Scanner, TarIndex, TarLayer};
use wasi_overlay_core::{Limits, Result};

const PATHS: [&str; 24] = [
    "a",
    "b",
    "a/b",
    "a/b/c",
    "./a/",
    "a//./b",
    "b/",
    ".",
    "./",
    "/",
    "",
    "../a",
    "a/../b",
    "..",
    ".wh.a",
    "a/.wh.b",
    ".wh..wh..opq",
    "a/.wh..wh..opq",
    ".wh..wh.plnk/1",
    ".wh.a/b",
    ".wh.",
    ".wh...",
    "a\0b",
    "\u{fc}",
];

const KEYS: [&str; 18] = [
    "path",
    "linkpath",
    "size",
    "uid",
    "gid",
    "mtime",
    "atime",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.name",
    "GNU.sparse.realsize",
    "GNU.sparse.size",
    "GNU.sparse.map",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
    "SCHILY.xattr.user.a",
    "SCHILY.xattr.trusted.overlay.opaque",
    "LIBARCHIVE.xattr.user.b",
];

const VALUES: [&str; 16] = [
    "",
    "0",
    "1",
    "4",
    "600",
    "-1.5",
    "1.123456789123",
    "18446744073709551615",
    "18446744073709551616",
    "0,4,8,4",
    "0,4,2,4",
    "0,4,8",
    "y",
    "a",
    "../a",
    "TWE=",
];

/// Scans an archive whole and in pieces, saves and loads its index, and reads all that the layer has.
///
/// # Panics
/// If two ways of reading the archive disagree.
pub fn archives(data: &[u8]) {
    let mut choices = Choices::of_bytes(data);
    let mut archive = Archive::default();
    let mut entries = 0;
    while !choices.is_used_up() && entries < 16 {
        archive = draw(archive, &mut choices);
        entries += 1;
    }
    let mut bytes = archive.finished();
    if choices.one_in(4) {
        bytes.truncate(choices.next(bytes.len() + 1));
    }
    let limits = Limits::default();
    let whole = TarLayer::scan(bytes.clone(), &limits);
    for piece in [1 + choices.next(600), 4096] {
        let pieces = scan_in_pieces(&bytes, piece, &limits);
        match (&whole, &pieces) {
            (Ok(layer), Ok(index)) => assert!(layer.index().as_bytes() == index.as_bytes()),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
            (one, other) => panic!("{one:?} whole, {other:?} in pieces of {piece}"),
        }
    }
    let Ok(layer) = whole else { return };
    let index = TarIndex::from_bytes(layer.index().as_bytes(), bytes.len() as u64);
    let index = index.expect("the index of an archive that was scanned");
    let loaded = TarLayer::new(Arc::new(index), Arc::new(bytes));
    assert_eq!(read_all(&layer, true), read_all(&loaded, true));
}

/// Changes bytes of a saved index, and reads all that the layer has.
///
/// # Panics
/// If reading panics.
pub fn indexes(data: &[u8]) {
    let archive = Archive::default()
        .dir("d", 0o755)
        .records(&[
            ("SCHILY.xattr.user.a", b"1"),
            ("atime", b"5"),
            ("GNU.sparse.major", b"0"),
            ("GNU.sparse.minor", b"1"),
            ("GNU.sparse.size", b"1000"),
            ("GNU.sparse.map", b"0,4,900,6"),
        ])
        .file("d/sparse", b"0123456789")
        .symlink("link", b"target")
        .file(".wh.gone", b"");
    let bytes: Arc<Vec<u8>> = Arc::new(archive.finished());
    let layer = TarLayer::scan(Arc::clone(&bytes), &Limits::default()).expect("an archive of ours");
    let mut index = layer.index().as_bytes().to_vec();
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % index.len();
        index[at] = change[2];
    }
    is_harmless_index(index, &bytes);
}

/// Makes the checksum of a modified index of `archive` fit, and reads all that the layer has. Returns
/// whether the index was accepted.
///
/// # Panics
/// If reading panics.
pub fn is_harmless_index(mut index: Vec<u8>, archive: &Arc<Vec<u8>>) -> bool {
    if let Some(checksum) = index.get(12..).map(crc32fast::hash) {
        index[8..12].copy_from_slice(&checksum.to_le_bytes());
    }
    let Ok(index) = TarIndex::from_bytes(index, archive.len() as u64) else {
        return false;
    };
    read_all(&TarLayer::new(Arc::new(index), archive.clone()), false);
    true
}

fn draw(mut archive: Archive, choices: &mut Choices<'_>) -> Archive {
    let size = [0, 0, 1, 4, 10, 600][choices.next(6)];
    if choices.one_in(2) {
        let count = 1 + choices.next(4);
        let records: Vec<_> = (0..count)
            .map(|_| (choices.of(&KEYS), choices.of(&VALUES).as_bytes()))
            .collect();
        let kind = if choices.one_in(6) {
            EntryType::XGlobalHeader
        } else {
            EntryType::XHeader
        };
        archive = archive.pax(kind, &records);
    }
    let kind = EntryType::from_byte(choices.of(b"000000555221234678SLKxgMV\0"));
    let mut entry = if choices.one_in(3) {
        Header::new_gnu()
    } else {
        header(kind, 0)
    };
    entry.set_entry_type(kind);
    // The size of a header need not be that of its data.
    let claimed = if choices.one_in(12) { 5000 } else { size };
    entry.set_size(claimed as u64).expect("a small size");
    let target = choices.of(&PATHS);
    entry
        .set_link_name(target.as_bytes())
        .expect("a short target");
    let path = choices.of(&PATHS);
    archive.raw(entry, path.as_bytes(), &[b'x'; 600][..size]);
    archive
}

fn scan_in_pieces(bytes: &[u8], piece: usize, limits: &Limits) -> Result<TarIndex> {
    let mut scanner = Scanner::new(limits);
    bytes
        .chunks(piece)
        .try_for_each(|piece| scanner.push(piece))?;
    scanner.finish()
}

/// Calls all that a layer offers, and returns the number of names. In a forged index, a directory may
/// contain itself; `strict` is for one that was scanned, where a listing and a lookup agree.
fn read_all(layer: &TarLayer, strict: bool) -> usize {
    let root = layer.root().expect("a root");
    let mut dirs = vec![(0, root)];
    let mut count = 0;
    while let Some((depth, dir)) = dirs.pop() {
        let _ = layer.dir_meta(&dir);
        let mut names = Vec::new();
        let _ = layer.list(&dir, &mut |name, listed| {
            names.push((name.to_owned(), listed));
            ControlFlow::Continue(())
        });
        for (name, listed) in &names {
            count += 1;
            let name = name.as_name();
            let found = layer.find(&dir, name);
            if strict {
                let hidden = matches!(found, Ok(Found::Hidden));
                assert_eq!(hidden, *listed == Listed::Hidden, "{name}");
                assert!(!matches!(found, Ok(Found::Absent) | Err(_)), "{name}");
            }
            let _ = layer.read_link(&dir, name);
            for attribute in layer.xattrs(&dir, Some(name)).unwrap_or_default() {
                let _ = layer.xattr(&dir, Some(name), &attribute);
            }
            if let Ok(file) = layer.open_file(&dir, name) {
                for offset in [0, 1, 899, 1000, u64::MAX] {
                    let read = file.read_at(&mut [0; 16], offset);
                    assert!(!strict || read.is_ok(), "{name}");
                    let _ = (file.read_vec_at(16, offset), file.next_data(offset));
                }
            }
            if depth < 4
                && let Ok(below) = layer.open_dir(&dir, name)
            {
                dirs.push((depth + 1, below));
            }
        }
    }
    count
}
