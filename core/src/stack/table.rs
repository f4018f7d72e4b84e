//! The names of a merged directory, all at once.

use super::node::LowerNode;
use crate::cell::ArcCell;
use crate::error::Result;
use crate::layer::Listed;
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

/// Every name in a merged directory: what is not in it does not exist.
pub(super) struct Table {
    names: HashMap<NameBuf, Entry>,
}

struct Entry {
    origin: Origin,
    /// The layers that have it, below `origin.layer`, the upper ones first. Only a directory
    /// merges with others.
    more: Box<[u16]>,
    /// The node, once somebody looked.
    node: ArcCell<LowerNode>,
}

/// Where a file was found first, from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) kind: Kind,
    pub(crate) layer: u16,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Table {
    pub(super) fn has(&self, name: Name<'_>) -> bool {
        self.names.contains_key(name.as_bytes())
    }

    /// The node of `name`, made by `look` (given the layers that have it) on first use.
    pub(super) fn child(
        &self,
        name: Name<'_>,
        look: impl FnOnce(&mut dyn Iterator<Item = u16>) -> Result<Option<Arc<LowerNode>>>,
    ) -> Result<Option<Arc<LowerNode>>> {
        let Some(entry) = self.names.get(name.as_bytes()) else {
            return Ok(None);
        };
        if let Some(node) = &*entry.node.load() {
            return Ok(Some(Arc::clone(node)));
        }
        let layers = std::iter::once(entry.origin.layer).chain(entry.more.iter().copied());
        let Some(node) = look(&mut { layers })? else {
            return Ok(None);
        };
        // Two that looked at once must agree on one node.
        let before = entry
            .node
            .compare_and_swap(&None::<Arc<LowerNode>>, Some(Arc::clone(&node)));
        Ok(Some((*before).clone().unwrap_or(node)))
    }

    pub(super) fn list(&self, each: &mut dyn FnMut(Name<'_>, Origin)) {
        for (name, entry) in &self.names {
            each(name.as_name(), entry.origin);
        }
    }

    pub(super) fn take_nodes(&self, into: &mut Vec<Arc<LowerNode>>) {
        into.extend(
            self.names
                .values()
                .filter_map(|entry| entry.node.swap(None)),
        );
    }
}

/// A table in the making: layers are added from the top down.
pub(super) struct Merge {
    names: HashMap<NameBuf, Merging>,
    most: usize,
}

struct Merging {
    /// None of a whiteout.
    origin: Option<Origin>,
    /// The layer that spoke last about the name.
    last: u16,
    more: Vec<u16>,
    /// Whether layers further down have nothing more to say.
    closed: bool,
    /// Whether that is because of a mark alone. An entry of the same layer may follow.
    by_mark: bool,
}

impl Merge {
    /// A table of at most `most` names, whiteouts included.
    pub(super) fn new(most: usize) -> Self {
        Self {
            names: HashMap::new(),
            most,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.names.len() > self.most
    }

    /// Adds what `layer` has under `name`. Returns whether there is room for more.
    pub(super) fn add(&mut self, layer: u16, device: u64, name: Name<'_>, listed: Listed) -> bool {
        match self.names.entry(name.to_owned()) {
            Slot::Vacant(vacant) => {
                vacant.insert(Merging::first(layer, device, listed));
            }
            Slot::Occupied(mut known) => known.get_mut().add(layer, device, listed),
        }
        !self.is_full()
    }

    pub(super) fn finish(self) -> Table {
        let entry = |merging: Merging| {
            let origin = merging.origin?;
            Some(Entry {
                origin,
                more: merging.more.into(),
                node: ArcCell::empty(),
            })
        };
        let names = self.names.into_iter();
        let mut names: HashMap<_, _> = names
            .filter_map(|(name, merging)| Some((name, entry(merging)?)))
            .collect();
        names.shrink_to_fit();
        Table { names }
    }
}

impl Merging {
    fn first(layer: u16, device: u64, listed: Listed) -> Self {
        let origin = match listed {
            Listed::Hidden => None,
            Listed::Here { kind, inode } => Some(Origin {
                kind,
                layer,
                device,
                inode,
            }),
        };
        let closed = origin.is_none_or(|origin| origin.kind != Kind::Dir);
        Self {
            origin,
            last: layer,
            more: Vec::new(),
            closed,
            by_mark: origin.is_none(),
        }
    }

    fn add(&mut self, layer: u16, device: u64, listed: Listed) {
        if self.last == layer {
            // One layer has an entry and a mark of the name: the entry counts, and the mark
            // still hides what is further down.
            if self.origin.is_none() {
                *self = Self::first(layer, device, listed);
            } else if self.by_mark && is_dir(listed) {
                self.more.push(layer);
            }
            self.closed = true;
            self.by_mark = false;
            return;
        }
        if self.closed {
            return;
        }
        self.last = layer;
        if is_dir(listed) {
            self.more.push(layer);
        } else {
            self.closed = true;
            self.by_mark = listed == Listed::Hidden;
        }
    }
}

fn is_dir(listed: Listed) -> bool {
    matches!(
        listed,
        Listed::Here {
            kind: Kind::Dir,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer with an entry and a mark of one name lists them in any order. With the mark first,
    /// a directory was left out of the merge with those above it.
    #[test]
    fn an_entry_beats_a_mark_of_its_layer_in_either_order() {
        let dir = Listed::Here {
            kind: Kind::Dir,
            inode: 1,
        };
        let name = Name::new(b"d").unwrap();
        for listed in [[dir, Listed::Hidden], [Listed::Hidden, dir]] {
            let mut merge = Merge::new(10);
            merge.add(2, 0, name, dir);
            for listed in listed {
                merge.add(1, 0, name, listed);
            }
            merge.add(0, 0, name, dir);
            let table = merge.finish();
            assert_eq!(*table.names[&name.to_owned()].more, [1]);
        }
    }
}
