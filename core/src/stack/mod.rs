//! The lower stack: read-only layers merged into one tree, shared by every overlay on it.
//!
//! A stack is immutable while it is mounted, so lookups are cached: merged nodes, metadata, names that do
//! not exist, directory handles. Nodes are filled on first use and read without a lock. What a guest can
//! make the stack cache is bounded by the content of the layers and by [`Limits`]: a directory of up to
//! `table_entries` names becomes one immutable table, which also answers for every name that does not
//! exist; a larger one is asked for single names, and the answers go into a bounded cache. Directories
//! stay as long as the stack, so a walk can borrow them.
//!
//! # Lock order
//! All locks are leaves: those of the caches, and `Shard::dirs` of a directory too large for a table. No layer
//! is called while one is held.

mod attributes;
mod children;
#[cfg(feature = "native")]
mod data;
mod explain;
mod looked_up;
mod merge;
mod node;
mod open;
mod packed_meta;
mod table;

pub(crate) use children::Hidden;
pub(crate) use explain::Hider;
pub(crate) use merge::{Merge, Record, UPPER};
pub(crate) use node::LowerNode;
pub(crate) use open::OpenLower;
pub(crate) use table::Table;

use crate::cache::ClockCache;
use crate::error::{Errno, Error, Result};
use crate::hash::RandomState;
use crate::layer::Layer;
use crate::layer::erased::{AnyLayer, DirHandle, Erased};
use crate::limits::{Limits, MAX_LAYERS};
use crate::place::mounting::{LowerInUse, use_lower};
#[cfg(feature = "dir")]
use crate::plain::{HostDir, Plain};
use std::fmt;
use std::sync::Arc;

/// One read-only layer of a stack. A clone is the same layer.
#[derive(Clone)]
pub struct Lower {
    layer: Arc<dyn AnyLayer>,
}

impl Lower {
    /// Wraps any layer. `label` names it in messages to the embedder, for example its path on the host.
    pub fn new(label: impl Into<String>, layer: impl Layer) -> Self {
        Self {
            layer: Arc::new(Erased::new(label.into(), layer)),
        }
    }

    /// A directory of the host, with whiteouts in OCI form or in the kernel's. Filesystems that are mounted
    /// inside it are not part of the layer: see [`host_dir`](Self::host_dir).
    ///
    /// # Errors
    /// Any error of reading the directory or its opaque mark; `no-entry` if it was removed.
    #[cfg(feature = "dir")]
    pub fn dir(label: impl Into<String>, dir: cap_std::fs::Dir) -> Result<Self> {
        Self::host_dir(HostDir::new(dir, label))
    }

    /// As [`dir`](Self::dir), for the directory at `path`, which also names it in messages.
    ///
    /// # Errors
    /// As [`dir`](Self::dir); `no-entry` if there is no such directory.
    #[cfg(feature = "dir")]
    pub fn path(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let (label, dir) = crate::plain::dir::open_path(path.as_ref())?;
        Self::dir(label, dir)
    }

    /// An archive, of which the layer is served without unpacking it: see [`TarLayer`](crate::tar::TarLayer).
    /// It must not be compressed. Reads all headers, with the default [`Limits`].
    ///
    /// # Errors
    /// `invalid` if it is not a tar, or holds what a layer cannot have: see
    /// [`Scanner::push`](crate::tar::Scanner::push).
    #[cfg(feature = "tar")]
    pub fn tar(label: impl Into<String>, archive: impl crate::tar::Source) -> Result<Self> {
        let label = label.into();
        match crate::tar::TarLayer::scan(archive, &Limits::default()) {
            Ok(layer) => Ok(Self::new(label, layer)),
            Err(error) => Err(error.in_layer(|| label)),
        }
    }

    /// As [`dir`](Self::dir), for a directory with settings, such as
    /// [`HostDir::cross_mounts`](crate::plain::HostDir::cross_mounts).
    ///
    /// # Errors
    /// As [`dir`](Self::dir).
    #[cfg(feature = "dir")]
    pub fn host_dir(dir: HostDir) -> Result<Self> {
        let lower = Self::new(dir.label(), crate::whiteouts::Marked::lower(dir));
        lower.layer.is_opaque(&lower.layer.root()?)?;
        lower.layer.place()?;
        Ok(lower)
    }
}

impl fmt::Debug for Lower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lower").field(&self.layer.label()).finish()
    }
}

/// Read-only layers, merged. Any number of overlays can share one.
///
/// ```
/// use std::sync::Arc;
/// use wasi_overlay_core::{Limits, Lower, LowerStack, Overlay, layer::MemoryLayer};
/// # fn main() -> wasi_overlay_core::Result<()> {
/// let base = MemoryLayer::build().file("data", b"shared").finish()?;
/// let stack = LowerStack::new([Lower::new("base", base)], &Limits::default())?;
/// let overlay = || Overlay::builder().stack(Arc::clone(&stack)).upper_memory(1 << 20).build();
/// let (one, other) = (overlay()?, overlay()?);
/// one.root().write("data", b"changed")?;
/// assert_eq!(other.root().read("data", 64)?, b"shared");
/// # Ok(())
/// # }
/// ```
///
/// Changing a layer while it is part of a stack gives undefined results (never undefined
/// behaviour, and never a way out of the layer), as in Linux.
pub struct LowerStack {
    /// The bottom layer first.
    layers: Vec<Arc<dyn AnyLayer>>,
    root: Option<Arc<LowerNode>>,
    handles: ClockCache,
    #[cfg(feature = "native")]
    data: data::DataCache,
    table_entries: usize,
    /// The maximum number of directories above a directory.
    depth: usize,
    /// Hashes the names in tables.
    hasher: RandomState,
    /// Prevents mounts of uppers that share storage with the layers, as long as the layers can be read.
    _in_use: Vec<LowerInUse>,
}

impl LowerStack {
    /// Merges `layers`, the bottom layer first, like the lines of a Dockerfile. No layers give an empty
    /// tree.
    ///
    /// # Errors
    /// `invalid` for more than [`MAX_LAYERS`]; `not-directory` if a layer's root is not a directory; `busy`
    /// if a layer shares storage with the upper of an overlay; any error returned by a layer.
    pub fn new(layers: impl IntoIterator<Item = Lower>, limits: &Limits) -> Result<Arc<Self>> {
        let layers: Vec<_> = layers.into_iter().map(|lower| lower.layer).collect();
        if layers.len() > MAX_LAYERS {
            let message = format_args!(
                "{} layers are more than an overlay can have ({MAX_LAYERS}): merge some of them",
                layers.len()
            );
            return Err(Error::new(Errno::Invalid, message));
        }
        let in_use = layers.iter().map(|layer| use_lower(&**layer));
        let in_use = in_use.collect::<Result<_>>()?;
        let handles =
            ClockCache::of_handles(limits.kept_handles, layers.iter().map(|layer| &**layer));
        let mut stack = Self {
            layers,
            root: None,
            handles,
            #[cfg(feature = "native")]
            data: data::DataCache::new(limits.kept_data),
            table_entries: limits.table_entries,
            depth: limits.depth,
            hasher: RandomState::default(),
            _in_use: in_use,
        };
        stack.root = LowerNode::root(&stack)?;
        Ok(Arc::new(stack))
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The merged root. None for an empty stack.
    pub(crate) fn root(&self) -> Option<&Arc<LowerNode>> {
        self.root.as_ref()
    }

    /// Whether an open file may hold a descriptor of the process.
    #[cfg(feature = "dir")]
    pub(crate) fn holds_descriptors(&self) -> bool {
        self.handles.holds_descriptors()
    }

    fn layer(&self, index: u16) -> &dyn AnyLayer {
        &*self.layers[usize::from(index)]
    }

    fn root_handle(&self, index: u16) -> Result<DirHandle> {
        self.layer(index).root()
    }
}

impl fmt::Debug for LowerStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.layers.iter().map(|layer| layer.label()))
            .finish()
    }
}
