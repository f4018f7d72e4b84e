//! A test directory with a store, and images made in it.

use crate::support::{Ended, TestDir, ended};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use wasi_overlay_image::oci_spec::image::{DescriptorBuilder, MediaType};
use wasi_overlay_image::{Digest, Reference, Store};

/// The test directory, with a store of its own.
pub(crate) struct Test {
    pub(crate) temp: TestDir,
    pub(crate) store: Store,
}

impl Test {
    pub(crate) fn new() -> Self {
        let temp = TestDir::new();
        let store = Store::at(temp.path("store")).unwrap();
        Self { temp, store }
    }

    /// Writes the files into a directory, and packs it. Returns the archive.
    pub(crate) fn pack(&self, name: &str, files: &[(&str, String)]) -> Vec<u8> {
        fs::create_dir_all(self.temp.path(name)).unwrap();
        for (path, content) in files {
            self.temp.file(&format!("{name}/{path}"), content);
        }
        self.archive(name)
    }

    pub(crate) fn archive(&self, name: &str) -> Vec<u8> {
        let archive = format!("{name}.tar");
        let packed = Command::new("tar")
            .args(["--create", "--file", &archive, "--directory", name, "."])
            .current_dir(self.temp.path("."))
            .status();
        assert!(packed.unwrap().success());
        fs::read(self.temp.path(archive)).unwrap()
    }

    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> (Digest, Value) {
        let digest = self.store.write_blob(bytes).unwrap();
        let descriptor = json!({
            "mediaType": media_type,
            "digest": digest.to_string(),
            "size": bytes.len(),
        });
        (digest, descriptor)
    }

    /// Adds an image to the store.
    pub(crate) fn image(&self, name: &str, config: Value, layers: &[Vec<u8>]) {
        self.image_for("wasip1/wasm", name, config, layers);
    }

    pub(crate) fn image_for(&self, platform: &str, name: &str, config: Value, layers: &[Vec<u8>]) {
        let (os, architecture) = platform.split_once('/').unwrap();
        let tar = "application/vnd.oci.image.layer.v1.tar";
        let layers: Vec<_> = layers.iter().map(|layer| self.blob(tar, layer)).collect();
        let diff_ids: Vec<_> = layers
            .iter()
            .map(|(digest, _)| digest.to_string())
            .collect();
        let config = json!({
            "os": os,
            "architecture": architecture,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let layers: Vec<_> = layers.into_iter().map(|(_, layer)| layer).collect();
        self.manifest(
            name,
            "application/vnd.oci.image.config.v1+json",
            &config,
            &layers,
        );
    }

    pub(crate) fn manifest(&self, name: &str, config_type: &str, config: &Value, layers: &[Value]) {
        let (_, config) = self.blob(config_type, config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": layers,
        });
        self.document(name, MediaType::ImageManifest, &manifest);
    }

    /// Adds a manifest or an index to the store.
    pub(crate) fn document(&self, name: &str, media_type: MediaType, document: &Value) {
        let bytes = document.to_string();
        let digest = self.store.write_blob(bytes.as_bytes()).unwrap();
        let descriptor = DescriptorBuilder::default()
            .media_type(media_type)
            .digest(
                digest
                    .to_string()
                    .parse::<wasi_overlay_image::oci_spec::image::Digest>()
                    .unwrap(),
            )
            .size(bytes.len() as u64)
            .build()
            .unwrap();
        let name: Reference = name.parse().unwrap();
        self.store.add_image(&name, &descriptor).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.temp.binary(args);
        command.env("WASI_OVERLAY_STORE", self.temp.path("store"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        ended(self.command(args).output().unwrap())
    }

    #[track_caller]
    pub(crate) fn prints(&self, args: &[&str], expected: &str) {
        let ended = self.run(args);
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (0, expected, ""),
            "{args:?}"
        );
    }

    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str], expected: &str) {
        let ended = self.run(args);
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.trim_end()),
            (1, "", &*format!("error: {expected}")),
            "{args:?}"
        );
    }
}

/// A file of [`Test::pack`].
pub(crate) fn file(path: &str, content: impl Into<String>) -> (&str, String) {
    (path, content.into())
}
