//! The filesystems that a guest is run on. All show the same tree.

use super::fixture;
use crate::program::Files;
use crate::scan::{self, Node, Tree};
use anyhow::{Context as _, Result, ensure};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use wasi_overlay::{FsPerms, Limits, Lower, LowerStack, Overlay, OverlayCtx};

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

/// The lower layers, written once: no guest can change them, which each run checks.
struct Lowers {
    folder: TempDir,
    trees: Vec<Tree>,
}

impl Lowers {
    fn new(trees: impl IntoIterator<Item = Tree>) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let trees: Vec<_> = trees.into_iter().collect();
        for (index, tree) in trees.iter().enumerate() {
            fixture::write(tree, &folder.path().join(index.to_string()))
                .expect("a layer can be written");
        }
        Self { folder, trees }
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.path().join(index.to_string())
    }

    /// The layers, opened anew.
    fn open(&self, count: usize) -> Result<Vec<Lower>> {
        (0..count)
            .map(|index| {
                let dir = Dir::open_ambient_dir(self.path(index), ambient_authority())?;
                Ok(Lower::dir(format!("lower {index}"), dir)?)
            })
            .collect()
    }

    fn check_unchanged(&self) -> Result<()> {
        for (index, tree) in self.trees.iter().enumerate() {
            if let Some(difference) = scan::difference(tree, &scan::scan(&self.path(index))?) {
                anyhow::bail!("lower {index} was changed:\n{difference}");
            }
        }
        Ok(())
    }
}

static WHOLE: LazyLock<Lowers> = LazyLock::new(|| Lowers::new([fixture::tree()]));
static SPREAD: LazyLock<Lowers> = LazyLock::new(|| Lowers::new(fixture::spread()));

/// One stack for all the overlays on it, which run at the same time.
static SHARED: LazyLock<Arc<LowerStack>> = LazyLock::new(|| {
    let lowers = SPREAD.open(3).expect("the layers can be opened");
    LowerStack::new(lowers, &Limits::default()).expect("they make a stack")
});

/// A mounted filesystem.
pub(crate) struct Mounted {
    stack: Stack,
    ctx: OverlayCtx,
    overlay: Option<Overlay>,
    /// The plain directory, or the upper.
    folder: TempDir,
}

impl Stack {
    /// Whether a name is that of this stack, or of a group that it is in.
    pub(crate) fn is_one_of(self, name: &str) -> bool {
        match name {
            "All" => true,
            "Overlays" => !matches!(self, Self::Live | Self::ReadOnlyLive),
            // Where the names of long/ are in lower layers.
            "Lowers" => !matches!(self, Self::Live | Self::ReadOnlyLive | Self::UpperAlone),
            "DirectoryUppers" => self.is_one_of("Overlays") && self != Self::SpreadMemory,
            _ => name == format!("{self:?}"),
        }
    }

    /// Whether there is such a stack or group.
    pub(crate) fn is_name(name: &str) -> bool {
        let mut all = WRITABLE.into_iter().chain(READ_ONLY);
        all.any(|stack| stack.is_one_of(name))
    }

    /// How many of the layers of [`SPREAD`], or of [`WHOLE`], are below the upper.
    fn lowers(self) -> &'static [Tree] {
        match self {
            Self::Live | Self::ReadOnlyLive | Self::UpperAlone => &[],
            Self::OneLower => &WHOLE.trees,
            Self::UpperWithPart => &SPREAD.trees[..2],
            Self::Spread
            | Self::SpreadAsyncInline
            | Self::SpreadAsyncPool
            | Self::SpreadMemory
            | Self::NoUpper
            | Self::ReadOnlyMount => &SPREAD.trees,
        }
    }

    /// Makes the filesystem.
    pub(crate) fn mount(self) -> Result<Mounted> {
        let folder = TempDir::new()?;
        let builder = Overlay::builder();
        let builder = match self {
            Self::Live | Self::ReadOnlyLive => {
                fixture::write(&fixture::tree(), folder.path())?;
                None
            }
            Self::OneLower => Some(
                WHOLE
                    .open(1)?
                    .into_iter()
                    .fold(builder, |builder, lower| builder.lower(lower)),
            ),
            Self::UpperWithPart => {
                fixture::write(&SPREAD.trees[2], folder.path())?;
                Some(
                    SPREAD
                        .open(2)?
                        .into_iter()
                        .fold(builder, |builder, lower| builder.lower(lower)),
                )
            }
            Self::UpperAlone => {
                fixture::write(&fixture::tree(), folder.path())?;
                Some(builder)
            }
            Self::Spread
            | Self::SpreadAsyncInline
            | Self::SpreadAsyncPool
            | Self::SpreadMemory
            | Self::NoUpper
            | Self::ReadOnlyMount => Some(builder.stack(SHARED.clone())),
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
            ctx: ctx.build(),
            overlay,
            folder,
        })
    }
}

impl Mounted {
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
        match self.stack {
            Stack::OneLower => WHOLE.check_unchanged()?,
            Stack::Live | Stack::ReadOnlyLive | Stack::UpperAlone => {}
            _ => SPREAD.check_unchanged()?,
        }
        if self.stack == Stack::SpreadMemory {
            return Ok(None);
        }
        let on_disk = scan::scan(self.folder.path())?;
        if matches!(self.stack, Stack::Live | Stack::ReadOnlyLive) {
            return Ok(Some(on_disk));
        }
        check_steady(&on_disk)?;
        Ok(Some(scan::merge(
            self.stack.lowers().iter().chain([&on_disk]),
        )))
    }
}

/// Checks that an upper at rest has only marks that every reader of OCI layers takes alike.
fn check_steady(upper: &Tree) -> Result<()> {
    for (path, node) in upper {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(hidden) = name.strip_prefix(".wh.") else {
            continue;
        };
        ensure!(*node == Node::File(Vec::new()), "{path} is no empty file");
        if hidden == ".wh..opq" {
            continue;
        }
        ensure!(
            !hidden.is_empty() && !hidden.starts_with(".wh."),
            "{path} is left over"
        );
        let sibling = if dir.is_empty() {
            hidden.to_owned()
        } else {
            format!("{dir}/{hidden}")
        };
        ensure!(
            !upper.contains_key(&sibling),
            "both {path} and {sibling} are there"
        );
    }
    Ok(())
}

/// Writes the tree into a plain directory, for wasmtime-wasi.
pub(crate) fn plain() -> Result<TempDir> {
    let folder = TempDir::new()?;
    fixture::write(&fixture::tree(), folder.path())?;
    Ok(folder)
}
