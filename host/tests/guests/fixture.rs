//! The fixture: the tree that every guest uses, and its layers.
//!
//! Guests do not know which layer a file is in. A guest that passes with one spread and fails with another
//! has found a difference between an overlay and a directory.

use crate::scan::{self, Node, Tree};
use anyhow::Result;
use std::fs;
use std::path::Path;

/// The merged tree, handwritten except for the numerous and the long names.
pub(crate) fn tree() -> Tree {
    let mut tree = Tree::new();
    for dir in [
        "a",
        "a/b",
        "a/b/c",
        "dir",
        "dir/sub",
        "dir/sub/sub2",
        "emptydir",
        "links",
        "many",
        "long",
        "hard",
    ] {
        tree.insert(dir.to_owned(), Node::Dir);
    }
    let files = [
        ("hello.txt", "hello, layers\n"),
        ("empty", ""),
        ("a/b/c/deep.txt", "deep\n"),
        ("dir/one", "one\n"),
        ("dir/two", "two\n"),
        ("dir/three", "three\n"),
        ("dir/sub/inner", "inner\n"),
        ("dir/sub/sub2/x", "x\n"),
        (HARD[0], "two names\n"),
        (HARD[1], "two names\n"),
    ];
    for (path, text) in files {
        tree.insert(path.to_owned(), Node::File(text.into()));
    }
    let links = [
        ("rel", "../hello.txt"),
        ("dangling", "nowhere"),
        ("dangling-dir", "missing/nowhere"),
        ("loop1", "loop2"),
        ("loop2", "loop1"),
        ("self", "self"),
        ("escape", "../../secret"),
        ("abs", "/hello.txt"),
        ("dir", "../dir"),
        ("chain", "dir/sub"),
        ("up", ".."),
        ("dot", "."),
    ];
    for (name, target) in links {
        tree.insert(format!("links/{name}"), Node::Link(target.to_owned()));
    }
    // A copy in steps of 64 KiB takes more than four steps, no two of them with equal data.
    let big = (0..300_000_u32).map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0]);
    tree.insert("big.bin".to_owned(), Node::File(big.collect()));
    for number in 0..300 {
        let data = format!("file {number}\n").into_bytes();
        tree.insert(format!("many/f{number:04}"), Node::File(data));
    }
    for (letter, length) in [("a", 251), ("b", 252), ("c", 255)] {
        let data = format!("a name of {length} bytes\n").into_bytes();
        tree.insert(format!("long/{}", letter.repeat(length)), Node::File(data));
    }
    tree
}

/// Two names of one file.
const HARD: [&str; 2] = ["hard/first", "hard/second"];

/// The tree spread over three layers, the bottom one first, in all the ways in which a layer can change
/// those below: it replaces a file, hides a name, hides the old content of a directory, and puts a directory
/// in place of a file and a file in place of a directory.
pub(crate) fn spread() -> [Tree; 3] {
    let mut layers = [Tree::new(), Tree::new(), Tree::new()];
    for (index, (path, node)) in tree().into_iter().enumerate() {
        let home = home(&path, index);
        let is_file = matches!(node, Node::File(_));
        put(&mut layers[home], &path, node);
        // A stale version of a file that a layer above replaces.
        let hidden_anyway = path.starts_with("links/") || path.starts_with("a/b/");
        if home > 0 && index % 2 == 0 && is_file && !hidden_anyway {
            put(&mut layers[home - 1], &path, Node::File(b"stale".to_vec()));
        }
    }
    let [bottom, middle, top] = &mut layers;
    let stale = || Node::File(b"stale\n".to_vec());
    // Removed names.
    put(bottom, "gone-file", stale());
    put(middle, ".wh.gone-file", whiteout());
    put(bottom, "gone-dir/old", stale());
    put(bottom, "gone-dir/more/old", stale());
    put(middle, ".wh.gone-dir", whiteout());
    put(middle, "dir/gone", stale());
    put(top, "dir/.wh.gone", whiteout());
    put(bottom, "many/f0300", stale());
    put(middle, "many/.wh.f0300", whiteout());
    // A name with two whiteouts, and a whiteout of a name that no layer has.
    put(bottom, "dir/sub/old", stale());
    put(middle, "dir/sub/.wh.old", whiteout());
    put(top, "dir/sub/.wh.old", whiteout());
    put(top, "dir/sub/.wh.never", whiteout());
    // Directories whose old content is hidden by an opaque marker.
    put(bottom, "a/b/stale", stale());
    put(bottom, "a/b/c/stale", stale());
    put(middle, "a/b/.wh..wh..opq", whiteout());
    put(middle, "emptydir/old", stale());
    put(top, "emptydir/.wh..wh..opq", whiteout());
    // A directory in place of a file, and a file in place of a directory.
    put(bottom, "links", stale());
    put(bottom, "empty/old", stale());
    layers
}

/// The layer that has a path of the tree.
fn home(path: &str, index: usize) -> usize {
    match path {
        // The bottom layer has stale content there.
        "links" | "a/b" | "empty" => 1,
        _ if path.starts_with("links/") || path.starts_with("a/b/") => 1 + index % 2,
        // The two names of one file have to be in one layer.
        _ if path.starts_with("hard") => 0,
        _ => index % 3,
    }
}

fn whiteout() -> Node {
    Node::File(Vec::new())
}

/// Puts a node in a layer, with its parent directories.
fn put(layer: &mut Tree, path: &str, node: Node) {
    for (at, _) in path.match_indices('/') {
        layer.insert(path[..at].to_owned(), Node::Dir);
    }
    layer.insert(path.to_owned(), node);
}

/// Writes a tree into a host directory, with `HARD` as hard links to one file.
pub(crate) fn write(tree: &Tree, root: &Path) -> Result<()> {
    scan::write(tree, root)?;
    if HARD.iter().all(|path| tree.contains_key(*path)) {
        fs::remove_file(root.join(HARD[1]))?;
        fs::hard_link(root.join(HARD[0]), root.join(HARD[1]))?;
    }
    Ok(())
}
