//! Random trees, and random layers that merge to them.

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

/// A target that WASI allows.
fn link(random: &mut Random) -> String {
    loop {
        let path = path(random);
        if !path.is_empty() && !path.starts_with('/') {
            return path;
        }
    }
}

/// Spreads a tree over layers, with everything that a layer can do to one below: replace, hide a
/// name, hide a directory's old content, put a directory where a file was and the reverse.
fn spread(random: &mut Random, tree: &Tree) -> Spread {
    let mut layers = Spread::default();
    // From which layer on what is in a directory counts.
    let mut floors = BTreeMap::from([("", 0)]);
    for (path, node) in tree {
        let floor = floors[parent(path)];
        let home = floor + random.next(layers.len() - floor);
        put(&mut layers[home], path, node.clone());
        if *node != Node::Dir {
            if home > 0 && random.one_in(2) {
                stale(random, &mut layers[home - 1], path);
            }
            continue;
        }
        floors.insert(path, floor);
        if home > 0 && random.one_in(2) {
            floors.insert(path, home);
            stale(random, &mut layers[home - 1], path);
            if layers[..home]
                .iter()
                .any(|layer| layer.get(path) == Some(&Node::Dir))
            {
                put(&mut layers[home], &format!("{path}/.wh..wh..opq"), mark());
            }
        }
    }
    // Names that were removed.
    let dirs: Vec<_> = floors.keys().copied().collect();
    for _ in 0..4 {
        let inside = dirs[random.next(dirs.len())];
        let slash = if inside.is_empty() { "" } else { "/" };
        let name = NAMES[random.next(NAMES.len())];
        let path = format!("{inside}{slash}{name}");
        let below = random.next(2);
        let above = below + 1 + random.next(2 - below);
        if !tree.contains_key(&path) && fits(&layers[above], &path) {
            stale(random, &mut layers[below], &path);
            let mark_path = format!("{inside}{slash}.wh.{name}");
            put(&mut layers[above], &mark_path, mark());
        }
    }
    layers
}

/// Puts something at a path that a layer above hides, where the layer has room for it.
fn stale(random: &mut Random, layer: &mut Tree, path: &str) {
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

/// Whether nothing but directories is on the way to a path.
fn fits(layer: &Tree, path: &str) -> bool {
    path.match_indices('/')
        .all(|(at, _)| matches!(layer.get(&path[..at]), None | Some(Node::Dir)))
}

/// Puts a node in a layer, with the directories that lead there.
fn put(layer: &mut Tree, path: &str, node: Node) {
    for (at, _) in path.match_indices('/') {
        layer.insert(path[..at].to_owned(), Node::Dir);
    }
    layer.insert(path.to_owned(), node);
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn mark() -> Node {
    Node::File(Vec::new())
}
