//! The benchmark's trees: lower layers and an upper, and one plain directory with the merged tree.
//!
//! They are in memory (`/dev/shm`, if it exists), so that no disk is measured, or in an ext4 image
//! (`--ext4`).

use crate::image::Image;
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use wasi_overlay::Lower;

/// Files of the lower layers that workloads change, each once in a run: enough for twice the counted
/// iterations, and one to warm up.
const VICTIMS: u32 = 256;

/// Directories of the tree for `remove-lower-tree`, and files in each.
const REMOVED_DIRS: u32 = 78;
const REMOVED_FILES: u32 = 20;

/// Files and directories of that tree, its root included.
pub(crate) const REMOVED: u32 = REMOVED_DIRS * (REMOVED_FILES + 1) + 1;

/// Files that one `request` reads.
pub(crate) const REQUESTED: u32 = 400;

/// Bytes of each file in the trees that are removed, unpacked, renamed and requested.
pub(crate) const LITTLE: usize = 1000;

/// Bytes of a small file, and of a random read.
pub(crate) const SMALL: usize = 4096;

/// Files in each directory of the tree for `walk`.
const FILES_OF_DIRECTORY: u32 = 100;

/// Number of layers that the files of one such directory come from, if there are that many.
const LAYERS_OF_DIRECTORY: u32 = 4;

/// Sizes of files and trees.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sizes {
    /// MiB of the file that is read and written sequentially.
    #[arg(long, default_value_t = 256)]
    pub(crate) big_mib: u32,
    /// MiB of the file that is copied up.
    #[arg(long, default_value_t = 64)]
    pub(crate) large_mib: u32,
    /// Files of the walked tree, in directories of 100.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) files: u32,
    /// Files of the renamed directory, and of the unpacked tree.
    #[arg(long, default_value_t = 5000)]
    pub(crate) tree_files: u32,
}

impl Sizes {
    /// The sizes as command-line arguments for a child process.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![
            format!("--big-mib={}", self.big_mib),
            format!("--large-mib={}", self.large_mib),
            format!("--files={}", self.files),
            format!("--tree-files={}", self.tree_files),
        ]
    }
}

/// The folder of the trees. The process that made them removes them.
#[derive(Debug)]
pub(crate) struct Trees {
    root: PathBuf,
    /// Number of lower layers.
    pub(crate) layers: u32,
    pub(crate) sizes: Sizes,
    /// Removes the trees on drop; `None` if another process made them.
    _made: Option<TempDir>,
    /// The layers in archives, made and indexed when they are first used.
    archives: OnceLock<Vec<Lower>>,
    /// The mounted image that holds the trees; `None` if they are in memory.
    image: Option<Image>,
}

impl Trees {
    /// Creates the trees, in `image` if there is one.
    pub(crate) fn make(layers: u32, sizes: Sizes, image: Option<Image>) -> Result<Self> {
        let shm = Path::new("/dev/shm");
        let parent = match &image {
            Some(image) => image.path().to_owned(),
            None if shm.try_exists()? => shm.to_owned(),
            None => std::env::temp_dir(),
        };
        let made = tempfile::Builder::new()
            .prefix("wasi-overlay-bench-")
            .tempdir_in(&parent)
            .with_context(|| format!("cannot make a folder in {}", parent.display()))?;
        let mut trees = Self::at(made.path().to_owned(), layers, sizes);
        trees._made = Some(made);
        trees.image = image;
        fs::create_dir(trees.upper())?;
        trees.fill().context("cannot make the trees")?;
        Ok(trees)
    }

    /// Opens the trees that another process made.
    pub(crate) fn at(root: PathBuf, layers: u32, sizes: Sizes) -> Self {
        Self {
            root,
            layers,
            sizes,
            _made: None,
            archives: OnceLock::new(),
            image: None,
        }
    }

    /// The folder that contains all trees.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The merged tree in one directory.
    pub(crate) fn plain(&self) -> PathBuf {
        self.root.join("plain")
    }

    /// A lower layer; 0 is the bottom one.
    pub(crate) fn layer(&self, index: u32) -> PathBuf {
        self.root.join(format!("layer{index}"))
    }

    /// The layers in archives of GNU tar, the bottom one first.
    pub(crate) fn archives(&self) -> Result<&[Lower]> {
        if let Some(archives) = self.archives.get() {
            return Ok(archives);
        }
        let archives = (0..self.layers).map(|index| self.archive(index));
        let archives = archives.collect::<Result<_>>()?;
        Ok(self.archives.get_or_init(|| archives))
    }

    fn archive(&self, index: u32) -> Result<Lower> {
        let layer = self.layer(index);
        let archive = layer.with_extension("tar");
        if !archive.try_exists()? {
            let packed = Command::new("tar")
                .args(["--create", "--format=pax", "--sort=name", "--file"])
                .arg(&archive)
                .arg("--directory")
                .arg(&layer)
                .arg(".")
                .status()
                .context("cannot run tar")?;
            ensure!(packed.success(), "tar failed");
        }
        Ok(Lower::tar(
            archive.display().to_string(),
            fs::File::open(&archive)?,
        )?)
    }

    /// The upper.
    pub(crate) fn upper(&self) -> PathBuf {
        self.root.join("upper")
    }

    /// The file for a compiled program.
    pub(crate) fn compiled(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.cwasm"))
    }

    /// Undoes the changes of workloads.
    pub(crate) fn restore(&self) -> Result<()> {
        fs::remove_dir_all(self.upper())?;
        fs::create_dir(self.upper())?;
        let plain = self.plain();
        for folder in ["victims", "work"] {
            fs::remove_dir_all(plain.join(folder))?;
            fs::create_dir(plain.join(folder))?;
        }
        for index in 0..VICTIMS {
            fs::write(plain.join(victim(index)), [7; SMALL])?;
            let spread = plain.join(spread(index));
            fs::write(&spread, [7; SMALL])?;
            remove_if_exists(&spread.with_extension("renamed"))?;
        }
        if !plain.join("moved").try_exists()? {
            fs::rename(plain.join("moved-renamed"), plain.join("moved"))?;
        }
        if !plain.join("removed").try_exists()? {
            for path in self.removed() {
                put(&plain, &path, &[7; LITTLE])?;
            }
        }
        let large = fs::File::options().write(true).open(plain.join("large"))?;
        large.set_len(u64::from(self.sizes.large_mib) << 20)?;
        if self.image.is_some() {
            // Otherwise the restored files might be written back during a timed run.
            rustix::fs::sync();
        }
        Ok(())
    }

    fn fill(&self) -> Result<()> {
        // These directories are in every layer, so that each of them has to be merged.
        for index in 0..self.layers {
            for folder in [
                "a/b",
                "deep/b/c/d/e/f/g",
                "many-10",
                "many-1000",
                "many-10000",
                "tree",
                "victims",
                "work",
            ] {
                fs::create_dir_all(self.layer(index).join(folder))?;
                fs::create_dir_all(self.plain().join(folder))?;
            }
            self.put(index, &format!("a/b/of-layer{index}"), b"")?;
        }
        // In the bottom layer, which is the last one to be searched.
        self.put(0, "a/b/c", &[7; SMALL])?;
        self.put(0, "deep/b/c/d/e/f/g/h", &[7; SMALL])?;
        // A hard link, since no backend changes this file: the placement of two copies in memory would
        // make more of a difference, from run to run, than the backends do.
        let big = self.layer(0).join("big");
        fs::write(&big, vec![7; (self.sizes.big_mib as usize) << 20])?;
        fs::hard_link(&big, self.plain().join("big"))?;
        self.put(0, "large", &vec![7; (self.sizes.large_mib as usize) << 20])?;
        for entries in [10, 1000, 10_000] {
            for entry in 0..entries {
                let path = format!("many-{entries}/entry-{entry:05}");
                self.put(entry % self.layers, &path, b"")?;
            }
        }
        for index in 0..VICTIMS {
            self.put(index % self.layers, &victim(index), &[7; SMALL])?;
        }
        for index in 0..VICTIMS {
            self.put_deep(index % self.layers, &spread(index), &[7; SMALL])?;
        }
        // Each of these directories is in one layer with all its files, as those of a package are.
        for (index, path) in (0..).zip(self.removed()) {
            self.put_deep(index / REMOVED_FILES % self.layers, &path, &[7; LITTLE])?;
        }
        for index in 0..self.sizes.tree_files {
            let path = format!("moved/dir-{:03}/file-{index:04}", index / 50);
            self.put_deep(index / 50 % self.layers, &path, &[7; LITTLE])?;
        }
        for index in 0..REQUESTED {
            let path = format!("request/dir-{:02}/file-{index:03}", index / 20);
            self.put_deep(index / 20 % self.layers, &path, &[7; LITTLE])?;
        }
        (0..self.sizes.files).try_for_each(|file| self.put_walked(file))
    }

    /// The files of the tree for `remove-lower-tree`.
    fn removed(&self) -> impl Iterator<Item = String> {
        let files = |dir| (0..REMOVED_FILES).map(move |file| (dir, file));
        (0..REMOVED_DIRS)
            .flat_map(files)
            .map(|(dir, file)| format!("removed/dir-{dir:02}/file-{file:02}"))
    }

    /// Writes a file in a layer and in the plain directory, with its parent directories.
    fn put_deep(&self, layer: u32, path: &str, data: &[u8]) -> Result<()> {
        put(&self.layer(layer), path, data)?;
        put(&self.plain(), path, data)
    }

    /// Writes a file of the walked tree. `tree` is in every layer; its subdirectories are in some of
    /// them, as in container images. The file is not empty, as 99 % of the files of a Debian system
    /// are not: an empty file may be a whiteout of the kernel, which takes one more call to find out.
    fn put_walked(&self, file: u32) -> Result<()> {
        let directory = file / FILES_OF_DIRECTORY;
        let layer = (directory + file % LAYERS_OF_DIRECTORY.min(self.layers)) % self.layers;
        let folder = format!("tree/of-{:02}/dir-{directory:03}", directory / 20);
        if file % FILES_OF_DIRECTORY < LAYERS_OF_DIRECTORY {
            fs::create_dir_all(self.layer(layer).join(&folder))?;
            fs::create_dir_all(self.plain().join(&folder))?;
        }
        self.put(layer, &format!("{folder}/file-{file:05}"), b"walked")
    }

    /// Writes a file in a layer and in the plain directory.
    pub(crate) fn put(&self, layer: u32, path: &str, data: &[u8]) -> Result<()> {
        for root in [self.layer(layer), self.plain()] {
            let path = root.join(path);
            fs::write(&path, data).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Writes a file, with its parent directories.
fn put(root: &Path, path: &str, data: &[u8]) -> Result<()> {
    let path = root.join(path);
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    fs::write(&path, data).with_context(|| format!("cannot write {}", path.display()))
}

fn remove_if_exists(path: &Path) -> Result<()> {
    if path.try_exists()? {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn spread(index: u32) -> String {
    format!("spread/dir-{index:04}/file")
}

fn victim(index: u32) -> String {
    format!("victims/{index:04}")
}

#[cfg(test)]
mod tests {
    use super::{Sizes, Trees};
    use std::collections::BTreeSet;
    use std::path::Path;

    fn names(root: &Path, below: &str, all: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(root.join(below.trim_start_matches('/'))).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{below}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                names(root, &path, all);
            }
            all.insert(path);
        }
    }

    #[test]
    fn plain_directory_has_the_names_of_all_layers() {
        let sizes = Sizes {
            big_mib: 0,
            large_mib: 0,
            files: 1000,
            tree_files: 100,
        };
        let trees = Trees::make(6, sizes, None).unwrap();
        let (mut plain, mut merged) = (BTreeSet::new(), BTreeSet::new());
        names(&trees.plain(), "", &mut plain);
        for index in 0..6 {
            names(&trees.layer(index), "", &mut merged);
        }
        assert!(plain == merged);
        let walked = |path: &&String| path.starts_with("/tree/") && path.contains("/file-");
        assert_eq!(plain.iter().filter(walked).count(), 1000);

        // The names are the same after changes were undone.
        std::fs::write(trees.plain().join("work/new"), "new").unwrap();
        std::fs::remove_file(trees.plain().join("victims/0003")).unwrap();
        std::fs::remove_dir_all(trees.plain().join("removed")).unwrap();
        let rename = |from: &str, to: &str| {
            std::fs::rename(trees.plain().join(from), trees.plain().join(to)).unwrap();
        };
        rename("moved", "moved-renamed");
        rename("spread/dir-0003/file", "spread/dir-0003/file.renamed");
        std::fs::write(trees.upper().join("new"), "new").unwrap();
        trees.restore().unwrap();
        let mut restored = BTreeSet::new();
        names(&trees.plain(), "", &mut restored);
        assert!(restored == plain);
        assert_eq!(std::fs::read_dir(trees.upper()).unwrap().count(), 0);
    }
}
