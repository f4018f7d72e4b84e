//! Container images, packed and unpacked by umoci and by the storage of skopeo and podman.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasi_overlay_proof::machine::{Scratch, run};

/// An image in its own OCI layout.
pub(crate) struct Image<'a> {
    scratch: &'a Scratch,
    layout: PathBuf,
    /// The number of tags; the newest one is the image.
    tags: usize,
}

impl<'a> Image<'a> {
    /// An image without layers.
    pub(crate) fn new(scratch: &'a Scratch) -> Self {
        let layout = scratch.path().join("image");
        run(Command::new("umoci")
            .args(["init", "--layout"])
            .arg(&layout));
        let image = Self {
            scratch,
            layout,
            tags: 0,
        };
        run(Command::new("umoci").args(["new", "--image", &image.name()]));
        image
    }

    /// An image of `layers`, bottom first.
    pub(crate) fn of_layers(scratch: &'a Scratch, layers: &[PathBuf]) -> Self {
        let image = Self::new(scratch);
        for layer in layers {
            image.add(layer);
        }
        image
    }

    fn name(&self) -> String {
        format!("{}:t{}", self.layout.display(), self.tags)
    }

    /// Adds a directory as a layer, including its whiteouts.
    pub(crate) fn add(&self, layer: &Path) {
        let archive = self.scratch.path().join("layer.tar");
        // Complete times, and sorted names.
        run(Command::new("tar")
            .args(["--format=pax", "--pax-option=delete=atime,delete=ctime"])
            .args(["--numeric-owner", "--sort=name", "-C"])
            .arg(layer)
            .arg("-cf")
            .arg(&archive)
            .arg("."));
        run(Command::new("umoci")
            .args(["raw", "add-layer", "--image", &self.name()])
            .arg(&archive));
    }

    /// Runs `umoci insert`.
    pub(crate) fn insert(&self, arguments: &[&str]) {
        run(Command::new("umoci")
            .args(["insert", "--image", &self.name()])
            .args(arguments));
    }

    /// Unpacks the image, applies `change`, and packs the differences as one layer.
    pub(crate) fn repack(&mut self, change: impl FnOnce(&Path)) {
        let bundle = self.scratch.path().join(format!("bundle {}", self.tags));
        run(Command::new("umoci")
            .args(["unpack", "--image", &self.name()])
            .arg(&bundle));
        change(&bundle.join("rootfs"));
        self.tags += 1;
        run(Command::new("umoci")
            .args(["repack", "--image", &self.name()])
            .arg(&bundle));
    }

    /// The merged tree, as umoci unpacks it.
    pub(crate) fn unpacked(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        run(Command::new("umoci")
            .args(["raw", "unpack", "--image", &self.name()])
            .arg(&path));
        path
    }

    /// Each layer in its own directory, including whiteouts, as `tar` extracts it.
    pub(crate) fn extracted(&self, name: &str) -> Vec<PathBuf> {
        let blob = |digest: &Value| {
            let digest = digest.as_str().expect("a digest").replace(':', "/");
            self.layout.join("blobs").join(digest)
        };
        let json = |path: PathBuf| -> Value {
            serde_json::from_slice(&std::fs::read(path).expect("a blob")).expect("JSON")
        };
        let index = json(self.layout.join("index.json"));
        let tag = Value::from(format!("t{}", self.tags));
        let manifests = index["manifests"].as_array().expect("manifests");
        let manifest = manifests
            .iter()
            .find(|manifest| manifest["annotations"]["org.opencontainers.image.ref.name"] == tag)
            .expect("the newest tag");
        let manifest = json(blob(&manifest["digest"]));
        let layers = manifest["layers"].as_array().expect("layers").iter();
        let extract = |(index, layer): (usize, &Value)| {
            let path = self.scratch.dir(&format!("{name} {index}"));
            // `umoci insert` does not write the end of the archive, which `tar` expects.
            let mut archive =
                run(Command::new("gzip").arg("-dc").arg(blob(&layer["digest"]))).stdout;
            archive.extend([0; 1024]);
            let file = self.scratch.path().join("extracted.tar");
            std::fs::write(&file, archive).expect("an archive");
            let output = Command::new("tar")
                .args(["--warning=no-timestamp", "-xpf"])
                .arg(&file)
                .arg("-C")
                .arg(&path)
                .output()
                .expect("tar");
            // umoci writes whiteouts below a path that is a file in the same layer. They have no effect, and cannot
            // be extracted.
            let words = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<_> = words.lines().collect();
            let is_expected = |line: &&str| {
                line.contains("/.wh.") && line.ends_with("Not a directory")
                    || line.ends_with("Exiting with failure status due to previous errors")
            };
            assert!(
                output.status.success() || lines.iter().all(is_expected),
                "{words}"
            );
            path
        };
        layers.enumerate().map(extract).collect()
    }

    /// Copies the image to a new storage with this driver. Returns the storage and its layers, bottom first.
    fn stored(&self, driver: &str) -> (PathBuf, Vec<String>) {
        let root = self.scratch.dir(driver);
        let state = self.scratch.dir(&format!("{driver} state"));
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .arg(format!("oci:{}", self.name()))
            .arg(format!(
                "containers-storage:[{driver}@{}+{}]image:latest",
                root.display(),
                state.display()
            )));
        let json = |path: String| -> Value {
            let path = root.join(path);
            serde_json::from_slice(&std::fs::read(path).expect("a list")).expect("JSON")
        };
        let images = json(format!("{driver}-images/images.json"));
        let layers = json(format!("{driver}-layers/layers.json"));
        let layers = layers.as_array().expect("layers");
        let mut chain = Vec::new();
        let mut next = images[0]["layer"].as_str();
        while let Some(id) = next {
            chain.push(id.to_string());
            let layer = layers.iter().find(|layer| layer["id"] == id);
            next = layer.expect("a layer of the chain")["parent"].as_str();
        }
        chain.reverse();
        (root, chain)
    }

    /// The merged tree, as the `vfs` driver of containers/storage unpacks it.
    pub(crate) fn stored_whole(&self) -> PathBuf {
        let (root, chain) = self.stored("vfs");
        root.join("vfs/dir").join(chain.last().expect("a layer"))
    }

    /// The layers that containers/storage writes for the kernel's overlayfs.
    pub(crate) fn stored_layers(&self) -> Vec<PathBuf> {
        let (root, chain) = self.stored("overlay");
        let diff = |id: &String| root.join("overlay").join(id).join("diff");
        chain.iter().map(diff).collect()
    }
}
