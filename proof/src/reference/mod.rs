//! The reference: a tree in memory without layers, with the rules of POSIX as WASI has them. It predicts every
//! answer.
//!
//! It is written from the rules, not from the engine, and shares no code with it but the types of
//! the answers. A live mount is compared with it, too.

mod calls;
mod names;
mod walk;

use crate::layers::SET;
use crate::merged::{self, Merged};
use std::collections::{BTreeMap, BTreeSet};
use wasi_overlay_core::{Kind, Stat, Timestamp};

/// A node of the tree; nodes are never reused.
pub type Id = usize;

/// The root.
pub const ROOT: Id = 0;

/// The tree, and the nodes that changed.
#[derive(Clone, Debug)]
pub struct Reference {
    nodes: Vec<Node>,
    /// Whether names that begin with `.wh.` are refused, as in an overlay.
    reserves_names: bool,
    /// Nodes that the last calls changed.
    touched: BTreeSet<Id>,
}

#[derive(Clone, Debug)]
struct Node {
    body: Body,
    /// The seconds of its modification time if it was set; none if it is from the clock.
    seconds: Option<u64>,
    links: u64,
    /// The node of the same file before the upper became a layer.
    twin: Option<Id>,
}

#[derive(Clone, Debug)]
enum Body {
    Dir(Entries),
    File(Vec<u8>),
    Link(String),
}

/// The entries of a directory, and its own path.
#[derive(Clone, Debug, Default)]
struct Entries {
    names: BTreeMap<String, Id>,
    /// None for the root and for a removed directory.
    place: Option<(Id, String)>,
    is_removed: bool,
}

/// An open file of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The file.
    pub id: Id,
    read: bool,
    write: bool,
}

impl Reference {
    /// The tree of an overlay, or of a plain directory if no names are reserved.
    pub fn new(tree: &Merged, reserves_names: bool) -> Self {
        let mut reference = Self {
            nodes: Vec::new(),
            reserves_names,
            touched: BTreeSet::new(),
        };
        reference.make(Body::Dir(Entries::default()), None);
        let mut known = BTreeMap::from([("", ROOT)]);
        for (path, node) in &tree.0 {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            let body = match &node.kind {
                merged::Kind::Dir => Body::Dir(Entries::default()),
                merged::Kind::File(text) => Body::File(text.as_bytes().to_vec()),
                merged::Kind::Link(target) => Body::Link(target.clone()),
            };
            let id = reference.make(body, Some(node.seconds));
            known.insert(path, id);
            reference.attach(known[above], name, id);
        }
        reference
    }

    /// Turns the upper into a layer: the names of a hard link become separate files, and the root is that of a new
    /// upper.
    pub fn rotate(&mut self) {
        let mut seen = BTreeSet::new();
        for dir in self.directories() {
            let Body::Dir(entries) = &self.nodes[dir].body else {
                continue;
            };
            let names: Vec<_> = entries.names.clone().into_iter().collect();
            for (name, id) in names {
                if self.is_dir(id) || self.nodes[id].links < 2 && self.nodes[id].twin.is_none() {
                    continue;
                }
                let twin = *self.nodes[id].twin.get_or_insert(id);
                if !seen.insert(id) {
                    let body = self.nodes[id].body.clone();
                    let copy = self.make(body, self.nodes[id].seconds);
                    self.nodes[copy].twin = Some(twin);
                    self.nodes[id].links -= 1;
                    self.entries_mut(dir).names.insert(name, copy);
                }
            }
        }
        self.nodes[ROOT].seconds = None;
    }

    /// All directories, parents first.
    pub fn directories(&self) -> Vec<Id> {
        let mut dirs = vec![ROOT];
        let mut next = 0;
        while let Some(&dir) = dirs.get(next) {
            dirs.extend(
                self.entries(dir)
                    .names
                    .values()
                    .filter(|id| self.is_dir(**id)),
            );
            next += 1;
        }
        dirs
    }

    /// The names in a directory.
    pub fn names(&self, dir: Id) -> impl Iterator<Item = (&str, Id)> {
        let names = self.entries(dir).names.iter();
        names.map(|(name, id)| (name.as_str(), *id))
    }

    /// The data of a file, or the target of a link; none of a directory.
    pub fn data(&self, id: Id) -> Option<&[u8]> {
        match &self.nodes[id].body {
            Body::Dir(_) => None,
            Body::File(data) => Some(data),
            Body::Link(target) => Some(target.as_bytes()),
        }
    }

    /// The path of a directory; none if it was removed.
    pub fn path(&self, dir: Id) -> Option<String> {
        let mut names = Vec::new();
        let mut at = dir;
        while at != ROOT {
            let (above, name) = self.entries(at).place.as_ref()?;
            names.push(name.as_str());
            at = *above;
        }
        names.reverse();
        Some(names.join("/"))
    }

    /// Whether two nodes, or the names of one, are a lower hard link. An overlay may show them as one file until one
    /// of them is copied up, and counts all their names.
    pub fn were_one(&self, one: Id, other: Id) -> bool {
        let (one, other) = (self.nodes[one].twin, self.nodes[other].twin);
        one.is_some() && one == other
    }

    /// Whether no directory before `dir` has a name of the node.
    pub fn is_first_name(&self, dir: Id, id: Id) -> bool {
        let has = |dir: &Id| self.entries(*dir).names.values().any(|name| *name == id);
        self.nodes[id].links < 2 || self.directories().iter().find(|dir| has(dir)) == Some(&dir)
    }

    /// The directories that changed since the last call, and those in which a file changed.
    pub fn take_touched(&mut self) -> BTreeSet<Id> {
        let touched = std::mem::take(&mut self.touched);
        if touched.iter().all(|id| self.is_dir(*id)) {
            return touched;
        }
        let dirs = self.directories().into_iter();
        dirs.filter(|dir| {
            touched.contains(dir)
                || self
                    .entries(*dir)
                    .names
                    .values()
                    .any(|id| touched.contains(id))
        })
        .collect()
    }

    /// The metadata of a node.
    pub fn stat_of(&self, id: Id) -> Stat {
        let node = &self.nodes[id];
        let (kind, size) = match &node.body {
            Body::Dir(_) => (Kind::Dir, 0),
            Body::File(data) => (Kind::File, data.len()),
            Body::Link(target) => (Kind::Symlink, target.len()),
        };
        let modified = match node.seconds {
            Some(seconds) => Timestamp {
                seconds: seconds as i64,
                nanoseconds: SET,
            },
            // A time that only the clock can have.
            None => Timestamp {
                seconds: i64::MAX,
                nanoseconds: 0,
            },
        };
        Stat {
            kind,
            size: size as u64,
            links: if kind == Kind::Dir { 1 } else { node.links },
            accessed: Timestamp::default(),
            modified,
            changed: Timestamp::default(),
        }
    }

    /// Whether a node is a directory.
    pub fn is_dir(&self, id: Id) -> bool {
        matches!(self.nodes[id].body, Body::Dir(_))
    }

    fn entries(&self, dir: Id) -> &Entries {
        match &self.nodes[dir].body {
            Body::Dir(entries) => entries,
            Body::File(_) | Body::Link(_) => panic!("{dir} is not a directory"),
        }
    }

    fn entries_mut(&mut self, dir: Id) -> &mut Entries {
        match &mut self.nodes[dir].body {
            Body::Dir(entries) => entries,
            Body::File(_) | Body::Link(_) => panic!("{dir} is not a directory"),
        }
    }

    fn make(&mut self, body: Body, seconds: Option<u64>) -> Id {
        self.nodes.push(Node {
            links: u64::from(!matches!(body, Body::Dir(_))),
            body,
            seconds,
            twin: None,
        });
        self.nodes.len() - 1
    }

    /// Adds a name for a node, without changing times.
    fn attach(&mut self, dir: Id, name: &str, id: Id) {
        self.entries_mut(dir).names.insert(name.to_owned(), id);
        if self.is_dir(id) {
            self.entries_mut(id).place = Some((dir, name.to_owned()));
        }
    }

    /// Records a change of a node, which also changes its modification time.
    fn changed(&mut self, id: Id) {
        self.nodes[id].seconds = None;
        self.touched.insert(id);
    }
}
