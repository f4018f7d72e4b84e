//! Names and nodes in a directory of the merged lower tree: all names at once, or one at a time.

use super::LowerStack;
use super::looked_up::LookedUp;
use super::merge::Merge;
use super::node::{LowerDir, LowerKind, LowerName, LowerNode, Part, Seen};
use super::table::Table;
use crate::error::Result;
use crate::hash::HashMap;
use crate::layer::erased::{AnyLayer, DirHandle};
use crate::layer::{Entered, Found, Listed};
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The names in a directory, as far as they are known.
pub(super) enum Children {
    /// All of them.
    Table(Table),
    /// Too many for a table: recent lookups.
    LookedUp {
        names: Box<LookedUp>,
        /// How many of the directory's parts are visible, from the top. The last of these may be opaque, and
        /// then hides the others.
        visible_parts: usize,
    },
}

/// Names that a whiteout hides in the layers below it.
pub(crate) type Hidden = HashMap<NameBuf, ()>;

/// Names and bytes of names that are allocated before a directory is read. Most directories have fewer, so
/// nothing has to grow.
const INITIAL_NAMES: usize = 64;
const INITIAL_BYTES: usize = 1024;

impl LowerNode {
    /// The child called `name`, if the merged tree has one.
    #[inline]
    pub(crate) fn child(
        self: &Arc<Self>,
        stack: &LowerStack,
        name: Name<'_>,
    ) -> Result<Option<Cow<'_, Arc<Self>>>> {
        let dir = self.dir()?;
        if cfg!(feature = "native")
            && let Some(Children::Table(table)) = dir.children.get()
        {
            // The fast path of most calls. Omitted from the component build to save code size:
            // `find_child` does the same.
            let Some(at) = table.find(name, &stack.hasher) else {
                return Ok(None);
            };
            return match table.node(at) {
                Some(node) => Ok(Some(Cow::Borrowed(node))),
                None => self.make_node_at(stack, table, at, name),
            };
        }
        self.find_child(dir, stack, name)
    }

    /// [`child`](Self::child) for entry `at` of the table, which was not looked up before.
    #[inline(never)]
    fn make_node_at<'a>(
        self: &Arc<Self>,
        stack: &LowerStack,
        table: &'a Table,
        at: usize,
        name: Name<'_>,
    ) -> Result<Option<Cow<'a, Arc<Self>>>> {
        let is_dir = table.kind(at) == Kind::Dir;
        let make = |at, top, more: &[u16]| {
            let lower_name = LowerName::At(at);
            if is_dir {
                self.enter(stack, name, lower_name, top, more)
            } else {
                self.find_in_layers(stack, name, lower_name, top, more)
            }
        };
        Ok(table.make(at, make)?.map(Cow::Borrowed))
    }

    /// [`child`](Self::child), also if the names were not read yet or are too many for a table.
    #[inline(never)]
    fn find_child(
        self: &Arc<Self>,
        dir: &LowerDir,
        stack: &LowerStack,
        name: Name<'_>,
    ) -> Result<Option<Cow<'_, Arc<Self>>>> {
        match self.children(stack)? {
            Children::Table(table) => match table.find(name, &stack.hasher) {
                Some(at) => self.make_node_at(stack, table, at, name),
                None => Ok(None),
            },
            Children::LookedUp {
                names,
                visible_parts,
            } => {
                let child = names.child(name, || {
                    let layers: Vec<_> = dir.parts[..*visible_parts]
                        .iter()
                        .map(|part| part.layer)
                        .collect();
                    let Some((top, more)) = layers.split_first() else {
                        return Ok(None);
                    };
                    let own = LowerName::Own(name.as_bytes().into());
                    self.find_in_layers(stack, name, own, *top, more)
                })?;
                Ok(child.map(Cow::Owned))
            }
        }
    }

    /// Whether the merged tree has a child called `name`.
    pub(crate) fn has(self: &Arc<Self>, stack: &LowerStack, name: Name<'_>) -> Result<bool> {
        match self.children(stack)? {
            Children::Table(table) => Ok(table.has(name, &stack.hasher)),
            Children::LookedUp { .. } => Ok(self.child(stack, name)?.is_some()),
        }
    }

    /// Whether all names are in a table. If so, [`table`](Self::table) returns it from then on.
    pub(crate) fn has_table(self: &Arc<Self>, stack: &LowerStack) -> Result<bool> {
        Ok(matches!(self.children(stack)?, Children::Table(_)))
    }

    /// The table of all names. None if the directory was not read yet, or has too many names.
    pub(crate) fn table(&self) -> Option<&Table> {
        match self.dir().ok()?.children.get()? {
            Children::Table(table) => Some(table),
            Children::LookedUp { .. } => None,
        }
    }

    /// Adds all names to a listing, each with kind and inode number from its topmost layer.
    pub(crate) fn list(self: &Arc<Self>, stack: &LowerStack, into: &mut Merge) -> Result<()> {
        match self.children(stack)? {
            Children::Table(table) => {
                table.list(into);
                Ok(())
            }
            Children::LookedUp { .. } => self.read(stack, into).map(drop),
        }
    }

    /// Whether all names are in `hidden`. Stops at the first that is not.
    pub(crate) fn is_empty_without(
        self: &Arc<Self>,
        stack: &LowerStack,
        mut hidden: Hidden,
    ) -> Result<bool> {
        let visible_parts = match self.children(stack)? {
            Children::Table(table) => return Ok(table.is_covered_by(&hidden)),
            Children::LookedUp { visible_parts, .. } => *visible_parts,
        };
        let mut whiteouts = Vec::new();
        let mut is_empty = true;
        for part in &self.dir()?.parts[..visible_parts] {
            let handle = self.handle(stack, part.layer)?;
            let listed = stack
                .layer(part.layer)
                .list(&handle, &mut |name, listed| match listed {
                    _ if name.is_reserved() || hidden.contains_key(name.as_bytes()) => {
                        ControlFlow::Continue(())
                    }
                    Listed::Hidden => {
                        whiteouts.push(name.to_owned());
                        ControlFlow::Continue(())
                    }
                    Listed::Here { .. } => {
                        is_empty = false;
                        ControlFlow::Break(())
                    }
                });
            listed.map_err(|error| self.with_path(error))?;
            if !is_empty {
                break;
            }
            // Whiteouts hide names in the layers below, not in their own.
            hidden.extend(whiteouts.drain(..).map(|name| (name, ())));
        }
        Ok(is_empty)
    }

    fn children(self: &Arc<Self>, stack: &LowerStack) -> Result<&Children> {
        let dir = self.dir()?;
        if let Some(children) = dir.children.get() {
            return Ok(children);
        }
        let mut merge = Merge::new(stack.table_entries);
        merge.reserve(INITIAL_NAMES, INITIAL_BYTES);
        let is_table = match self.read(stack, &mut merge) {
            // It cannot be listed, but names can still be looked up.
            Err(error) if error.allows_lookups() => false,
            read => read?,
        };
        let children = if is_table {
            Children::Table(Table::new(merge, &stack.hasher))
        } else {
            Children::LookedUp {
                names: Box::new(LookedUp::new(stack.table_entries)),
                visible_parts: self.visible_parts(stack)?,
            }
        };
        Ok(dir.children.get_or_init(|| children))
    }

    /// How many parts are visible, from the top: down to the first opaque one.
    fn visible_parts(self: &Arc<Self>, stack: &LowerStack) -> Result<usize> {
        let parts = &self.dir()?.parts;
        for (seen, part) in (1..parts.len()).zip(parts) {
            let handle = self.handle(stack, part.layer)?;
            if self.is_opaque_by(stack.layer(part.layer), &handle)? {
                return Ok(seen);
            }
        }
        Ok(parts.len())
    }

    fn is_opaque_by(&self, layer: &dyn AnyLayer, handle: &DirHandle) -> Result<bool> {
        let opaque = layer.is_opaque(handle);
        opaque.map_err(|error| self.with_path(error))
    }

    /// Lists the directory in all its layers. Returns whether there was room for all names.
    fn read(self: &Arc<Self>, stack: &LowerStack, into: &mut Merge) -> Result<bool> {
        let parts = &self.dir()?.parts;
        for (listed, part) in (1..).zip(parts) {
            let layer = stack.layer(part.layer);
            let handle = self.handle(stack, part.layer)?;
            let read = layer.list(&handle, &mut |name, listed| {
                if into.add(part.layer, name, listed) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            read.map_err(|error| self.with_path(error))?;
            if into.is_full() {
                return Ok(false);
            }
            // Asked after the names were listed, which may include the opaque mark.
            if listed < parts.len() && self.is_opaque_by(layer, &handle)? {
                break;
            }
        }
        Ok(true)
    }

    /// Makes the node of a child that `top` and the layers `more` below it listed as a directory. Asks only
    /// the topmost layer: the parts in the others are opened on first use.
    fn enter(
        self: &Arc<Self>,
        stack: &LowerStack,
        name: Name<'_>,
        lower_name: LowerName,
        top: u16,
        more: &[u16],
    ) -> Result<Option<Arc<Self>>> {
        self.check_depth_of_children(stack)?;
        let handle = self.handle(stack, top)?;
        // A directory that cannot be opened still has metadata. Any other error, `find` returns again.
        let Ok(Some(entered)) = stack.layer(top).enter(&handle, name) else {
            return self.find_in_layers(stack, name, lower_name, top, more);
        };
        let Entered { dir, meta, opaque } = entered;
        if meta.is_implied() && !opaque && !more.is_empty() {
            return self.find_in_layers(stack, name, lower_name, top, more);
        }
        let mut parts = vec![Part::with_meta(top, &meta, Some(dir), stack)];
        if !opaque {
            parts.extend(more.iter().copied().map(Part::new));
        }
        Ok(Some(self.new_child(lower_name, (meta, top), parts)))
    }

    /// Makes the node of a child from a lookup of its name in `top` and the layers `more` below it.
    fn find_in_layers(
        self: &Arc<Self>,
        stack: &LowerStack,
        name: Name<'_>,
        lower_name: LowerName,
        top: u16,
        more: &[u16],
    ) -> Result<Option<Arc<Self>>> {
        let mut seen = None;
        let mut parts = Vec::new();
        for index in std::iter::once(top).chain(more.iter().copied()) {
            let handle = self.handle(stack, index)?;
            let found = stack.layer(index).find(&handle, name);
            match found.map_err(|error| self.with_path(error))? {
                Found::Absent => continue,
                Found::Hidden => break,
                Found::Here { meta, opaque } => {
                    let is_dir = meta.kind == Kind::Dir;
                    if seen.is_some() && !is_dir {
                        break;
                    }
                    if is_dir {
                        parts.push(Part::with_meta(index, &meta, None, stack));
                    }
                    Seen::add(&mut seen, meta, index);
                    if opaque || !is_dir {
                        break;
                    }
                }
            }
        }
        if let Some(seen) = &seen
            && seen.meta.kind == Kind::Dir
        {
            self.check_depth_of_children(stack)?;
        }
        Ok(seen.map(|seen| self.new_child(lower_name, (seen.meta, seen.layer), parts)))
    }

    /// Takes the nodes of the children out of this directory.
    pub(super) fn take_children(&mut self, into: &mut Vec<Arc<Self>>) {
        if let LowerKind::Dir(dir) = &mut self.kind {
            match dir.children.take() {
                Some(Children::Table(table)) => into.extend(table.into_nodes()),
                Some(Children::LookedUp { mut names, .. }) => names.take_dirs(into),
                None => {}
            }
        }
    }
}
