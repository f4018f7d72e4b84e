//! Documents with random changes: each is read or refused, and no change makes the reader panic, hang or
//! write outside of its store.

use super::support::{Layout, files_below, store};
use std::fs;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Digest, Purpose, Selector, Transport, fuzz};

struct Random(u64);

impl Random {
    fn next(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound.max(1)
    }
}

/// Pieces of JSON, and of paths that lead elsewhere.
const PIECES: [&str; 16] = [
    "null",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "1e400",
    "18446744073709551616",
    "true",
    "\"../../../x\"",
    "\"sha256:\"",
    "[[[[",
    "}}",
    ",",
    "\\u0000",
    "\"manifests\":",
    "\"sha512:00\"",
];

fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.next(3) {
        let at = random.next(bytes.len());
        let end = (at + random.next(40)).min(bytes.len());
        match random.next(4) {
            0 if !bytes.is_empty() => bytes[at] = u8::try_from(random.next(256)).unwrap(),
            1 => {
                bytes.drain(at..end);
            }
            2 => {
                let piece = PIECES[random.next(PIECES.len())];
                bytes.splice(at..end, piece.bytes());
            }
            _ => {
                let copied = bytes[at..end].to_vec();
                let to = random.next(bytes.len());
                bytes.splice(to..to, copied);
            }
        }
    }
    bytes
}

#[test]
fn changed_documents_are_read_or_refused() {
    let mut random = Random(0x5eed_1234_abcd);
    let (dir, store) = store();
    let path = dir.path().join("layout");
    for _ in 0..400 {
        let mut layout = Layout::default();
        let image = layout.image("wasi/wasm", &[("f", b"x")]);
        let digest: Digest = image["digest"].as_str().unwrap().parse().unwrap();
        let manifest: super::support::Value =
            serde_json::from_slice(&layout.blobs[&digest]).unwrap();
        let mut manifest = manifest;
        if random.next(2) == 0 {
            let config: Digest = manifest["config"]["digest"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            let config = mutate(&layout.blobs[&config], &mut random);
            fuzz::documents(&config);
            manifest["config"] = layout.blob(super::support::CONFIG, &config);
        }
        let mut manifest = manifest.to_string().into_bytes();
        if random.next(2) == 0 {
            manifest = mutate(&manifest, &mut random);
            fuzz::documents(&manifest);
        }
        let manifest = layout.blob(super::support::MANIFEST, &manifest);
        layout.name("v1", &manifest);
        layout.write(&path);
        if random.next(2) == 0 {
            let index = mutate(layout.index().to_string().as_bytes(), &mut random);
            fuzz::documents(&index);
            fs::write(path.join("index.json"), index).unwrap();
        }
        let transport = Transport::OciLayout {
            path: path.clone(),
            image: Selector::Only,
        };
        let choice = Choice {
            purpose: Purpose::Data,
            ..Choice::default()
        };
        // Whatever the result is, it has to come.
        let _ = transport.lowers(Some(&store), &choice, &Limits::default());
    }
    let mut roots: Vec<_> = files_below(dir.path())
        .iter()
        .map(|file| file.components().next().unwrap().as_os_str().to_owned())
        .collect();
    roots.dedup();
    assert_eq!(roots, ["layout", "store"]);
    super::support::assert_blobs_are_whole(store.path());
}

#[test]
fn changed_names_mean_the_same_when_they_are_displayed() {
    let mut random = Random(0xabcd_5eed);
    let names = [
        "docker.io/library/alpine:3.20@sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b",
        "localhost:5000/a/b:c",
        "oci:dir:tag",
        "docker-archive:f:@1",
        "docker://[::1]:80/x",
        "oci-archive:a@sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b",
    ];
    // All short names, which changes of longer ones seldom lead to.
    for first in 0..=u8::MAX {
        fuzz::documents(&[first]);
        for second in 0..=u8::MAX {
            fuzz::documents(&[first, second]);
        }
    }
    for number in 0..20_000 {
        let name = names[number % names.len()];
        fuzz::documents(&mutate(name.as_bytes(), &mut random));
    }
}
