//! Archives that are cut or damaged, and what is no archive.

use crate::archive::{Archive, Scan, scan};
use crate::show::{SHORT, tree};
use wasi_overlay_core::Errno;

fn some() -> Archive {
    Archive::default()
        .dir("d", 0o755)
        .file("d/a", &[7; 700])
        .records(&[("path", b"d/long name")])
        .file("x", b"data")
}

#[test]
fn archive_without_its_end_is_whole() {
    let whole = tree(&some().layer(), SHORT);
    for zeroes in [0, 1, 100, 512, 513, 1024, 10_240] {
        let mut bytes = some().bytes;
        bytes.resize(bytes.len() + zeroes, 0);
        assert_eq!(
            tree(&scan(&bytes).unwrap(), SHORT),
            whole,
            "{zeroes} zeroes"
        );
    }
    // The last padding is no data.
    let mut bytes = some().bytes;
    bytes.truncate(bytes.len() - 508);
    assert_eq!(tree(&scan(&bytes).unwrap(), SHORT), whole);
    assert_eq!(tree(&scan(b"").unwrap(), SHORT), [""; 0]);
}

#[test]
fn what_follows_the_end_is_not_read() {
    let mut bytes = some().finished();
    bytes.extend(b"garbage".repeat(1000));
    let layer = scan(&bytes).unwrap();
    assert_eq!(tree(&layer, SHORT), tree(&some().layer(), SHORT));
}

#[test]
fn lone_block_of_zeroes_ends_the_archive() {
    let mut archive = Archive::default().file("a", b"1");
    archive.bytes.extend([0; 512]);
    assert_eq!(
        tree(&archive.file("b", b"2").layer(), SHORT),
        ["a File \"1\""]
    );
}

/// A cut within an entry is an error. A cut between two entries cannot be told from a shorter archive.
#[test]
fn cut_archive_is_refused_unless_it_is_cut_between_entries() {
    let bytes = some().bytes;
    let mut between = Vec::new();
    for length in 0..bytes.len() {
        match scan(&bytes[..length]) {
            Ok(layer) => between.push((length, tree(&layer, SHORT).len())),
            Err(error) => {
                assert_eq!(error.errno(), Errno::Invalid, "{length}: {error}");
                let why = if length < 512 {
                    "not a tar"
                } else {
                    "not complete"
                };
                assert!(error.to_string().contains(why), "{error}");
            }
        }
    }
    // The padding after the data of `d/a`: 700 bytes in two blocks. That of the last file: 4 bytes.
    let whole_padding = 512 + 512 + 700..=512 + 512 + 1024;
    let last_padding = bytes.len() - 508..bytes.len();
    let expected: Vec<_> = std::iter::once((0, 0))
        .chain(std::iter::once((512, 1)))
        .chain(whole_padding.map(|length| (length, 2)))
        .chain(last_padding.map(|length| (length, 3)))
        .collect();
    assert_eq!(between, expected);
}

#[test]
fn bytes_of_something_else_are_refused() {
    for bytes in [
        vec![0x1f, 0x8b, 8, 0],
        b"PK\x03\x04".repeat(200),
        b"#!/bin/sh\n".repeat(100),
        vec![0xff; 2048],
    ] {
        let error = scan(&bytes).unwrap_err();
        assert_eq!(error.errno(), Errno::Invalid, "{error}");
        assert!(error.to_string().contains("not a tar archive"), "{error}");
    }
}

/// Each byte of a header flipped: refused, or read as something, but never a panic, and never with an
/// index that does not load.
#[test]
fn damaged_headers_do_no_harm() {
    let bytes = some().finished();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            let limits = wasi_overlay_core::Limits::default();
            let size = bytes.len() as u64;
            if let Ok(layer) = wasi_overlay_core::tar::TarLayer::scan(bytes, &limits) {
                let saved = layer.index().as_bytes();
                wasi_overlay_core::tar::TarIndex::from_bytes(saved, size).unwrap();
                tree(&layer, SHORT);
            }
        }
    }
}

#[test]
fn archive_that_is_cut_while_it_is_used_gives_errors() {
    use wasi_overlay_core::layer::{Layer, ReadAt};
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), some().finished()).unwrap();
    let limits = wasi_overlay_core::Limits::default();
    let layer = wasi_overlay_core::tar::TarLayer::scan(file.reopen().unwrap(), &limits).unwrap();
    file.as_file().set_len(1000).unwrap();
    let name = |name| wasi_overlay_core::Name::new(name).unwrap();
    let dir = layer.open_dir(&layer.root().unwrap(), name(b"d")).unwrap();
    let opened = layer.open_file(&dir, name(b"a")).unwrap();
    let errno = opened.read_at(&mut [0; 10], 0).unwrap_err().errno();
    assert_eq!(errno, Errno::Io);
    assert_eq!(opened.read_vec_at(10, 0).unwrap_err().errno(), Errno::Io);
}
