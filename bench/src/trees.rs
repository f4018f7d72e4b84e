//! The trees: four lower layers and an upper, and one plain directory that holds the same.
//!
//! They lie in memory (`/dev/shm`) where there is such a thing, so that no disk is measured.

use crate::work::{BIG_MIB, ENTRIES};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// How many lower layers.
pub(crate) const LAYERS: u32 = 4;

/// Where the trees lie. Removed at the end by whoever made them.
#[derive(Debug)]
pub(crate) struct Trees {
    root: PathBuf,
    /// Removes the trees when it is dropped; none where another process made them.
    _made: Option<TempDir>,
}

impl Trees {
    /// Makes the trees.
    pub(crate) fn make() -> Result<Self> {
        let shm = Path::new("/dev/shm");
        let place = if shm.try_exists()? {
            shm.to_owned()
        } else {
            std::env::temp_dir()
        };
        let made = tempfile::Builder::new()
            .prefix("wasi-overlay-bench-")
            .tempdir_in(&place)
            .with_context(|| format!("cannot make a folder in {}", place.display()))?;
        let trees = Self {
            root: made.path().to_owned(),
            _made: Some(made),
        };
        fs::create_dir(trees.upper())?;
        trees.fill().context("cannot make the trees")?;
        Ok(trees)
    }

    /// The trees that another process made.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root, _made: None }
    }

    /// The folder of all trees.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The merged tree in one directory.
    pub(crate) fn plain(&self) -> PathBuf {
        self.root.join("plain")
    }

    /// A lower layer, 0 the bottom one.
    pub(crate) fn layer(&self, index: u32) -> PathBuf {
        self.root.join(format!("layer{index}"))
    }

    /// The upper.
    pub(crate) fn upper(&self) -> PathBuf {
        self.root.join("upper")
    }

    fn fill(&self) -> Result<()> {
        // Directories are in every layer, so that each of them has to be merged.
        for index in 0..LAYERS {
            for folder in ["a/b", "many", "work"] {
                fs::create_dir_all(self.layer(index).join(folder))?;
                fs::create_dir_all(self.plain().join(folder))?;
            }
            self.put(index, &format!("a/b/of-layer{index}"), b"")?;
        }
        // At the bottom, where the way down is longest.
        self.put(0, "a/b/c", &[7; 4096])?;
        self.put(0, "big", &vec![7; (BIG_MIB as usize) << 20])?;
        for entry in 0..ENTRIES {
            self.put(entry % LAYERS, &format!("many/entry-{entry:04}"), b"")?;
        }
        Ok(())
    }

    fn put(&self, layer: u32, path: &str, data: &[u8]) -> Result<()> {
        fs::write(self.layer(layer).join(path), data)?;
        fs::write(self.plain().join(path), data)?;
        Ok(())
    }
}
