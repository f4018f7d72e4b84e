//! A node of the merged lower tree.

use super::LowerStack;
use super::probe::Probes;
use super::table::{self, Table};
use crate::error::{Errno, Error, Result};
use crate::keep::Slot;
use crate::layer::erased::{AnyLayer, DirHandle};
use crate::layer::{Found, ReadAt};
use crate::meta::{Kind, Meta};
use crate::name::{Name, NameBuf};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A file of the merged lower tree. It never changes.
pub(crate) struct LowerNode {
    /// None of the root.
    place: Option<(Arc<LowerNode>, NameBuf)>,
    /// The metadata in the topmost layer that has the file.
    pub(crate) meta: Meta,
    /// That layer.
    pub(crate) layer: u16,
    pub(crate) kind: LowerKind,
}

pub(crate) enum LowerKind {
    Dir(Box<LowerDir>),
    Symlink(OnceLock<Box<[u8]>>),
    /// A regular file, once it was opened.
    File(OnceLock<Box<LowerFile>>),
    Other,
}

pub(crate) struct LowerDir {
    /// The layers that have the directory, the topmost first. None below an opaque one.
    parts: Box<[Part]>,
    children: OnceLock<Children>,
    /// Whether nothing leads here any more: it was evicted while somebody held it.
    is_let_go: AtomicBool,
}

/// What is kept of a regular file that was opened.
#[derive(Default)]
pub(crate) struct LowerFile {
    /// Reads carry their offset, so all who open it share one.
    handle: Slot<FileHandle>,
    #[cfg(feature = "native")]
    data: Slot<super::data::Data>,
}

/// An open file of some layer.
pub(crate) struct FileHandle(pub(super) Arc<dyn ReadAt>);

pub(super) struct Part {
    pub(super) layer: u16,
    /// Of the directory there.
    device: u64,
    handle: Slot<DirHandle>,
}

pub(super) enum Children {
    /// All of them.
    Table(Table),
    /// Too many for a table: what was asked for lately.
    Probes(Box<Probes>),
}

impl LowerNode {
    /// The merged root.
    pub(super) fn root(stack: &LowerStack) -> Result<Option<Arc<Self>>> {
        let mut parts = Vec::with_capacity(stack.layers.len());
        let mut top = None;
        let count = u16::try_from(stack.layers.len()).unwrap_or(u16::MAX);
        for (index, layer) in (0..count).zip(&stack.layers).rev() {
            let meta = layer.dir_meta(&layer.root()?)?;
            parts.push(Part::new(index, meta.device));
            top.get_or_insert((meta, index));
            if layer.root_is_opaque()? {
                break;
            }
        }
        let Some((meta, layer)) = top else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Self {
            place: None,
            meta,
            layer,
            kind: LowerKind::dir(parts),
        })))
    }

    /// The name; none of the root.
    pub(crate) fn name(&self) -> Option<Name<'_>> {
        self.place.as_ref().map(|(_, name)| name.as_name())
    }

    /// The error with the path of this directory in front: a layer knows the name that it was
    /// asked for, and not where that is.
    fn located(&self, error: Error) -> Error {
        // A bare code is an answer, and the root needs no path.
        if !error.has_details() || self.place.is_none() {
            return error;
        }
        let mut names = Vec::new();
        let mut node = self;
        while let Some((parent, name)) = &node.place {
            names.push(name.as_name().to_string());
            node = parent;
        }
        names.reverse();
        error.context(format_args!("in {}", names.join("/")))
    }

    fn dir(&self) -> Result<&LowerDir> {
        match &self.kind {
            LowerKind::Dir(dir) => Ok(dir),
            LowerKind::Symlink(_) | LowerKind::File(_) | LowerKind::Other => {
                Err(Errno::NotDirectory.into())
            }
        }
    }

    /// The child of that name, if the merged tree has one.
    pub(crate) fn child(
        self: &Arc<Self>,
        stack: &LowerStack,
        name: Name<'_>,
    ) -> Result<Option<Arc<Self>>> {
        let dir = self.dir()?;
        let children = self.children(stack)?;
        let child = match children {
            Children::Table(table) => table.child(name, |layers| self.look(stack, name, layers)),
            Children::Probes(probes) => probes.child(name, || {
                let parts = dir.parts.iter().map(|part| part.layer);
                self.look(stack, name, &mut parts.clone())
            }),
        }?;
        // A child holds its parent. What is let go must not hold its children too: nobody would
        // cut the circle. The flag is set before the children are taken away and read after one
        // is kept, so one of the two sides sees the other.
        if dir.is_let_go.load(Ordering::SeqCst) {
            children.forget();
        }
        Ok(child)
    }

    /// Whether it was found in `dir`. A directory may have a second node once the first was
    /// evicted, so what counts is which directory it is.
    pub(crate) fn is_in(&self, dir: &Self) -> bool {
        let place = |node: &Self| (node.layer, node.meta.device, node.meta.inode);
        let parent = self.place.as_ref().map(|(parent, _)| parent);
        parent.is_some_and(|parent| place(parent) == place(dir))
    }

    /// Whether the merged tree has a child of that name.
    pub(crate) fn has(self: &Arc<Self>, stack: &LowerStack, name: Name<'_>) -> Result<bool> {
        match self.children(stack)? {
            Children::Table(table) => Ok(table.has(name)),
            Children::Probes(_) => Ok(self.child(stack, name)?.is_some()),
        }
    }

    /// Calls `each` once for every child with its type, layer, device (of the directory there)
    /// and inode number.
    pub(crate) fn list(
        self: &Arc<Self>,
        stack: &LowerStack,
        each: &mut dyn FnMut(Name<'_>, table::Origin),
    ) -> Result<()> {
        match self.children(stack)? {
            Children::Table(table) => {
                table.list(each);
                Ok(())
            }
            Children::Probes(_) => {
                let table = self.read_table(stack, usize::MAX)?;
                if let Some(table) = table {
                    table.list(each);
                }
                Ok(())
            }
        }
    }

    fn children(self: &Arc<Self>, stack: &LowerStack) -> Result<&Children> {
        let dir = self.dir()?;
        if let Some(children) = dir.children.get() {
            return Ok(children);
        }
        let children = match self.read_table(stack, stack.table_entries) {
            Ok(Some(table)) => Children::Table(table),
            // A directory may be open to lookups and closed to listings (mode 0311).
            Ok(None) => Children::Probes(Box::new(Probes::new(stack.table_entries))),
            Err(error) if error.errno() == Errno::Access => {
                Children::Probes(Box::new(Probes::new(stack.table_entries)))
            }
            Err(error) => return Err(error),
        };
        Ok(dir.children.get_or_init(|| children))
    }

    /// Lists the directory in all its layers; none if it has more than `most` names.
    fn read_table(self: &Arc<Self>, stack: &LowerStack, most: usize) -> Result<Option<Table>> {
        let mut merge = table::Merge::new(most);
        for part in &self.dir()?.parts {
            let layer = stack.layer(part.layer);
            let handle = self.handle(stack, part.layer)?;
            let listed = layer.list(&handle, &mut |name, listed| match merge.add(
                part.layer,
                part.device,
                name,
                listed,
            ) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            });
            listed.map_err(|error| self.located(error))?;
            if merge.is_full() {
                return Ok(None);
            }
        }
        Ok(Some(merge.finish()))
    }

    /// Makes the node of a child out of what `layers` (the topmost first) say about its name.
    fn look(
        self: &Arc<Self>,
        stack: &LowerStack,
        name: Name<'_>,
        layers: &mut dyn Iterator<Item = u16>,
    ) -> Result<Option<Arc<Self>>> {
        let mut top: Option<(Meta, u16)> = None;
        let mut parts = Vec::new();
        for index in layers {
            let handle = self.handle(stack, index)?;
            let found = stack.layer(index).find(&handle, name);
            match found.map_err(|error| self.located(error))? {
                Found::Absent => continue,
                Found::Hidden => break,
                Found::Here { meta, opaque } => {
                    let is_dir = meta.kind == Kind::Dir;
                    if top.is_some() && !is_dir {
                        break;
                    }
                    if is_dir {
                        parts.push(Part::new(index, meta.device));
                    }
                    top.get_or_insert((meta, index));
                    if opaque || !is_dir {
                        break;
                    }
                }
            }
        }
        let Some((meta, layer)) = top else {
            return Ok(None);
        };
        let kind = match meta.kind {
            Kind::Dir => LowerKind::dir(parts),
            Kind::Symlink => LowerKind::Symlink(OnceLock::new()),
            Kind::File => LowerKind::File(OnceLock::new()),
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => LowerKind::Other,
        };
        let place = Some((Arc::clone(self), name.to_owned()));
        Ok(Some(Arc::new(Self {
            place,
            meta,
            layer,
            kind,
        })))
    }

    /// A handle of the directory in one of its layers.
    ///
    /// Handles are evicted, so those of the ancestors may have to be opened first: up to the
    /// nearest that is kept, then down again, in two loops.
    fn handle(self: &Arc<Self>, stack: &LowerStack, layer: u16) -> Result<Arc<DirHandle>> {
        let mut missing = Vec::new();
        let mut node = self;
        let mut handle = loop {
            let slot = &node.part(layer)?.handle;
            match (slot.get(), &node.place) {
                (Some(handle), _) => break handle,
                (None, None) => break stack.keep.get(slot, || stack.root_handle(layer))?,
                (None, Some((parent, _))) => {
                    missing.push(node);
                    node = parent;
                }
            }
        };
        while let Some(node) = missing.pop() {
            let Some(name) = node.name() else { break };
            let slot = &node.part(layer)?.handle;
            handle = stack
                .keep
                .get(slot, || stack.layer(layer).open_dir(&handle, name))?;
        }
        Ok(handle)
    }

    fn part(&self, layer: u16) -> Result<&Part> {
        // A layer that has a directory has all its ancestors.
        let part = self.dir()?.parts.iter().find(|part| part.layer == layer);
        part.ok_or_else(|| Errno::Io.into())
    }

    /// A handle of the directory that holds this file in its topmost layer, and the name there.
    fn in_layer(&self, stack: &LowerStack) -> Result<(Arc<DirHandle>, Name<'_>)> {
        match &self.place {
            Some((parent, name)) => Ok((parent.handle(stack, self.layer)?, name.as_name())),
            None => Err(Errno::IsDirectory.into()),
        }
    }

    /// The data of a regular file.
    pub(crate) fn open(self: &Arc<Self>, stack: &Arc<LowerStack>) -> Result<Arc<dyn ReadAt>> {
        let LowerKind::File(file) = &self.kind else {
            return Ok(self.open_in_layer(stack)?.0);
        };
        let file = file.get_or_init(Box::default);
        #[cfg(feature = "native")]
        if let Some(data) = file.data.get() {
            return Ok(data);
        }
        let handle = stack.keep.get(&file.handle, || self.open_in_layer(stack))?;
        #[cfg(feature = "native")]
        return Ok(stack.reader(self, &file.data, handle));
        #[cfg(not(feature = "native"))]
        Ok(Arc::clone(&handle.0))
    }

    fn open_in_layer(&self, stack: &LowerStack) -> Result<FileHandle> {
        let (dir, name) = self.in_layer(stack)?;
        let opened = stack.layer(self.layer).open_file(&dir, name);
        opened.map(FileHandle).map_err(|error| match &self.place {
            Some((parent, _)) => parent.located(error),
            None => error,
        })
    }

    /// The target of a symbolic link.
    pub(crate) fn target(&self, stack: &LowerStack) -> Result<&[u8]> {
        let LowerKind::Symlink(target) = &self.kind else {
            return Err(Errno::Invalid.into());
        };
        if let Some(target) = target.get() {
            return Ok(target);
        }
        let (dir, name) = self.in_layer(stack)?;
        let read = stack.layer(self.layer).read_link(&dir, name)?;
        Ok(target.get_or_init(|| read))
    }

    /// Calls `ask` with the topmost layer and where the file is in it.
    fn ask<T>(
        self: &Arc<Self>,
        stack: &LowerStack,
        ask: impl FnOnce(&dyn AnyLayer, &DirHandle, Option<Name<'_>>) -> Result<T>,
    ) -> Result<T> {
        let layer = stack.layer(self.layer);
        match (&self.kind, &self.place) {
            (LowerKind::Dir(_), _) | (_, None) => {
                ask(layer, &*self.handle(stack, self.layer)?, None)
            }
            (_, Some(_)) => {
                let (dir, name) = self.in_layer(stack)?;
                ask(layer, &dir, Some(name))
            }
        }
    }

    /// Names of the extended attributes, marks left out.
    pub(crate) fn xattrs(self: &Arc<Self>, stack: &LowerStack) -> Result<Vec<Box<[u8]>>> {
        self.ask(stack, |layer, dir, name| layer.xattrs(dir, name))
    }

    /// The value of an extended attribute.
    pub(crate) fn xattr(
        self: &Arc<Self>,
        stack: &LowerStack,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.ask(stack, |layer, dir, name| layer.xattr(dir, name, attribute))
    }
}

impl Part {
    /// The directory in `layer`.
    fn new(layer: u16, device: u64) -> Self {
        Self {
            layer,
            device,
            handle: Slot::default(),
        }
    }
}

impl LowerKind {
    fn dir(parts: Vec<Part>) -> Self {
        let dir = LowerDir {
            parts: parts.into(),
            children: OnceLock::new(),
            is_let_go: AtomicBool::new(false),
        };
        Self::Dir(Box::new(dir))
    }
}

/// A node holds its parents: a chain of them is let go in a loop, however deep it is.
impl Drop for LowerNode {
    fn drop(&mut self) {
        let mut place = self.place.take();
        while let Some((parent, _)) = place {
            place = Arc::into_inner(parent).and_then(|mut parent| parent.place.take());
        }
    }
}

impl Children {
    fn take_nodes(&self, into: &mut Vec<Arc<LowerNode>>) {
        match self {
            Self::Table(table) => table.take_nodes(into),
            Self::Probes(probes) => probes.take_nodes(into),
        }
    }

    fn forget(&self) {
        let mut nodes = Vec::new();
        self.take_nodes(&mut nodes);
        forget_below(nodes);
    }
}

/// Lets go of `nodes` and of everything that is kept below them; what somebody holds keeps
/// nothing from then on. In a loop, and children before their parents, so that no drop recurses
/// down or up the tree.
pub(super) fn forget_below(mut nodes: Vec<Arc<LowerNode>>) {
    let mut next = 0;
    while let Some(node) = nodes.get(next) {
        let mut children = Vec::new();
        if let LowerKind::Dir(dir) = &node.kind {
            dir.is_let_go.store(true, Ordering::SeqCst);
            if let Some(kept) = dir.children.get() {
                kept.take_nodes(&mut children);
            }
        }
        nodes.append(&mut children);
        next += 1;
    }
    while nodes.pop().is_some() {}
}
