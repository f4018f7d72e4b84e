//! The memory that a pull needs, with Debian's docker-registry. Skipped where that is missing, except in CI.
//!
//! All memory of the process is counted, so there is one test. The memory of zstd, whose window an image
//! chooses, is not Rust's and does not count.

use peak_alloc::PeakAlloc;
use std::ffi::OsString;
use std::io::Write as _;
use wasi_overlay_core::Limits;
use wasi_overlay_image::registry::{Client, Options, Proxies, Silent};
use wasi_overlay_image::{Choice, Digest, Reference, Store};
use wasi_overlay_proof::archive::Archive;
use wasi_overlay_proof::registry::Registry;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

#[test]
fn a_pull_needs_less_than_32_mib() {
    let Some(registry) = Registry::start("a_pull_needs_less_than_32_mib", &[], &[]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = |name: &str| Store::at(folder.path().join(name)).unwrap();
    let client = |unpack| {
        let options = Options {
            proxies: Proxies::default(),
            unpack,
            ..Options::default()
        };
        Client::with_environment(options, |_| None::<OsString>)
    };
    let name: Reference = format!("{}/app:1", registry.host()).parse().unwrap();
    let pushed = store("pushed");
    client(None)
        .push(&pushed, make(&pushed, &name), &name, &Silent)
        .unwrap();

    // Layers are decompressed after the pull, or while they arrive, as for `run`.
    for (folder, unpack) in [("after", None), ("meanwhile", Some(Limits::default()))] {
        let pulled = store(folder);
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        client(unpack)
            .pull(&pulled, &name, &Choice::default(), &Silent)
            .unwrap();
        let image = pulled.image(&name, &Choice::default()).unwrap();
        let _stack = image.stack(&Limits::default()).unwrap();
        let peak = ALLOCATOR.peak_usage() - before;
        eprintln!("decompressed {folder}: {} KiB at most", peak >> 10);
        assert!(peak < 32 * MIB, "{folder}: {} KiB", peak >> 10);
    }
}

/// Puts an image with layers larger than the bound into a store.
fn make(store: &Store, name: &Reference) -> Digest {
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        (state >> 56) as u8
    };
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for compression in ["gzip", "gzip", "gzip", "zstd"] {
        let data: Vec<u8> = std::iter::repeat_with(&mut noise).take(40 * MIB).collect();
        let tar = Archive::default().file("file", &data).finished();
        let packed = match compression {
            "gzip" => gzip(&tar),
            _ => zstd::encode_all(&*tar, 1).unwrap(),
        };
        diff_ids.push(format!(r#""{}""#, Digest::of(&tar)));
        let media_type = format!("application/vnd.oci.image.layer.v1.tar+{compression}");
        layers.push(add(store, &media_type, &packed));
    }
    let config = format!(
        r#"{{"architecture":"wasm","os":"wasip1","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let config = add(
        store,
        "application/vnd.oci.image.config.v1+json",
        config.as_bytes(),
    );
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{}]}}"#,
        layers.join(",")
    );
    let descriptor = add(store, media_type, manifest.as_bytes());
    store
        .add_image(name, &serde_json::from_str(&descriptor).unwrap())
        .unwrap();
    Digest::of(manifest.as_bytes())
}

/// Writes a blob, and returns its descriptor.
fn add(store: &Store, media_type: &str, bytes: &[u8]) -> String {
    let digest = store.write_blob(bytes).unwrap();
    let size = bytes.len();
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
