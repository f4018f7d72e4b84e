//! The tree that layers merge to, by the rules of the OCI image format and without the engine.

use crate::layers::{self, Layer, What};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The nodes by path, without the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged(pub BTreeMap<String, Node>);

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The kind, with the contents.
    pub kind: Kind,
    /// The seconds of its modification time.
    pub seconds: u64,
}

/// A kind of node, with the contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file and its data.
    File(String),
    /// A symbolic link and its target.
    Link(String),
}

impl Merged {
    /// Merges layers, the bottom one first, as an unpacker of images does: the whiteouts of a layer first,
    /// since they apply to lower layers, and then its entries.
    pub fn of(layers: &[Layer]) -> Self {
        let mut merged = Self::default();
        for (number, layer) in layers.iter().enumerate() {
            merged.add(layer, number, false);
        }
        merged
    }

    /// As [`of`](Self::of), for layers in archives: a directory that has no entry in a layer of its own
    /// takes its time from the layers below, if it exists there.
    pub fn of_archives(layers: &[Layer]) -> Self {
        let mut merged = Self::default();
        for (number, layer) in layers.iter().enumerate() {
            merged.add(layer, number, true);
        }
        merged
    }

    /// Adds a layer on top.
    pub(crate) fn add(&mut self, layer: &Layer, number: usize, is_archive: bool) {
        self.hide(layer, number);
        for (path, what, seconds) in layer.all(number) {
            let kind = match what {
                What::Whiteout => continue,
                What::Dir { .. } => Kind::Dir,
                What::File(text) => Kind::File(text.clone()),
                What::Link(target) => Kind::Link(target.clone()),
            };
            let below = self.0.get(path).map(|node| &node.kind);
            if (&kind, below) != (&Kind::Dir, Some(&Kind::Dir)) {
                self.remove(path);
            } else if is_archive && layer.entries().iter().all(|entry| entry.path != path) {
                continue;
            }
            self.0.insert(path.to_owned(), Node { kind, seconds });
        }
    }

    /// Removes what the whiteouts of a layer hide.
    pub(crate) fn hide(&mut self, layer: &Layer, number: usize) {
        for (path, what, _) in layer.all(number) {
            match what {
                What::Whiteout => self.remove(path),
                What::Dir { opaque: true } => self.remove_below(path),
                What::Dir { opaque: false } | What::File(_) | What::Link(_) => {}
            }
        }
    }

    /// Writes the tree into a directory.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, dir: &Path) {
        for (path, node) in &self.0 {
            let at = dir.join(path);
            match &node.kind {
                Kind::Dir => fs::create_dir(&at).expect("a directory"),
                Kind::File(text) => fs::write(&at, text).expect("a file"),
                Kind::Link(target) => std::os::unix::fs::symlink(target, &at).expect("a link"),
            }
        }
        // The entries of a directory before the directory.
        for (path, node) in self.0.iter().rev() {
            layers::set_time(&dir.join(path), node.seconds);
        }
    }

    fn remove(&mut self, path: &str) {
        self.0.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, dir: &str) {
        self.0.retain(|path, _| !layers::is_below(path, dir));
    }
}
