//! [`Tree`], the content of a host directory as a value, to write, merge and compare.

use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The entry at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Dir,
    File(Vec<u8>),
    Link(String),
}

/// A tree: its entries by their path from the root, without the root itself.
pub(crate) type Tree = BTreeMap<String, Node>;

/// Reads the tree in `root`.
pub(crate) fn scan(root: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut left = vec![String::new()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if dir.is_empty() {
                name
            } else {
                format!("{dir}/{name}")
            };
            let kind = entry.file_type()?;
            let node = if kind.is_dir() {
                left.push(path.clone());
                Node::Dir
            } else if kind.is_symlink() {
                Node::Link(fs::read_link(entry.path())?.to_string_lossy().into_owned())
            } else {
                Node::File(fs::read(entry.path())?)
            };
            tree.insert(path, node);
        }
    }
    Ok(tree)
}

/// Writes a tree into a directory, and makes the directory if it is missing.
pub(crate) fn write(tree: &Tree, root: &Path) -> Result<()> {
    fs::create_dir_all(root)?;
    for (path, node) in tree {
        let at = root.join(path);
        match node {
            Node::Dir => fs::create_dir(&at)?,
            Node::Link(target) => std::os::unix::fs::symlink(target, &at)?,
            Node::File(data) => fs::write(&at, data)?,
        }
    }
    Ok(())
}

/// Merges layers in OCI format, the bottom one first, as a tool that unpacks images does: for each layer
/// first its whiteouts, since they apply to the layers below, then its other entries.
pub(crate) fn merge<'a>(layers: impl IntoIterator<Item = &'a Tree>) -> Tree {
    let mut merged = Tree::new();
    for layer in layers {
        for path in layer.keys() {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
            let Some(hidden) = name.strip_prefix(".wh.") else {
                continue;
            };
            let inside = if dir.is_empty() {
                String::new()
            } else {
                format!("{dir}/")
            };
            if hidden == ".wh..opq" {
                remove_below(&mut merged, &inside);
            } else {
                remove(&mut merged, &format!("{inside}{hidden}"));
            }
        }
        for (path, node) in layer {
            if path.split('/').any(|name| name.starts_with(".wh.")) {
                continue;
            }
            let both_dirs = *node == Node::Dir && merged.get(path) == Some(&Node::Dir);
            if !both_dirs {
                remove(&mut merged, path);
                merged.insert(path.clone(), node.clone());
            }
        }
    }
    merged
}

fn remove(tree: &mut Tree, path: &str) {
    tree.remove(path);
    remove_below(tree, &format!("{path}/"));
}

/// Removes the paths that begin with `prefix`, which ends with a slash or is empty.
fn remove_below(tree: &mut Tree, prefix: &str) {
    tree.retain(|path, _| !path.starts_with(prefix));
}

/// How two trees differ, for a message; `None` if they are equal.
pub(crate) fn difference(expected: &Tree, found: &Tree) -> Option<String> {
    let mut lines = Vec::new();
    for path in expected
        .keys()
        .chain(found.keys().filter(|path| !expected.contains_key(*path)))
    {
        let (expected, found) = (expected.get(path), found.get(path));
        if expected != found {
            lines.push(format!(
                "{path}: expected {}, found {}",
                describe(expected),
                describe(found)
            ));
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A description of a node, for a message.
pub(crate) fn describe(node: Option<&Node>) -> String {
    match node {
        None => "nothing".to_owned(),
        Some(Node::Dir) => "a directory".to_owned(),
        Some(Node::Link(target)) => format!("a link to {target:?}"),
        Some(Node::File(data)) => {
            let start = String::from_utf8_lossy(&data[..data.len().min(40)]).into_owned();
            format!("a file of {} bytes, {start:?}", data.len())
        }
    }
}
