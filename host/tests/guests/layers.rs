//! A tree on disk, spread over lower layers and an upper in several ways.

use super::fixture;
use crate::scan::{self, Node, Tree};
use anyhow::{Result, ensure};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, OnceLock};
use tempfile::TempDir;
use wasi_overlay::{Limits, Lower, LowerStack};

/// How a tree is spread over layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// One lower layer has the whole tree.
    OneLower,
    /// Three lower layers have it.
    Three,
    /// Two lower layers and an upper have it.
    UpperWithPart,
    /// The upper has the whole tree.
    UpperAlone,
}

/// A tree and its layers, written to disk once: no guest can change them, which each run checks.
pub(crate) struct Layers {
    pub(crate) tree: Tree,
    whole: Lowers,
    spread: Lowers,
    /// A lower stack that all overlays on it share, concurrently.
    shared: LazyLock<Arc<LowerStack>, Box<dyn FnOnce() -> Arc<LowerStack> + Send>>,
    /// The three lower layers in archives.
    archives: OnceLock<Vec<Lower>>,
}

/// The layers of the fixture, the tree that every guest uses.
pub(crate) static FIXTURE: LazyLock<Layers> = LazyLock::new(|| {
    Layers::new(fixture::tree(), fixture::spread()).expect("the layers can be written")
});

impl Layers {
    /// Writes the layers of a tree to disk; `spread` has the bottom layer first.
    pub(crate) fn new(tree: Tree, spread: [Tree; 3]) -> Result<Self> {
        let whole = Lowers::new(vec![tree.clone()])?;
        let spread = Lowers::new(spread.into())?;
        let paths: Vec<_> = spread.paths().collect();
        let shared = move || {
            let lowers = open(paths).expect("the layers can be opened");
            LowerStack::new(lowers, &Limits::default()).expect("they make a stack")
        };
        Ok(Self {
            tree,
            whole,
            spread,
            shared: LazyLock::new(Box::new(shared)),
            archives: OnceLock::new(),
        })
    }

    /// Writes the tree into a plain directory.
    pub(crate) fn plain(&self) -> Result<TempDir> {
        let folder = TempDir::new()?;
        fixture::write(&self.tree, folder.path())?;
        Ok(folder)
    }

    /// The three lower layers, as a stack that all overlays share.
    pub(crate) fn shared(&self) -> Arc<LowerStack> {
        self.shared.clone()
    }

    /// The three lower layers in archives that GNU tar wrote, the bottom one first.
    pub(crate) fn archives(&self) -> &[Lower] {
        self.archives.get_or_init(|| {
            let paths = self.spread.paths();
            let archives = paths.map(|path| pack(&path).expect("an archive of a layer"));
            archives.collect()
        })
    }

    /// The paths of the lower layers, the bottom one first.
    pub(crate) fn paths(&self, how: Spread) -> impl Iterator<Item = PathBuf> {
        let (lowers, count) = self.lowers(how);
        lowers.paths().take(count)
    }

    /// Opens the lower layers.
    pub(crate) fn open(&self, how: Spread) -> Result<Vec<Lower>> {
        open(self.paths(how))
    }

    /// Makes the folder of the upper, with its part of the tree.
    pub(crate) fn upper(&self, how: Spread) -> Result<TempDir> {
        match how {
            Spread::UpperAlone => self.plain(),
            Spread::UpperWithPart => {
                let folder = TempDir::new()?;
                fixture::write(&self.spread.trees[2], folder.path())?;
                Ok(folder)
            }
            Spread::OneLower | Spread::Three => Ok(TempDir::new()?),
        }
    }

    /// Checks the layers after the overlay was closed, and returns their merged tree, as other tools would
    /// merge it and without the engine. The lower layers must not have changed, and the upper must hold no
    /// leftovers of interrupted changes.
    pub(crate) fn check_and_merge(&self, how: Spread, upper: &Path) -> Result<Tree> {
        let upper = scan::scan(upper)?;
        check_no_leftovers(&upper)?;
        self.check_unchanged(how)?;
        let (lowers, count) = self.lowers(how);
        Ok(scan::merge(lowers.trees.iter().take(count).chain([&upper])))
    }

    /// Checks that the lower layers did not change.
    pub(crate) fn check_unchanged(&self, how: Spread) -> Result<()> {
        let (lowers, count) = self.lowers(how);
        for (index, (path, tree)) in lowers.paths().zip(&lowers.trees).take(count).enumerate() {
            if let Some(difference) = scan::difference(tree, &scan::scan(&path)?) {
                anyhow::bail!("lower {index} was changed:\n{difference}");
            }
        }
        Ok(())
    }

    /// A description of the layers, for a message.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (index, tree) in self.spread.trees.iter().enumerate() {
            for (path, node) in tree {
                text += &format!("\n{index}: {path}: {}", scan::describe(Some(node)));
            }
        }
        text
    }

    /// The lower layers, and how many of them are used.
    fn lowers(&self, how: Spread) -> (&Lowers, usize) {
        match how {
            Spread::OneLower => (&self.whole, 1),
            Spread::Three => (&self.spread, 3),
            Spread::UpperWithPart => (&self.spread, 2),
            Spread::UpperAlone => (&self.whole, 0),
        }
    }
}

struct Lowers {
    folder: TempDir,
    trees: Vec<Tree>,
}

impl Lowers {
    fn new(trees: Vec<Tree>) -> Result<Self> {
        let folder = TempDir::new()?;
        let lowers = Self { folder, trees };
        for (path, tree) in lowers.paths().zip(&lowers.trees) {
            fixture::write(tree, &path)?;
        }
        Ok(lowers)
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        (0..self.trees.len()).map(|index| self.folder.path().join(index.to_string()))
    }
}

fn open(paths: impl IntoIterator<Item = PathBuf>) -> Result<Vec<Lower>> {
    let open = |(index, path)| {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Lower::dir(format!("lower {index}"), dir)?)
    };
    paths.into_iter().enumerate().map(open).collect()
}

/// Packs a layer with GNU tar, and opens the archive.
fn pack(layer: &Path) -> Result<Lower> {
    let archive = tempfile::NamedTempFile::new()?;
    let packed = Command::new("tar")
        .args(["--create", "--format=pax", "--file"])
        .arg(archive.path())
        .arg("--directory")
        .arg(layer)
        .arg(".")
        .status()?;
    ensure!(packed.success(), "tar failed");
    Ok(Lower::tar("archive", archive.reopen()?)?)
}

/// Checks that the whiteouts of a closed upper are ones that every reader of OCI layers understands alike,
/// and that nothing else is left over.
fn check_no_leftovers(upper: &Tree) -> Result<()> {
    for (path, node) in upper {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(hidden) = name.strip_prefix(".wh.") else {
            continue;
        };
        ensure!(
            *node == Node::File(Vec::new()),
            "{path} is not an empty file"
        );
        if hidden == ".wh..opq" {
            continue;
        }
        ensure!(
            !hidden.is_empty() && !hidden.starts_with(".wh."),
            "{path} is left over"
        );
        let sibling = if dir.is_empty() {
            hidden.to_owned()
        } else {
            format!("{dir}/{hidden}")
        };
        ensure!(
            !upper.contains_key(&sibling),
            "both {path} and {sibling} exist"
        );
    }
    Ok(())
}
