//! Nodes of the merged lower tree.

use super::LowerStack;
use super::children::Children;
use super::open::FileHandle;
use super::packed_meta::PackedMeta;
use crate::cache::Slot;
use crate::error::{Errno, Error, Result};
use crate::layer::erased::DirHandle;
use crate::meta::{Kind, Meta};
use crate::name::Name;
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// A file of the merged lower tree. It never changes.
///
/// A directory is kept as long as its stack, so its content is read without a lock and without counting
/// references.
pub(crate) struct LowerNode {
    /// None for the root.
    parent: Option<Weak<LowerNode>>,
    name: LowerName,
    /// The metadata in the topmost layer that has the file, and that layer. A directory that is
    /// [implied](Meta::implied) there has the attributes of the next layer that has some.
    pub(super) packed: PackedMeta,
    pub(super) kind: LowerKind,
}

/// The name of a file in its parent.
pub(super) enum LowerName {
    /// The name at this index of the parent's table.
    At(u32),
    /// The parent has no table, or there is no parent.
    Own(Box<[u8]>),
}

pub(super) enum LowerKind {
    Dir(Box<LowerDir>),
    Symlink(Box<OnceLock<Box<[u8]>>>),
    /// A regular file. Filled by the first open.
    File(OnceBox<LowerFile>),
    Other,
}

pub(super) struct LowerDir {
    /// The layers that have the directory, the topmost first. Some may lie below an opaque one: that is
    /// determined when names are merged (see [`Children`]).
    pub(super) parts: Box<[Part]>,
    pub(super) children: OnceLock<Children>,
    /// How many directories are above it.
    depth: u32,
}

/// Cached state of a regular file that was opened.
#[derive(Default)]
pub(super) struct LowerFile {
    /// Reads pass their offset, so all opens share one handle.
    pub(super) handle: Slot<FileHandle>,
    #[cfg(feature = "native")]
    pub(super) data: Slot<super::data::Data>,
}

pub(super) struct Part {
    pub(super) layer: u16,
    /// The device of the directory in this layer; [`UNKNOWN`] until it is first read.
    device: AtomicU64,
    handle: Slot<DirHandle>,
}

/// The device is not known. If a device had this number, it would be read each time.
const UNKNOWN: u64 = u64::MAX;

/// What is known of a file whose layers are asked from the top down.
pub(super) struct Seen {
    /// The metadata in the topmost layer. A directory that is only implied there has the attributes of the
    /// next layer that has some, and is still [implied](Meta::implied).
    pub(super) meta: Meta,
    /// The topmost layer.
    pub(super) layer: u16,
    has_attributes: bool,
}

impl Seen {
    /// Adds the metadata of the file in the next layer.
    pub(super) fn add(seen: &mut Option<Self>, meta: Meta, layer: u16) {
        match seen {
            None => {
                *seen = Some(Self {
                    meta,
                    layer,
                    has_attributes: !meta.is_implied(),
                });
            }
            Some(seen) if !seen.has_attributes && !meta.is_implied() => {
                seen.meta = Meta {
                    device: seen.meta.device,
                    inode: seen.meta.inode,
                    implied: true,
                    ..meta
                };
                seen.has_attributes = true;
            }
            Some(_) => {}
        }
    }
}

impl LowerNode {
    /// The merged root.
    pub(super) fn root(stack: &LowerStack) -> Result<Option<Arc<Self>>> {
        let mut parts = Vec::with_capacity(stack.layers.len());
        let mut top = None;
        let count = u16::try_from(stack.layers.len()).unwrap_or(u16::MAX);
        for (index, layer) in (0..count).zip(&stack.layers).rev() {
            let root = layer.root()?;
            let meta = layer.dir_meta(&root)?;
            let opaque = layer.is_opaque(&root)?;
            parts.push(Part::with_meta(index, &meta, Some(root), stack));
            Seen::add(&mut top, meta, index);
            if opaque {
                break;
            }
        }
        Ok(top.map(|seen| {
            Arc::new(Self {
                parent: None,
                name: LowerName::Own(Box::default()),
                packed: PackedMeta::new(&seen.meta, seen.layer),
                kind: LowerKind::dir(parts, 0),
            })
        }))
    }

    /// The directory that contains the file. None for the root.
    ///
    /// # Errors
    /// `io` after the stack was dropped. Not for a caller that holds the stack.
    pub(super) fn parent(&self) -> Result<Option<Arc<Self>>> {
        match &self.parent {
            Some(parent) => Ok(Some(parent.upgrade().ok_or(Errno::Io)?)),
            None => Ok(None),
        }
    }

    /// The name of `child` in this directory.
    pub(crate) fn name_of<'a>(&'a self, child: &'a Self) -> Result<Name<'a>> {
        match &child.name {
            LowerName::Own(name) => Ok(Name::checked(name)),
            LowerName::At(at) => match self.dir()?.children.get() {
                Some(Children::Table(table)) => Ok(table.name(*at)),
                Some(Children::LookedUp { .. }) | None => Err(Errno::Io.into()),
            },
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.packed.kind
    }

    /// The topmost layer that has the file.
    pub(crate) fn layer(&self) -> u16 {
        self.packed.layer
    }

    /// Device and inode number in the topmost layer that has the file.
    pub(crate) fn number(&self) -> (u64, u64) {
        (self.packed.device, self.packed.inode)
    }

    /// The metadata in that layer, without what is not used for lower files: the device number of a device
    /// file, and how much storage a sparse file has.
    pub(crate) fn meta(&self) -> Meta {
        self.packed.meta()
    }

    /// Adds the path of this directory to an error: a layer knows only the name that it was asked for.
    pub(super) fn with_path(&self, error: Error) -> Error {
        // A bare error code needs no path, and neither does the root.
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

    pub(super) fn dir(&self) -> Result<&LowerDir> {
        match &self.kind {
            LowerKind::Dir(dir) => Ok(dir),
            LowerKind::Symlink(_) | LowerKind::File(_) | LowerKind::Other => {
                Err(Errno::NotDirectory.into())
            }
        }
    }

    /// Identifies the node while anything holds it.
    pub(crate) fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// The [`address`](Self::address) of the directory that contains the file. None for the root.
    pub(crate) fn parent_address(&self) -> Option<usize> {
        Some(self.parent.as_ref()?.as_ptr().addr())
    }

    /// Whether `dir` contains the file.
    pub(crate) fn is_in(&self, dir: &Arc<Self>) -> bool {
        let parent = self.parent.as_ref();
        parent.is_some_and(|parent| std::ptr::eq(parent.as_ptr(), Arc::as_ptr(dir)))
    }

    /// The device of the directory in one of its layers.
    pub(crate) fn device_in(self: &Arc<Self>, stack: &LowerStack, layer: u16) -> Result<u64> {
        let part = self.part(layer)?;
        match part.device.load(Ordering::Relaxed) {
            UNKNOWN => {
                let handle = self.handle(stack, layer)?;
                let meta = stack.layer(layer).dir_meta(&handle);
                let meta = meta.map_err(|error| self.with_path(error))?;
                part.device.store(meta.device, Ordering::Relaxed);
                Ok(meta.device)
            }
            device => Ok(device),
        }
    }

    /// Makes a child. `meta` is its metadata in `layer`, the topmost layer that has it.
    pub(super) fn new_child(
        self: &Arc<Self>,
        name: LowerName,
        (meta, layer): (Meta, u16),
        parts: Vec<Part>,
    ) -> Arc<Self> {
        let kind = match meta.kind {
            Kind::Dir => LowerKind::dir(parts, self.depth_of_children()),
            Kind::Symlink => LowerKind::Symlink(Box::default()),
            Kind::File => LowerKind::File(OnceBox::new()),
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => LowerKind::Other,
        };
        Arc::new(Self {
            parent: Some(Arc::downgrade(self)),
            name,
            packed: PackedMeta::new(&meta, layer),
            kind,
        })
    }

    /// How many directories are above the children of this one.
    fn depth_of_children(&self) -> u32 {
        match self.dir() {
            Ok(dir) => dir.depth.saturating_add(1),
            Err(_) => 0,
        }
    }

    /// Checks that a directory in this one is within the limit on depth.
    ///
    /// # Errors
    /// `name-too-long` if it would lie deeper than [`Limits::depth`](crate::Limits::depth).
    pub(super) fn check_depth_of_children(&self, stack: &LowerStack) -> Result<()> {
        if self.depth_of_children() as usize <= stack.depth {
            return Ok(());
        }
        let message = "a directory lies deeper than Limits::depth allows";
        Err(self.with_path(Error::new(Errno::NameTooLong, message)))
    }

    /// A handle of the directory in one of its layers.
    ///
    /// Handles are evicted, so those of the ancestors may have to be opened first: one loop goes up to the
    /// nearest cached handle, a second one down again.
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
                    let handle = stack.handles.get(slot, || stack.root_handle(layer))?;
                    break (handle, node);
                }
                (None, Some(parent)) => missing.push(std::mem::replace(&mut node, parent)),
            }
        };
        while let Some(node) = missing.pop() {
            let name = dir.name_of(&node)?;
            let slot = &node.part(layer)?.handle;
            let opened = stack
                .handles
                .get(slot, || stack.layer(layer).open_dir(&handle, name));
            handle = opened.map_err(|error| dir.with_path(error))?;
            dir = node;
        }
        Ok(handle)
    }

    fn part(&self, layer: u16) -> Result<&Part> {
        // A layer that has a directory has all its ancestors.
        let part = self.dir()?.parts.iter().find(|part| part.layer == layer);
        part.ok_or_else(|| Errno::Io.into())
    }
}

impl Part {
    /// The directory in `layer`, without metadata.
    pub(super) fn new(layer: u16) -> Self {
        Self {
            layer,
            device: AtomicU64::new(UNKNOWN),
            handle: Slot::default(),
        }
    }

    /// The directory in `layer`, with its metadata. Caches the handle, if there is one.
    pub(super) fn with_meta(
        layer: u16,
        meta: &Meta,
        handle: Option<DirHandle>,
        stack: &LowerStack,
    ) -> Self {
        let part = Self {
            device: AtomicU64::new(meta.device),
            ..Self::new(layer)
        };
        if let Some(handle) = handle {
            stack.handles.put(&part.handle, Arc::new(handle), 1);
        }
        part
    }
}

impl LowerKind {
    fn dir(parts: Vec<Part>, depth: u32) -> Self {
        let dir = LowerDir {
            parts: parts.into(),
            children: OnceLock::new(),
            depth,
        };
        Self::Dir(Box::new(dir))
    }
}

/// A directory holds its children: a tree is dropped in a loop, however deep it is.
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
