//! The context of a guest: its preopened directories, its limits, and where its calls may block.
//!
//! The names follow wasmtime-wasi: a context, a view of it with the resource table, a trait that
//! returns the view from the embedder's state, and a marker for `HasData`.

use crate::blocking::Blocking;
use crate::descriptor::Descriptor;
use crate::held_listings::HeldListings;
use std::fmt;
use std::sync::Arc;
use wasi_overlay_core::{Dir, Error, Limits, Live, OpenHandles, Overlay};
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::FsPerms;

/// The filesystem of a guest: its preopened directories.
///
/// A clone refers to the same directories, so one context can serve many stores. Each clone counts as a
/// guest of its own, with up to [`Limits::open_handles`] open files and directories
/// ([`OverlayCtxBuilder::limits`]).
#[derive(Default)]
pub struct OverlayCtx {
    preopens: Arc<[(String, Dir)]>,
    blocking: Blocking,
    limits: Limits,
    listings: HeldListings,
}

impl Clone for OverlayCtx {
    fn clone(&self) -> Self {
        Self::for_guest(&self.preopens, self.blocking, self.limits.clone())
    }
}

impl OverlayCtx {
    /// A context for a new guest, which has nothing open but these directories.
    fn for_guest(preopens: &[(String, Dir)], blocking: Blocking, limits: Limits) -> Self {
        let guest = OpenHandles::new(&limits);
        let preopens = preopens.iter();
        Self {
            preopens: preopens
                .map(|(path, dir)| (path.clone(), dir.counted(&guest)))
                .collect(),
            blocking,
            listings: HeldListings::new(&limits),
            limits,
        }
    }

    /// Starts building a context, without any directory.
    pub fn builder() -> OverlayCtxBuilder {
        OverlayCtxBuilder::new()
    }

    /// The preopened directories with their guest paths, in the order in which they were added.
    pub(crate) fn preopens(&self) -> &[(String, Dir)] {
        &self.preopens
    }

    /// The bounds on what the guest can make the host hold, apart from those of its mounts.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The directory listings that the guest holds.
    pub(crate) fn listings(&self) -> &HeldListings {
        &self.listings
    }

    /// Where to run calls that may block.
    pub(crate) fn blocking(&self) -> Blocking {
        self.blocking
    }
}

/// Builds an [`OverlayCtx`].
///
/// ```
/// use wasi_overlay::{FsPerms, Overlay, OverlayCtx, cap_std};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let temp = tempfile::tempdir()?;
/// # let data = temp.path();
/// let overlay = Overlay::builder().upper_memory(64 << 20).build()?;
/// let data = cap_std::fs::Dir::open_ambient_dir(data, cap_std::ambient_authority())?;
/// let files = OverlayCtx::builder()
///     .overlay(&overlay, "/", FsPerms::ReadWrite)?
///     .dir(data, "/data", FsPerms::ReadOnly)?
///     .build();
/// # drop(files);
/// # Ok(())
/// # }
/// ```
///
/// # Guest paths
/// A guest path is the name that the guest has for a directory: `/` or `/data`, but also `.` or `ro`,
/// which C libraries resolve against their working directory, as with `wasmtime run --dir`. The guest
/// gets it exactly as written. A path that is empty or contains NUL is an error, and so is a second path
/// with the same meaning (`/data` and `/data/`), because it would depend on the guest's C library which
/// of the two directories it finds.
#[derive(Default)]
pub struct OverlayCtxBuilder {
    preopens: Vec<(String, Dir)>,
    blocking: Blocking,
    limits: Limits,
}

impl OverlayCtxBuilder {
    /// Starts building a context, without any directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Preopens the root of `overlay` at `guest_path`.
    ///
    /// An overlay may be preopened several times, in this context and in others; all guests see one tree.
    /// With [`FsPerms::ReadOnly`], changes fail with `read-only`.
    ///
    /// # Errors
    /// If the [guest path](Self#guest-paths) is invalid, or the overlay is closed.
    pub fn overlay(
        &mut self,
        overlay: &Overlay,
        guest_path: impl Into<String>,
        perms: FsPerms,
    ) -> Result<&mut Self, OverlayCtxError> {
        let guest_path = guest_path.into();
        if overlay.is_closed() {
            return Err(OverlayCtxError::ClosedOverlay { guest_path });
        }
        self.preopen(guest_path, || match perms {
            FsPerms::ReadOnly => overlay.read_only_root(),
            FsPerms::ReadWrite => overlay.root(),
        })
    }

    /// Preopens a plain host directory at `guest_path`, like `WasiCtxBuilder::preopened_dir`: other
    /// processes may change it, and names of whiteouts have no meaning in it.
    ///
    /// With [`FsPerms::ReadOnly`], changes fail with `read-only`.
    ///
    /// # Errors
    /// If the [guest path](Self#guest-paths) is invalid, or if `dir` is writable and is the upper of an
    /// overlay in this process or another.
    pub fn dir(
        &mut self,
        dir: cap_std::fs::Dir,
        guest_path: impl Into<String>,
        perms: FsPerms,
    ) -> Result<&mut Self, OverlayCtxError> {
        let live = match perms {
            FsPerms::ReadOnly => Live::read_only(dir),
            FsPerms::ReadWrite => Live::new(dir),
        };
        live.lock().map_err(OverlayCtxError::Dir)?;
        let live = live.limits(&self.limits);
        self.preopen(guest_path.into(), || live.root())
    }

    /// Allows the calls of an asynchronous store to block the current thread, like
    /// `WasiCtxBuilder::allow_blocking_current_thread`. Off by default: then each call that has to wait
    /// for a disk makes one trip to tokio's blocking pool (some 20 µs). Calls that are answered from
    /// memory, as most are after the first access to a file, always stay on the current thread.
    ///
    /// A call in the pool continues if its guest is [cancelled](crate::close_async#cancelled-guests).
    ///
    /// The calls of a synchronous store always block the current thread.
    pub fn allow_blocking_current_thread(&mut self, allow: bool) -> &mut Self {
        self.blocking = if allow {
            Blocking::Inline
        } else {
            Blocking::Pool
        };
        self
    }

    /// Sets the bounds on what a guest can make the host hold, in addition to those of each overlay
    /// ([`OverlayBuilder::limits`](crate::OverlayBuilder::limits)):
    ///
    /// | limit | applies to |
    /// |---|---|
    /// | `open_handles` | each guest of the contexts that are built after this call |
    /// | `listing_bytes` | each of those guests, which may hold listings of half that size in total; each host directory that is added after this call ([`dir`](Self::dir)), for all its guests together |
    /// | `half_read_listings`, `half_read_bytes` | each of those guests, in WASI 0.1 |
    ///
    /// Other limits have no effect here, and `open_handles` has no effect in the limits of an overlay.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    /// Builds the context. The builder can be used again to build others.
    pub fn build(&mut self) -> OverlayCtx {
        OverlayCtx::for_guest(&self.preopens, self.blocking, self.limits.clone())
    }

    fn preopen(
        &mut self,
        guest_path: String,
        root: impl FnOnce() -> Dir,
    ) -> Result<&mut Self, OverlayCtxError> {
        if guest_path.is_empty() || guest_path.contains('\0') {
            return Err(OverlayCtxError::InvalidGuestPath { guest_path });
        }
        let same = |(other, _): &&(String, Dir)| is_same_path(other, &guest_path);
        if let Some((other, _)) = self.preopens.iter().find(same) {
            let other = other.clone();
            return Err(OverlayCtxError::DuplicateGuestPath { guest_path, other });
        }
        self.preopens.push((guest_path, root()));
        Ok(self)
    }
}

/// Why a context cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum OverlayCtxError {
    /// The guest path is empty or contains NUL.
    InvalidGuestPath {
        /// The guest path.
        guest_path: String,
    },
    /// Two directories have guest paths with the same meaning.
    DuplicateGuestPath {
        /// The guest path that was refused.
        guest_path: String,
        /// The guest path of the directory that was added before.
        other: String,
    },
    /// The overlay is closed.
    ClosedOverlay {
        /// The guest path for the overlay.
        guest_path: String,
    },
    /// The host directory cannot be mounted, for example because it is the upper of an overlay (`busy`).
    Dir(Error),
    /// The `WasiCtx` has preopened directories, which the guest would not see.
    WasiPreopens {
        /// The guest path of the first of them.
        guest_path: String,
    },
}

impl fmt::Display for OverlayCtxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidGuestPath { guest_path } => write!(
                f,
                "invalid guest path {guest_path:?}: use \"/\", \".\" or a name without NUL"
            ),
            Self::DuplicateGuestPath { guest_path, other } => write!(
                f,
                "guest paths {other:?} and {guest_path:?} are the same path: give each directory a path \
                 of its own"
            ),
            Self::ClosedOverlay { guest_path } => write!(
                f,
                "the overlay for guest path {guest_path:?} is closed: build a new one, or close it only \
                 after its guests have ended"
            ),
            Self::Dir(error) => error.fmt(f),
            Self::WasiPreopens { guest_path } => write!(
                f,
                "the WASI context has preopened directories (the first is {guest_path:?}), which a guest \
                 of wasi-overlay does not see: preopen them with OverlayCtxBuilder::dir"
            ),
        }
    }
}

impl std::error::Error for OverlayCtxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its message is this error's own.
            Self::Dir(error) => error.source(),
            Self::InvalidGuestPath { .. }
            | Self::DuplicateGuestPath { .. }
            | Self::ClosedOverlay { .. }
            | Self::WasiPreopens { .. } => None,
        }
    }
}

/// Whether two guest paths differ only in their spelling.
fn is_same_path(a: &str, b: &str) -> bool {
    components(a).eq(components(b))
}

/// The normalized components of a guest path: `/` if it is absolute, then the names.
fn components(path: &str) -> impl Iterator<Item = &str> {
    let root = path.starts_with('/').then_some("/");
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    root.into_iter().chain(names)
}

/// An [`OverlayCtx`] and the table with the guest's descriptors. The host functions are implemented on
/// this type.
pub struct OverlayCtxView<'a> {
    /// The guest's directories.
    pub ctx: &'a mut OverlayCtx,
    /// The guest's resources. It has to be the same table that the store's other WASI interfaces use,
    /// because interfaces pass streams to each other.
    pub table: &'a mut ResourceTable,
}

impl OverlayCtxView<'_> {
    /// Implements `get-directories`.
    pub(crate) fn directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let preopens = self.ctx.preopens();
        let mut directories = Vec::with_capacity(preopens.len());
        for (guest_path, dir) in preopens {
            let descriptor = self.table.push(Descriptor::from(dir.clone()))?;
            directories.push((descriptor, guest_path.clone()));
        }
        Ok(directories)
    }
}

/// Returns the [`OverlayCtx`] from the embedder's store data, as `WasiView` returns the `WasiCtx`.
///
/// ```
/// use wasi_overlay::{OverlayCtx, OverlayCtxView, OverlayView};
/// use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
///
/// struct State {
///     table: ResourceTable,
///     wasi: WasiCtx,
///     overlay: OverlayCtx,
/// }
///
/// impl WasiView for State {
///     fn ctx(&mut self) -> WasiCtxView<'_> {
///         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
///     }
/// }
///
/// impl OverlayView for State {
///     fn overlay(&mut self) -> OverlayCtxView<'_> {
///         OverlayCtxView { ctx: &mut self.overlay, table: &mut self.table }
///     }
/// }
/// ```
pub trait OverlayView: Send {
    /// Returns the context and the table.
    fn overlay(&mut self) -> OverlayCtxView<'_>;
}

/// The `HasData` marker for [`OverlayCtxView`], for embedders that call the `add_to_linker` functions of
/// the bindings instead of implementing [`OverlayView`].
pub struct WasiOverlay;

impl HasData for WasiOverlay {
    type Data<'a> = OverlayCtxView<'a>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_guest_path_are_equal() {
        assert!(is_same_path("/data", "/data/"));
        assert!(is_same_path("/", "//"));
        assert!(is_same_path(".", "./"));
        assert!(is_same_path("./ro", "ro"));
        assert!(!is_same_path("/", "."));
        assert!(!is_same_path("/ro", "ro"));
        assert!(!is_same_path("/a/b", "/a"));
    }
}
