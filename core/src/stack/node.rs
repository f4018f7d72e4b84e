//! A node of the merged lower tree.

use super::lean::Lean;
use super::merge::Merge;
use super::probe::Probes;
use super::table::Table;
use super::{LowerStack, Opener};
use crate::cell::{ArcCell, Held};
use crate::error::{Errno, Error, Result};
use crate::keep::Slot;
use crate::layer::erased::{AnyLayer, DirHandle};
use crate::layer::{Found, ReadAt};
use crate::meta::{Kind, Meta};
use crate::name::Name;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A file of the merged lower tree. It never changes.
pub(crate) struct LowerNode {
    /// None of the root.
    parent: Option<Arc<LowerNode>>,
    name: LowerName,
    /// The metadata in the topmost layer that has the file, and that layer.
    lean: Lean,
    kind: LowerKind,
}

/// What a file is called in its parent.
enum LowerName {
    /// What the parent's table has at this place.
    At(u32),
    /// The parent has no table, or there is no parent.
    Own(Box<[u8]>),
}

enum LowerKind {
    Dir(Box<LowerDir>),
    Symlink(Box<OnceLock<Box<[u8]>>>),
    /// A regular file, once it was opened.
    File(ArcCell<LowerFile>),
    Other,
}

struct LowerDir {
    /// The layers that have the directory, the topmost first. None below an opaque one.
    parts: Box<[Part]>,
    children: OnceLock<Children>,
    /// Whether nothing leads here any more: it was evicted while somebody held it.
    is_let_go: AtomicBool,
}

/// What is kept of a regular file that was opened.
#[derive(Default)]
struct LowerFile {
    /// Reads carry their offset, so all who open it share one.
    handle: Slot<FileHandle>,
    #[cfg(feature = "native")]
    data: Slot<super::data::Data>,
}

/// An open file of some layer.
pub(crate) struct FileHandle(pub(super) Arc<dyn ReadAt>);

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

    /// The name; none of the root.
    pub(crate) fn name(&self) -> Option<Name<'_>> {
        let parent = self.parent.as_ref()?;
        match &self.name {
            LowerName::Own(name) => Some(Name::checked(name)),
            LowerName::At(at) => match parent.dir().ok()?.children.get()? {
                Children::Table(table) => Some(table.name(*at)),
                Children::Probes(_) => None,
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
    fn located(&self, error: Error) -> Error {
        // A bare code is an answer, and the root needs no path.
        if !error.has_details() || self.parent.is_none() {
            return error;
        }
        let mut names = Vec::new();
        let mut node = self;
        while let (Some(parent), Some(name)) = (&node.parent, node.name()) {
            names.push(name.to_string());
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
    ) -> Result<Option<Held<Self>>> {
        let dir = self.dir()?;
        let children = self.children(stack)?;
        let child = match children {
            Children::Table(table) => table.child(name, &stack.hasher, |at, layers| {
                self.look(stack, name, LowerName::At(at), layers)
            }),
            Children::Probes(probes) => probes.child(name, || {
                let own = LowerName::Own(name.as_bytes().into());
                let parts = dir.parts.iter().map(|part| part.layer);
                self.look(stack, name, own, &mut parts.clone())
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
        let place = |node: &Self| (node.layer(), node.place());
        let parent = self.parent.as_ref();
        parent.is_some_and(|parent| place(parent) == place(dir))
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
            Kind::File => LowerKind::File(ArcCell::empty()),
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => LowerKind::Other,
        };
        Ok(Some(Arc::new(Self {
            parent: Some(Arc::clone(self)),
            name: kept,
            lean: Lean::new(&meta, layer),
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
            match (slot.get(), &node.parent) {
                (Some(handle), _) => break handle,
                (None, None) => break stack.keep.get(slot, || stack.root_handle(layer))?,
                (None, Some(parent)) => {
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
        match (&self.parent, self.name()) {
            (Some(parent), Some(name)) => Ok((parent.handle(stack, self.layer())?, name)),
            (_, _) => Err(Errno::IsDirectory.into()),
        }
    }

    /// The data of a regular file.
    pub(crate) fn open(self: &Arc<Self>, stack: &Arc<LowerStack>) -> Result<Arc<dyn ReadAt>> {
        self.open_by(stack, &mut |layer, dir, name| layer.open_file(dir, name))
    }

    /// The data of a regular file, which `open` opens in its layer if it is not kept open.
    pub(crate) fn open_by(
        self: &Arc<Self>,
        stack: &Arc<LowerStack>,
        open: Opener<'_>,
    ) -> Result<Arc<dyn ReadAt>> {
        let LowerKind::File(kept) = &self.kind else {
            return Ok(self.open_in_layer(stack, open)?.0);
        };
        let file = match Held::of(kept) {
            Some(file) => file,
            None => {
                let file = Arc::new(LowerFile::default());
                let before = kept.compare_and_swap(&None::<Arc<_>>, Some(Arc::clone(&file)));
                Held::new((*before).clone().unwrap_or(file))
            }
        };
        #[cfg(feature = "native")]
        if let Some(data) = file.data.get() {
            return Ok(data);
        }
        let open = || self.open_in_layer(stack, open);
        let handle = stack.keep.get(&file.handle, open)?;
        #[cfg(feature = "native")]
        return Ok(stack.reader(self, &file.data, handle));
        #[cfg(not(feature = "native"))]
        Ok(Arc::clone(&handle.0))
    }

    fn open_in_layer(&self, stack: &LowerStack, open: Opener<'_>) -> Result<FileHandle> {
        let (dir, name) = self.in_layer(stack)?;
        let opened = open(stack.layer(self.layer()), &dir, name);
        opened.map(FileHandle).map_err(|error| match &self.parent {
            Some(parent) => parent.located(error),
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
        let read = stack.layer(self.layer()).read_link(&dir, name)?;
        Ok(target.get_or_init(|| read))
    }

    /// Calls `ask` with the topmost layer and where the file is in it.
    fn ask<T>(
        self: &Arc<Self>,
        stack: &LowerStack,
        ask: impl FnOnce(&dyn AnyLayer, &DirHandle, Option<Name<'_>>) -> Result<T>,
    ) -> Result<T> {
        let layer = stack.layer(self.layer());
        match (&self.kind, &self.parent) {
            (LowerKind::Dir(_), _) | (_, None) => {
                ask(layer, &*self.handle(stack, self.layer())?, None)
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
        let mut above = self.parent.take();
        while let Some(parent) = above {
            above = Arc::into_inner(parent).and_then(|mut parent| parent.parent.take());
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
