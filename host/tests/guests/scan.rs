//! A directory of the host as a value: to write, to compare, to see that it did not change.

use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Dir,
    File(Vec<u8>),
    Link(String),
}

/// A tree: what is at each path, relative to its root, which itself is left out.
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

/// Writes a tree into a directory, which is made.
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

/// Merges layers in OCI form, the bottom one first, as an unpacker of images does: marks first,
/// since they speak of the layers below, then what the layer has.
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

/// Removes what begins with `prefix`, which ends with a slash or is empty.
fn remove_below(tree: &mut Tree, prefix: &str) {
    tree.retain(|path, _| !path.starts_with(prefix));
}

/// How two trees differ, for a message; none if they do not.
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

/// What a node is, for a message.
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
