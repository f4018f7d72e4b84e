//! A node of the merged lower tree.

use super::LowerStack;
use super::lean::Lean;
use super::merge::Merge;
use super::open::FileHandle;
use super::probe::Probes;
use super::table::Table;
use crate::error::{Errno, Error, Result};
use crate::keep::Slot;
use crate::layer::Found;
use crate::layer::erased::DirHandle;
use crate::meta::{Kind, Meta};
use crate::name::Name;
use once_cell::race::OnceBox;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock, Weak};

/// A file of the merged lower tree. It never changes.
///
/// A directory is kept as long as its stack, so what is in it is read without a lock and without
/// counting who holds it.
pub(crate) struct LowerNode {
    /// None of the root.
    parent: Option<Weak<LowerNode>>,
    name: LowerName,
    /// The metadata in the topmost layer that has the file, and that layer.
    pub(super) lean: Lean,
    pub(super) kind: LowerKind,
}

/// What a file is called in its parent.
enum LowerName {
    /// What the parent's table has at this place.
    At(u32),
    /// The parent has no table, or there is no parent.
    Own(Box<[u8]>),
}

pub(super) enum LowerKind {
    Dir(Box<LowerDir>),
    Symlink(Box<OnceLock<Box<[u8]>>>),
    /// A regular file, once it was opened.
    File(OnceBox<LowerFile>),
    Other,
}

pub(super) struct LowerDir {
    /// The layers that have the directory, the topmost first. None below an opaque one.
    parts: Box<[Part]>,
    children: OnceLock<Children>,
}

/// What is kept of a regular file that was opened.
#[derive(Default)]
pub(super) struct LowerFile {
    /// Reads carry their offset, so all who open it share one.
    pub(super) handle: Slot<FileHandle>,
    #[cfg(feature = "native")]
    pub(super) data: Slot<super::data::Data>,
}

struct Part {
    layer: u16,
    /// Of the directory there.
    device: u64,
    handle: Slot<DirHandle>,
}

enum Children {
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
        Ok(top.map(|(meta, layer)| {
            Arc::new(Self {
                parent: None,
                name: LowerName::Own(Box::default()),
                lean: Lean::new(&meta, layer),
                kind: LowerKind::dir(parts),
            })
        }))
    }

    /// The directory that it is in; none of the root.
    ///
    /// # Errors
    /// `io` after the stack is gone, which nobody who holds one sees.
    pub(super) fn parent(&self) -> Result<Option<Arc<Self>>> {
        match &self.parent {
            Some(parent) => Ok(Some(parent.upgrade().ok_or(Errno::Io)?)),
            None => Ok(None),
        }
    }

    /// What `child` is called in this directory.
    pub(crate) fn name_of<'a>(&'a self, child: &'a Self) -> Result<Name<'a>> {
        match &child.name {
            LowerName::Own(name) => Ok(Name::checked(name)),
            LowerName::At(at) => match self.dir()?.children.get() {
                Some(Children::Table(table)) => Ok(table.name(*at)),
                Some(Children::Probes(_)) | None => Err(Errno::Io.into()),
            },
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.lean.kind
    }

    /// The topmost layer that has the file.
    pub(crate) fn layer(&self) -> u16 {
        self.lean.layer
    }

    /// Device and inode number in that layer.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.lean.device, self.lean.inode)
    }

    /// The metadata in that layer, less what nobody asks of a lower file: the number of a device,
    /// and how much less than its size one with holes takes.
    pub(crate) fn meta(&self) -> Meta {
        self.lean.meta()
    }

    /// The error with the path of this directory in front: a layer knows the name that it was
    /// asked for, and not where that is.
    pub(super) fn located(&self, error: Error) -> Error {
        // A bare code is an answer, and the root needs no path.
        if !error.has_details() || self.parent.is_none() {
            return error;
        }
        match self.path() {
            Ok(path) => error.context(format_args!("in {path}")),
            Err(_) => error,
        }
    }

    /// The path from the root, for messages to the embedder.
    fn path(&self) -> Result<String> {
        let mut names = Vec::new();
        let mut above: Option<Arc<Self>> = None;
        loop {
            let node = above.as_deref().unwrap_or(self);
            let Some(parent) = node.parent()? else { break };
            names.push(parent.name_of(node)?.to_string());
            above = Some(parent);
        }
        names.reverse();
        Ok(names.join("/"))
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
    ) -> Result<Option<Cow<'_, Arc<Self>>>> {
        let dir = self.dir()?;
        if cfg!(feature = "native")
            && let Some(Children::Table(table)) = dir.children.get()
        {
            // What most calls come for, and all that they have to do. A component, which is to be
            // small, has it asked below.
            let Some(at) = table.find(name, &stack.hasher) else {
                return Ok(None);
            };
            if let Some(node) = table.node(at) {
                return Ok(Some(Cow::Borrowed(node)));
            }
        }
        self.make_child(dir, stack, name)
    }

    /// [`child`](Self::child) of a name that nobody looked at yet, as far as that is remembered.
    #[inline(never)]
    fn make_child(
        self: &Arc<Self>,
        dir: &LowerDir,
        stack: &LowerStack,
        name: Name<'_>,
    ) -> Result<Option<Cow<'_, Arc<Self>>>> {
        match self.children(stack)? {
            Children::Table(table) => {
                let Some(at) = table.find(name, &stack.hasher) else {
                    return Ok(None);
                };
                let look = |at, layers: &mut dyn Iterator<Item = u16>| {
                    self.look(stack, name, LowerName::At(at), layers)
                };
                Ok(table.make(at, look)?.map(Cow::Borrowed))
            }
            Children::Probes(probes) => {
                let child = probes.child(name, || {
                    let own = LowerName::Own(name.as_bytes().into());
                    let mut layers = dir.parts.iter().map(|part| part.layer);
                    self.look(stack, name, own, &mut layers)
                })?;
                Ok(child.map(Cow::Owned))
            }
        }
    }

    /// Whether it was found in `dir`.
    pub(crate) fn is_in(&self, dir: &Arc<Self>) -> bool {
        let parent = self.parent.as_ref();
        parent.is_some_and(|parent| std::ptr::eq(parent.as_ptr(), Arc::as_ptr(dir)))
    }

    /// Whether the merged tree has a child of that name.
    pub(crate) fn has(self: &Arc<Self>, stack: &LowerStack, name: Name<'_>) -> Result<bool> {
        match self.children(stack)? {
            Children::Table(table) => Ok(table.has(name, &stack.hasher)),
            Children::Probes(_) => Ok(self.child(stack, name)?.is_some()),
        }
    }

    /// Adds all names to a listing, with what the topmost layer says of each.
    pub(crate) fn list(self: &Arc<Self>, stack: &LowerStack, into: &mut Merge) -> Result<()> {
        match self.children(stack)? {
            Children::Table(table) => {
                table.list(into);
                Ok(())
            }
            Children::Probes(_) => self.read(stack, into).map(drop),
        }
    }

    /// The device of the directory in one of its layers.
    pub(crate) fn device_in(&self, layer: u16) -> Result<u64> {
        Ok(self.part(layer)?.device)
    }

    fn children(self: &Arc<Self>, stack: &LowerStack) -> Result<&Children> {
        let dir = self.dir()?;
        if let Some(children) = dir.children.get() {
            return Ok(children);
        }
        let mut merge = Merge::new(stack.table_entries);
        let children = match self.read(stack, &mut merge) {
            Ok(true) => Children::Table(Table::new(merge, &stack.hasher)),
            // A directory may be open to lookups and closed to listings (mode 0311).
            Ok(false) => Children::Probes(Box::new(Probes::new(stack.table_entries))),
            Err(error) if error.errno() == Errno::Access => {
                Children::Probes(Box::new(Probes::new(stack.table_entries)))
            }
            Err(error) => return Err(error),
        };
        Ok(dir.children.get_or_init(|| children))
    }

    /// Lists the directory in all its layers. Returns whether there was room for all names.
    fn read(self: &Arc<Self>, stack: &LowerStack, into: &mut Merge) -> Result<bool> {
        for part in &self.dir()?.parts {
            let layer = stack.layer(part.layer);
            let handle = self.handle(stack, part.layer)?;
            let listed = layer.list(&handle, &mut |name, listed| match into
                .add(part.layer, name, listed)
            {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            });
            listed.map_err(|error| self.located(error))?;
            if into.is_full() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the node of a child out of what `layers` (the topmost first) say about its name.
    fn look(
        self: &Arc<Self>,
        stack: &LowerStack,
        name: Name<'_>,
        kept: LowerName,
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
            Kind::Symlink => LowerKind::Symlink(Box::default()),
            Kind::File => LowerKind::File(OnceBox::new()),
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => LowerKind::Other,
        };
        Ok(Some(Arc::new(Self {
            parent: Some(Arc::downgrade(self)),
            name: kept,
            lean: Lean::new(&meta, layer),
            kind,
        })))
    }

    /// A handle of the directory in one of its layers.
    ///
    /// Handles are evicted, so those of the ancestors may have to be opened first: up to the
    /// nearest that is kept, then down again, in two loops.
    pub(super) fn handle(
        self: &Arc<Self>,
        stack: &LowerStack,
        layer: u16,
    ) -> Result<Arc<DirHandle>> {
        if let Some(handle) = self.part(layer)?.handle.get() {
            return Ok(handle);
        }
        let mut missing = Vec::new();
        let mut node = Arc::clone(self);
        let (mut handle, mut dir) = loop {
            let slot = &node.part(layer)?.handle;
            match (slot.get(), node.parent()?) {
                (Some(handle), _) => break (handle, node),
                (None, None) => {
                    let handle = stack.keep.get(slot, || stack.root_handle(layer))?;
                    break (handle, node);
                }
                (None, Some(parent)) => missing.push(std::mem::replace(&mut node, parent)),
            }
        };
        while let Some(node) = missing.pop() {
            let name = dir.name_of(&node)?;
            let slot = &node.part(layer)?.handle;
            handle = stack
                .keep
                .get(slot, || stack.layer(layer).open_dir(&handle, name))?;
            dir = node;
        }
        Ok(handle)
    }

    fn take_children(&mut self, into: &mut Vec<Arc<Self>>) {
        if let LowerKind::Dir(dir) = &mut self.kind {
            match dir.children.take() {
                Some(Children::Table(table)) => into.extend(table.into_nodes()),
                Some(Children::Probes(probes)) => into.extend(probes.into_nodes()),
                None => {}
            }
        }
    }

    fn part(&self, layer: u16) -> Result<&Part> {
        // A layer that has a directory has all its ancestors.
        let part = self.dir()?.parts.iter().find(|part| part.layer == layer);
        part.ok_or_else(|| Errno::Io.into())
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
        };
        Self::Dir(Box::new(dir))
    }
}

/// A directory holds what is in it: a tree is let go in a loop, however deep it is.
impl Drop for LowerNode {
    fn drop(&mut self) {
        let mut nodes = Vec::new();
        self.take_children(&mut nodes);
        while let Some(node) = nodes.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                node.take_children(&mut nodes);
            }
        }
    }
}
