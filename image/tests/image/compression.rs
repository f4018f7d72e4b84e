//! Compressed layers: odd streams that are accepted, damaged ones that are not, and bombs.

use super::support::{files_below, gzip, noise, read, store, tar, zstd};
use std::fs;
use std::io::Write;
use wasi_overlay_core::{Limits, Lower};
use wasi_overlay_image::{Choice, Digest, Error, Format, Store, Transport};

/// Opens a compressed tar of the host as a layer.
fn open(store: &Store, bytes: &[u8]) -> Result<Vec<Lower>, Error> {
    open_within(store, bytes, &Limits::default())
}

fn open_within(store: &Store, bytes: &[u8], limits: &Limits) -> Result<Vec<Lower>, Error> {
    let path = store.path().with_file_name("layer");
    fs::write(&path, bytes).unwrap();
    Transport::Tar(path).lowers(Some(store), &Choice::default(), limits)
}

fn layer() -> Vec<u8> {
    tar(&[("f", b"content"), ("large", &noise(300_000))])
}

/// Asserts that the layer is read, and that the store has the plain tar and nothing else.
fn assert_reads(name: &str, bytes: &[u8]) {
    let (_dir, store) = store();
    let lowers = open(&store, bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let clones = lowers.clone();
    assert_eq!(read(lowers, "f"), b"content", "{name}");
    assert_eq!(read(clones, "large"), noise(300_000), "{name}");
    assert!(store.has(&Digest::of(&layer())).unwrap(), "{name}");
    assert_eq!(blobs(&store), 1, "{name}");
}

fn blobs(store: &Store) -> usize {
    files_below(&store.path().join("blobs")).len()
}

fn temporary(store: &Store) -> usize {
    files_below(&store.path().join(".wasi-overlay/tmp")).len()
}

/// Asserts that the layer is refused for this reason, and that nothing of it stays.
fn assert_refuses(name: &str, bytes: &[u8], reason: &str) {
    let (_dir, store) = store();
    let error = open(&store, bytes).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(reason), "{name}: {error}");
    assert_eq!((blobs(&store), temporary(&store)), (0, 0), "{name}");
}

fn skippable(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x55, 0x2a, 0x4d, 0x18];
    frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
    frame.extend_from_slice(bytes);
    frame
}

#[test]
fn gzip_of_any_shape_is_read() {
    let tar = layer();
    let plain = gzip(&tar);
    assert_reads("one member", &plain);
    let members: Vec<u8> = tar.chunks(70_001).flat_map(gzip).collect();
    assert_reads("several members", &members);
    let single: Vec<u8> = tar[..300]
        .chunks(1)
        .chain([&tar[300..]])
        .flat_map(gzip)
        .collect();
    assert_reads("members of a byte", &single);
    assert_reads(
        "an empty member",
        &[gzip(b""), plain.clone(), gzip(b"")].concat(),
    );
    assert_reads(
        "zeros at the end",
        &[plain.clone(), vec![0; 100_000]].concat(),
    );
    let mut encoder = flate2::GzBuilder::new()
        .filename("layer.tar")
        .comment("a comment")
        .extra(vec![1, 2, 3])
        .mtime(7)
        .write(Vec::new(), flate2::Compression::best());
    encoder.write_all(&tar).unwrap();
    assert_reads("all header fields", &encoder.finish().unwrap());
}

#[test]
fn zstd_of_any_shape_is_read() {
    let tar = layer();
    let plain = zstd(&tar);
    assert_reads("one frame", &plain);
    let frames: Vec<u8> = tar.chunks(70_001).flat_map(zstd).collect();
    assert_reads("several frames", &frames);
    assert_reads(
        "a skippable frame first",
        &[skippable(b"hello"), plain.clone()].concat(),
    );
    assert_reads(
        "a skippable frame last",
        &[plain.clone(), skippable(&[7; 1000])].concat(),
    );
    let mixed: Vec<u8> = tar
        .chunks(50_000)
        .flat_map(|chunk| [zstd(chunk), skippable(b""), zstd(b"")].concat())
        .collect();
    assert_reads("all mixed, as in chunked layers", &mixed);
}

#[test]
fn truncated_stream_is_refused_wherever_it_ends() {
    let tar = tar(&[("f", &noise(3000))]);
    for (name, packed) in [("gzip", gzip(&tar)), ("zstd", zstd(&tar))] {
        let ends = (10..packed.len())
            .step_by(97)
            .chain(packed.len() - 9..packed.len());
        for end in ends {
            assert_refuses(name, &packed[..end], "ends in the middle");
        }
        // The first of two is whole.
        let two = [packed.clone(), packed.clone()].concat();
        assert_refuses(name, &two[..two.len() - 3], "ends in the middle");
    }
}

#[test]
fn damaged_stream_is_refused() {
    let tar = tar(&[("f", &noise(3000))]);
    for (name, packed) in [("gzip", gzip(&tar)), ("zstd", zstd(&tar))] {
        for at in (20..packed.len() - 8).step_by(211) {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x10;
            let (_dir, store) = store();
            // zstd of this encoder has no checksum, so damage may only show as a damaged tar.
            if open(&store, &damaged).is_err() {
                assert_eq!((blobs(&store), temporary(&store)), (0, 0), "{name} {at}");
            } else {
                assert_eq!(name, "zstd");
            }
        }
    }
    let mut wrong_sum = gzip(&tar);
    let end = wrong_sum.len();
    wrong_sum[end - 8] ^= 1;
    assert_refuses("checksum", &wrong_sum, "damaged");
    assert_refuses(
        "garbage",
        &[gzip(&tar), b"garbage".to_vec()].concat(),
        "other data",
    );
    let after_zeros = [gzip(&tar), vec![0; 9], gzip(&tar)].concat();
    assert_refuses("member after zeros", &after_zeros, "other data");
    assert_refuses(
        "garbage",
        &[zstd(&tar), b"garbage".to_vec()].concat(),
        "damaged",
    );
}

#[test]
fn other_formats_are_named() {
    for (bytes, name) in [
        (&b"\xfd7zXZ\0\0\x04"[..], "xz"),
        (b"BZh91AY&SY", "bzip2"),
        (b"PK\x03\x04abcd", "zip"),
    ] {
        assert_refuses(name, bytes, &format!("compressed with {name}"));
    }
    // A tar begins with the name of its first file.
    assert_eq!(Format::detect("x", b"BZh-notes").unwrap(), Format::Plain);
    assert_eq!(Format::detect("x", b"").unwrap(), Format::Plain);
}

#[test]
fn layer_without_bytes_is_empty() {
    for bytes in [gzip(b""), zstd(b""), Vec::new()] {
        let (_dir, store) = store();
        assert_eq!(open(&store, &bytes).unwrap().len(), 1);
    }
}

#[test]
fn window_beyond_the_limit_is_refused() {
    use ::zstd::stream::raw::CParameter;
    let mut packed = Vec::new();
    let mut encoder = ::zstd::Encoder::new(&mut packed, 1).unwrap();
    encoder.set_parameter(CParameter::WindowLog(28)).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&layer()).unwrap();
    encoder.finish().unwrap();
    assert_refuses("window", &packed, "a window of more than 128 MiB");
}

#[test]
fn bomb_is_refused_before_it_is_whole() {
    let zeros = vec![0; 100 << 20];
    let bomb = tar(&[("f", &zeros)]);
    for packed in [gzip(&bomb), zstd(&bomb)] {
        let (_dir, store) = store();
        let mut small = Limits::default();
        small.archive_bytes = 1 << 20;
        let mut narrow = Limits::default();
        narrow.archive_expansion = 2;
        // By default the ratio alone refuses zstd, which can have any; that of gzip is at most 1,032.
        for limits in [small, narrow] {
            let error = open_within(&store, &packed, &limits)
                .map(|_| ())
                .unwrap_err();
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
            assert_eq!((blobs(&store), temporary(&store)), (0, 0));
        }
    }
    assert_refuses("zstd", &zstd(&bomb), "larger than");
}

#[test]
fn blob_that_says_it_does_not_fit_is_refused_unread() {
    // A frame of zstd with a size of 2^50 bytes.
    let mut frame = b"\x28\xb5\x2f\xfd\xc0\x58".to_vec();
    frame.extend_from_slice(&(1_u64 << 50).to_le_bytes());
    frame.extend_from_slice(&noise(100));
    assert_refuses("zstd", &frame, "no room for 1 PiB more");
}

#[test]
fn blob_that_is_no_tar_is_refused() {
    for bytes in [gzip(&noise(5000)), zstd(&noise(5000)), noise(5000)] {
        let (_dir, store) = store();
        let error = open(&store, &bytes).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Layer { .. }), "{error}");
        assert_eq!((blobs(&store), temporary(&store)), (0, 0));
    }
    // A large one ends early: the consumer stops the producer.
    let (_dir, store) = store();
    let error = open(&store, &gzip(&noise(20 << 20)))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, Error::Layer { .. }), "{error}");
}
