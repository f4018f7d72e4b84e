//! The filesystems that a guest is run on. All show the same tree.

use crate::deviations::Place;
use crate::layers::{Layers, Spread};
use crate::program::Files;
use crate::scan::{self, Tree};
use anyhow::{Context as _, Result};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tempfile::TempDir;
use wasi_overlay::{FsPerms, Overlay, OverlayCtx};

/// A filesystem of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// A plain directory, as it is.
    Live,
    /// The whole tree in one lower layer, a directory for an upper.
    OneLower,
    /// Three lower layers, a directory for an upper.
    Spread,
    /// The same, in an asynchronous store that lends its thread.
    SpreadAsyncInline,
    /// The same, in an asynchronous store that hops to another thread for each call.
    SpreadAsyncPool,
    /// Three lower layers, an upper in memory.
    SpreadMemory,
    /// Two lower layers, and an upper that is not new.
    UpperWithPart,
    /// No lower layer: an overlay on nothing.
    UpperAlone,
    /// Three lower layers and no upper.
    NoUpper,
    /// An upper that the guest may not use.
    ReadOnlyMount,
    /// A plain directory that the guest may not change.
    ReadOnlyLive,
}

/// Where every guest has to do what it does on a plain directory.
pub(crate) const WRITABLE: [Stack; 8] = [
    Stack::Live,
    Stack::OneLower,
    Stack::Spread,
    Stack::SpreadAsyncInline,
    Stack::SpreadAsyncPool,
    Stack::SpreadMemory,
    Stack::UpperWithPart,
    Stack::UpperAlone,
];

/// Where guests that only read have to.
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

impl Place for Stack {
    fn is_one_of(self, name: &str) -> bool {
        match name {
            "All" => true,
            "Overlays" => !matches!(self, Self::Live | Self::ReadOnlyLive),
            // Where the names of long/ are in lower layers.
            "Lowers" => !matches!(self, Self::Live | Self::ReadOnlyLive | Self::UpperAlone),
            "DirectoryUppers" => self.is_one_of("Overlays") && self != Self::SpreadMemory,
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
    /// How the tree lies in layers; none if it lies in a plain directory.
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
            | Self::NoUpper
            | Self::ReadOnlyMount => Some(Spread::Three),
        }
    }

    /// Makes the filesystem.
    pub(crate) fn mount(self, layers: &Layers) -> Result<Mounted<'_>> {
        let builder = match self.spread() {
            None => None,
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
            (Some(builder), Self::SpreadMemory) => Some(builder.upper_memory(1 << 30).build()?),
            // What a crash leaves is for other tests; here nobody waits for the disk.
            (Some(builder), _) => Some(builder.upper_dir("upper", dir()?).volatile(true).build()?),
        };
        let perms = match self {
            Self::ReadOnlyLive | Self::ReadOnlyMount => FsPerms::ReadOnly,
            _ => FsPerms::ReadWrite,
        };
        let mut ctx = OverlayCtx::builder();
        match &overlay {
            Some(overlay) => ctx.overlay("/", overlay, perms)?,
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
    /// The filesystem, for a program to run on.
    pub(crate) fn files(&self) -> Files<'_> {
        match self.stack {
            Stack::SpreadAsyncInline | Stack::SpreadAsyncPool => Files::OursAsync(&self.ctx),
            _ => Files::Ours(&self.ctx),
        }
    }

    /// Ends the mount and gives the tree that is on disk: as others would merge it, without a line
    /// of our code. None if the upper was in memory.
    pub(crate) fn end(self) -> Result<Option<Tree>> {
        drop(self.ctx);
        if let Some(overlay) = self.overlay {
            overlay.close().context("the overlay cannot be closed")?;
        }
        match self.stack.spread() {
            None => Ok(Some(scan::scan(self.folder.path())?)),
            Some(how) if self.stack == Stack::SpreadMemory => {
                self.layers.check_unchanged(how)?;
                Ok(None)
            }
            Some(how) => Ok(Some(self.layers.left(how, self.folder.path())?)),
        }
    }
}
