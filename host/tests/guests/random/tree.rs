//! A generator of random trees, and of random layers that merge to them.

use super::Random;
use super::script::{NAMES, path, text};
use crate::scan::{Node, Tree};
use std::collections::BTreeMap;

/// The layers, the bottom one first.
type Spread = [Tree; 3];

/// A tree, and layers that merge to it.
pub(super) fn draw(random: &mut Random) -> (Tree, Spread) {
    let tree = tree(random);
    let spread = spread(random, &tree);
    (tree, spread)
}

fn tree(random: &mut Random) -> Tree {
    let mut tree = Tree::new();
    let mut dirs = vec![String::new()];
    for _ in 0..16 {
        let inside = &dirs[random.next(dirs.len())];
        let path = format!("{inside}{}", NAMES[random.next(NAMES.len())]);
        if tree.contains_key(&path) {
            continue;
        }
        let node = match random.next(8) {
            0..=3 => {
                dirs.push(format!("{path}/"));
                Node::Dir
            }
            4 => Node::Link(link(random)),
            _ => Node::File(text(random).into()),
        };
        tree.insert(path, node);
    }
    tree
}

/// The target of a symbolic link, of a form that WASI allows.
fn link(random: &mut Random) -> String {
    loop {
        let path = path(random);
        if !path.is_empty() && !path.starts_with('/') {
            return path;
        }
    }
}

/// Spreads a tree over layers in all the ways in which a layer can change those below: it replaces files,
/// hides names, hides the old content of directories, and puts directories in place of files and the reverse.
fn spread(random: &mut Random, tree: &Tree) -> Spread {
    let mut layers = Spread::default();
    // For each directory, the lowest layer whose content of it is visible.
    let mut floors = BTreeMap::from([("", 0)]);
    for (path, node) in tree {
        let floor = floors[parent(path)];
        let home = floor + random.next(layers.len() - floor);
        put(&mut layers[home], path, node.clone());
        if *node != Node::Dir {
            if home > 0 && random.one_in(2) {
                put_stale(random, &mut layers[home - 1], path);
            }
            continue;
        }
        floors.insert(path, floor);
        if home > 0 && random.one_in(2) {
            floors.insert(path, home);
            put_stale(random, &mut layers[home - 1], path);
            if layers[..home]
                .iter()
                .any(|layer| layer.get(path) == Some(&Node::Dir))
            {
                put(
                    &mut layers[home],
                    &format!("{path}/.wh..wh..opq"),
                    whiteout(),
                );
            }
        }
    }
    // Whiteouts of names that are not in the tree.
    let dirs: Vec<_> = floors.keys().copied().collect();
    for _ in 0..4 {
        let inside = dirs[random.next(dirs.len())];
        let slash = if inside.is_empty() { "" } else { "/" };
        let name = NAMES[random.next(NAMES.len())];
        let path = format!("{inside}{slash}{name}");
        let below = random.next(2);
        let above = below + 1 + random.next(2 - below);
        if !tree.contains_key(&path) && fits(&layers[above], &path) {
            put_stale(random, &mut layers[below], &path);
            let whiteout_path = format!("{inside}{slash}.wh.{name}");
            put(&mut layers[above], &whiteout_path, whiteout());
        }
    }
    layers
}

/// Puts a stale entry at a path that a layer above hides, if the layer has none there.
fn put_stale(random: &mut Random, layer: &mut Tree, path: &str) {
    if layer.contains_key(path) || !fits(layer, path) {
        return;
    }
    let old = || Node::File(b"stale".to_vec());
    if random.one_in(2) {
        put(layer, path, old());
    } else {
        let name = NAMES[random.next(NAMES.len())];
        put(layer, &format!("{path}/{name}"), old());
    }
}

/// Whether all parents of a path are directories or missing.
fn fits(layer: &Tree, path: &str) -> bool {
    path.match_indices('/')
        .all(|(at, _)| matches!(layer.get(&path[..at]), None | Some(Node::Dir)))
}

/// Puts a node in a layer, with its parent directories.
fn put(layer: &mut Tree, path: &str, node: Node) {
    for (at, _) in path.match_indices('/') {
        layer.insert(path[..at].to_owned(), Node::Dir);
    }
    layer.insert(path.to_owned(), node);
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn whiteout() -> Node {
    Node::File(Vec::new())
}
