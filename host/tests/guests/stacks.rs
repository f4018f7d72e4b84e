//! The filesystems on which guests run. All of them have the same tree.

use crate::deviations::TestStack;
use crate::layers::{Layers, Spread};
use crate::program::Files;
use crate::scan::{self, Tree};
use anyhow::{Context as _, Result};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tempfile::TempDir;
use wasi_overlay::{FsPerms, Overlay, OverlayCtx};

/// A filesystem of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// A live plain directory.
    Live,
    /// One lower layer with the whole tree, and a directory as the upper.
    OneLower,
    /// Three lower layers, and a directory as the upper.
    Spread,
    /// The same, in an asynchronous store whose calls may block its thread.
    SpreadAsyncInline,
    /// The same, in an asynchronous store whose calls go to the blocking pool.
    SpreadAsyncPool,
    /// Three lower layers, and a memory upper.
    SpreadMemory,
    /// The same, with the layers in archives that GNU tar wrote.
    Archives,
    /// Two lower layers, and an upper with a part of the tree.
    UpperWithPart,
    /// No lower layer: the upper has the whole tree.
    UpperAlone,
    /// Three lower layers and no upper.
    NoUpper,
    /// A read-only mount of an overlay with an upper.
    ReadOnlyMount,
    /// A read-only mount of a live plain directory.
    ReadOnlyLive,
}

/// The stacks on which every guest has to behave as on a plain directory.
pub(crate) const WRITABLE: [Stack; 9] = [
    Stack::Live,
    Stack::OneLower,
    Stack::Spread,
    Stack::SpreadAsyncInline,
    Stack::SpreadAsyncPool,
    Stack::SpreadMemory,
    Stack::Archives,
    Stack::UpperWithPart,
    Stack::UpperAlone,
];

/// The stacks on which guests that only read have to behave as on a plain directory.
pub(crate) const READ_ONLY: [Stack; 3] =
    [Stack::NoUpper, Stack::ReadOnlyMount, Stack::ReadOnlyLive];

/// A mounted filesystem.
pub(crate) struct Mounted<'a> {
    stack: Stack,
    layers: &'a Layers,
    ctx: OverlayCtx,
    overlay: Option<Overlay>,
    /// The plain directory, or the upper.
    folder: TempDir,
}

impl TestStack for Stack {
    fn is_one_of(self, name: &str) -> bool {
        match name {
            "All" => true,
            "Overlays" => !matches!(self, Self::Live | Self::ReadOnlyLive),
            // The stacks with the names of `long/` in lower layers.
            "Lowers" => !matches!(self, Self::Live | Self::ReadOnlyLive | Self::UpperAlone),
            "DirectoryUppers" => self.is_one_of("Overlays") && !self.is_in_memory(),
            _ => name == format!("{self:?}"),
        }
    }
}

/// Whether there is such a stack or group.
pub(crate) fn is_name(name: &str) -> bool {
    let mut all = WRITABLE.into_iter().chain(READ_ONLY);
    all.any(|stack| stack.is_one_of(name))
}

impl Stack {
    /// How the tree is spread over layers; `None` if it is in a plain directory.
    fn spread(self) -> Option<Spread> {
        match self {
            Self::Live | Self::ReadOnlyLive => None,
            Self::OneLower => Some(Spread::OneLower),
            Self::UpperWithPart => Some(Spread::UpperWithPart),
            Self::UpperAlone => Some(Spread::UpperAlone),
            Self::Spread
            | Self::SpreadAsyncInline
            | Self::SpreadAsyncPool
            | Self::SpreadMemory
            | Self::Archives
            | Self::NoUpper
            | Self::ReadOnlyMount => Some(Spread::Three),
        }
    }

    /// Whether the upper is in memory.
    fn is_in_memory(self) -> bool {
        matches!(self, Self::SpreadMemory | Self::Archives)
    }

    /// Mounts the filesystem.
    pub(crate) fn mount(self, layers: &Layers) -> Result<Mounted<'_>> {
        let builder = match self.spread() {
            None => None,
            Some(_) if self == Self::Archives => Some(
                layers
                    .archives()
                    .iter()
                    .cloned()
                    .fold(Overlay::builder(), |builder, lower| builder.lower(lower)),
            ),
            Some(Spread::Three) => Some(Overlay::builder().stack(layers.shared())),
            Some(how) => Some(
                layers
                    .open(how)?
                    .into_iter()
                    .fold(Overlay::builder(), |builder, lower| builder.lower(lower)),
            ),
        };
        let folder = match self.spread() {
            None => layers.plain()?,
            Some(how) => layers.upper(how)?,
        };
        let dir = || Dir::open_ambient_dir(folder.path(), ambient_authority());
        let overlay = match (builder, self) {
            (None, _) => None,
            (Some(builder), Self::NoUpper) => Some(builder.build()?),
            (Some(builder), stack) if stack.is_in_memory() => {
                Some(builder.upper_memory(1 << 30).build()?)
            }
            // Crash safety is for other tests; here nothing has to reach the disk.
            (Some(builder), _) => Some(builder.upper_dir("upper", dir()?).volatile(true).build()?),
        };
        let perms = match self {
            Self::ReadOnlyLive | Self::ReadOnlyMount => FsPerms::ReadOnly,
            _ => FsPerms::ReadWrite,
        };
        let mut ctx = OverlayCtx::builder();
        match &overlay {
            Some(overlay) => ctx.overlay(overlay, "/", perms)?,
            None => ctx.dir(dir()?, "/", perms)?,
        };
        ctx.allow_blocking_current_thread(self != Self::SpreadAsyncPool);
        Ok(Mounted {
            stack: self,
            layers,
            ctx: ctx.build(),
            overlay,
            folder,
        })
    }
}

impl Mounted<'_> {
    /// The filesystem, for running a program on it.
    pub(crate) fn files(&self) -> Files<'_> {
        match self.stack {
            Stack::SpreadAsyncInline | Stack::SpreadAsyncPool => Files::OursAsync(&self.ctx),
            _ => Files::Ours(&self.ctx),
        }
    }

    /// Unmounts, and returns the tree on disk, as other tools would merge it and without the engine. Returns
    /// `None` for a memory upper.
    pub(crate) fn end(self) -> Result<Option<Tree>> {
        drop(self.ctx);
        if let Some(overlay) = self.overlay {
            overlay.close().context("the overlay cannot be closed")?;
        }
        match self.stack.spread() {
            None => Ok(Some(scan::scan(self.folder.path())?)),
            Some(how) if self.stack.is_in_memory() => {
                self.layers.check_unchanged(how)?;
                Ok(None)
            }
            Some(how) => Ok(Some(self.layers.check_and_merge(how, self.folder.path())?)),
        }
    }
}
