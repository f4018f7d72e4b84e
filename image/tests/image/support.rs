//! Helpers: tars, layouts and images made in memory, and reading through a stack.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use wasi_overlay_core::{Limits, Lower, LowerStack, Overlay};
use wasi_overlay_image::{Digest, Store};

pub(crate) use serde_json::{Value, json};

/// A folder that is removed, and a store in it.
pub(crate) fn store() -> (TempDir, Store) {
    let dir = TempDir::new().unwrap();
    let store = Store::at(dir.path().join("store")).unwrap();
    (dir, store)
}

/// An entry of a tar.
pub(crate) enum Item<'a> {
    File(&'a [u8]),
    Link(&'a str),
}

/// A tar of files, with the mode 0644 and the time 0.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let items: Vec<_> = files
        .iter()
        .map(|(path, data)| (*path, Item::File(data)))
        .collect();
    tar_of(&items)
}

pub(crate) fn tar_of(items: &[(&str, Item<'_>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, item) in items {
        let (kind, data, target) = match item {
            Item::File(data) => (b'0', *data, ""),
            Item::Link(target) => (b'2', &[][..], *target),
        };
        bytes.extend_from_slice(&header(path, kind, data.len(), target));
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn header(path: &str, kind: u8, size: usize, target: &str) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    assert!(path.len() < 100 && target.len() < 100);
    put(0, path);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(157, target);
    put(257, "ustar\x0000");
    header[156] = kind;
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

/// Bytes that do not compress, and are the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Blobs and an `index.json`, made step by step.
#[derive(Default)]
pub(crate) struct Layout {
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    pub(crate) entries: Vec<Value>,
}

impl Layout {
    /// Adds a blob; returns its descriptor.
    pub(crate) fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.blobs.insert(digest, bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    pub(crate) fn document(&mut self, media_type: &str, value: &Value) -> Value {
        self.blob(media_type, value.to_string().as_bytes())
    }

    /// Adds an image of one gzip layer with these files; returns the descriptor of its manifest.
    pub(crate) fn image(&mut self, platform: &str, files: &[(&str, &[u8])]) -> Value {
        self.image_of(platform, &[tar(files)], gzip)
    }

    pub(crate) fn image_of(
        &mut self,
        platform: &str,
        tars: &[Vec<u8>],
        compress: fn(&[u8]) -> Vec<u8>,
    ) -> Value {
        let layers: Vec<_> = tars
            .iter()
            .map(|tar| self.blob(LAYER_GZIP, &compress(tar)))
            .collect();
        let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
        let mut config = json!({"rootfs": {"type": "layers", "diff_ids": diff_ids}, "config": {}});
        if let Some((os, architecture)) = platform.split_once('/') {
            config["os"] = os.into();
            config["architecture"] = architecture.into();
        }
        let config = self.document(CONFIG, &config);
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.document(MANIFEST, &manifest)
    }

    /// Adds an entry to `index.json`.
    pub(crate) fn name(&mut self, name: &str, descriptor: &Value) {
        let mut entry = descriptor.clone();
        entry["annotations"]["org.opencontainers.image.ref.name"] = name.into();
        self.entries.push(entry);
    }

    pub(crate) fn index(&self) -> Value {
        json!({"schemaVersion": 2, "manifests": self.entries})
    }

    /// The files of the layout.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![
            (
                "oci-layout".to_owned(),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ),
            (
                "index.json".to_owned(),
                self.index().to_string().into_bytes(),
            ),
        ];
        for (digest, bytes) in &self.blobs {
            files.push((format!("blobs/sha256/{}", digest.hex()), bytes.clone()));
        }
        files
    }

    pub(crate) fn write(&self, path: &Path) {
        for (name, bytes) in self.files() {
            let path = path.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// The layout as a tar.
    pub(crate) fn tar(&self) -> Vec<u8> {
        let files = self.files();
        let files: Vec<_> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        tar(&files)
    }

    /// Copies the blobs into a store, and names the images of the entries `docker.io/library/NAME`.
    pub(crate) fn add_to(&self, store: &Store) -> wasi_overlay_image::Result<()> {
        for (digest, bytes) in &self.blobs {
            let mut partial = store.partial(digest, Some(bytes.len() as u64))?;
            if !partial.is_complete() {
                let from = usize::try_from(partial.len()).unwrap();
                partial.write(&bytes[from..])?;
                partial.commit()?;
            }
        }
        for entry in &self.entries {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"]
                .as_str()
                .unwrap();
            let mut descriptor = entry.clone();
            descriptor.as_object_mut().unwrap().remove("annotations");
            let descriptor = serde_json::from_value(descriptor).unwrap();
            store.add_image(&name.parse().unwrap(), &descriptor)?;
        }
        Ok(())
    }
}

/// Reads a file through layers.
pub(crate) fn read(lowers: Vec<Lower>, path: &str) -> Vec<u8> {
    let stack = LowerStack::new(lowers, &Limits::default()).unwrap();
    read_stack(stack, path)
}

pub(crate) fn read_stack(stack: Arc<LowerStack>, path: &str) -> Vec<u8> {
    let overlay = Overlay::builder().stack(stack).build().unwrap();
    overlay.root().read(path, 64 << 20).unwrap()
}

/// All files in a folder and below, as paths relative to it.
pub(crate) fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Fails if a file in `blobs` does not have the digest that it is named by.
pub(crate) fn assert_blobs_are_whole(store: &Path) {
    for path in files_below(store) {
        if path.starts_with("blobs") {
            let bytes = fs::read(store.join(&path)).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(Digest::of(&bytes).hex(), name, "{}", path.display());
        }
    }
}
