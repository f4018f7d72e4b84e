//! What a guest sees: directories by their guest paths, and the thread that serves them.
//!
//! The names follow wasmtime-wasi: a context, a view of it with the resource table, a trait that
//! gives the view out of the embedder's state, and a marker for `HasData`.

use crate::blocking::Blocking;
use crate::descriptor::Descriptor;
use crate::held_listings::HeldListings;
use std::sync::Arc;
use wasi_overlay_core::{Dir, Limits, Live, OpenHandles, Overlay};
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::FsPerms;

/// The filesystem of a guest: its preopened directories.
///
/// A clone is the same directories, so one context can be made and given to many stores. Each clone is
/// a guest of its own: it may have [`Limits::open_handles`] files and directories open
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
    /// A context whose guest has nothing open but these directories.
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

    /// Begins a context without any directory.
    pub fn builder() -> OverlayCtxBuilder {
        OverlayCtxBuilder::new()
    }

    /// The preopened directories with their guest paths, in the order they were added.
    pub(crate) fn preopens(&self) -> &[(String, Dir)] {
        &self.preopens
    }

    /// What a guest may make the host hold beside its mounts.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The listings that the guest holds.
    pub(crate) fn listings(&self) -> &HeldListings {
        &self.listings
    }

    /// Where calls that may block are to run.
    pub(crate) fn blocking(&self) -> Blocking {
        self.blocking
    }
}

/// Puts an [`OverlayCtx`] together.
///
/// # Guest paths
/// A guest path is what the guest knows a directory by: `/`, `/data`, but also `.` or `ro`, which
/// C libraries take relative to their working directory, as with `wasmtime run --dir`. It is
/// given to the guest as it is written here. An empty one, one that holds NUL, and a second one
/// for the same place (`/data` and `/data/`) are errors: which of the two a guest would
/// find depends on its C library.
#[derive(Default)]
pub struct OverlayCtxBuilder {
    preopens: Vec<(String, Dir)>,
    blocking: Blocking,
    limits: Limits,
}

impl OverlayCtxBuilder {
    /// Begins a context without any directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows the root of `overlay` at `guest_path`.
    ///
    /// The overlay may be shown several times, here and to other guests; all see one tree.
    /// Under [`FsPerms::ReadOnly`] changes fail with `read-only`.
    ///
    /// # Errors
    /// For an unusable [guest path](Self#guest-paths), and for an overlay that was closed.
    pub fn overlay(
        &mut self,
        guest_path: impl Into<String>,
        overlay: &Overlay,
        perms: FsPerms,
    ) -> wasmtime::Result<&mut Self> {
        let guest_path = guest_path.into();
        if overlay.is_closed() {
            wasmtime::bail!(
                "the overlay for guest path {guest_path:?} was closed: build it anew, or close it \
                 after its guests have ended"
            );
        }
        self.preopen(guest_path, || match perms {
            FsPerms::ReadOnly => overlay.read_only_root(),
            FsPerms::ReadWrite => overlay.root(),
        })
    }

    /// Shows a host directory at `guest_path` as it is, which is what
    /// `WasiCtxBuilder::preopened_dir` does: other processes may change it, and there are no
    /// whiteouts in it.
    ///
    /// Under [`FsPerms::ReadOnly`] changes fail with `read-only`.
    ///
    /// # Errors
    /// For an unusable [guest path](Self#guest-paths), and for a writable directory that is the upper
    /// of an overlay, in this process or another.
    pub fn dir(
        &mut self,
        dir: cap_std::fs::Dir,
        guest_path: impl Into<String>,
        perms: FsPerms,
    ) -> wasmtime::Result<&mut Self> {
        let live = match perms {
            FsPerms::ReadOnly => Live::read_only(dir),
            FsPerms::ReadWrite => Live::new(dir),
        };
        live.lock()?;
        let live = live.limits(&self.limits);
        self.preopen(guest_path.into(), || live.root())
    }

    /// Allows calls of an async store to block the thread that they are made on, as
    /// `WasiCtxBuilder::allow_blocking_current_thread` does. Off by default: then each call that
    /// may touch a disk makes one trip to tokio's blocking pool (some 20 µs). A call that is answered
    /// from memory, as most are once a file was looked at, stays on its thread in any case.
    ///
    /// A call in the pool goes on if its guest is [cancelled](crate::close_async#cancelled-guests).
    ///
    /// A synchronous linker blocks its own thread in any case.
    pub fn allow_blocking_current_thread(&mut self, allow: bool) -> &mut Self {
        self.blocking = if allow {
            Blocking::Inline
        } else {
            Blocking::Pool
        };
        self
    }

    /// Bounds on what a guest can make the host hold, beside those of each overlay
    /// ([`OverlayBuilder::limits`](crate::OverlayBuilder::limits)):
    ///
    /// | limit | applies to |
    /// |---|---|
    /// | `open_handles` | each guest of the contexts that are built from here on |
    /// | `listing_bytes` | each of those guests, which may hold listings of half of it; each host directory that is added after this call ([`dir`](Self::dir)), as a whole |
    /// | `half_read_listings`, `half_read_bytes` | each of those guests, in WASI 0.1 |
    ///
    /// No other limit has an effect here, and `open_handles` has none in the limits of an overlay.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    /// Makes the context. The builder can go on and make others.
    pub fn build(&mut self) -> OverlayCtx {
        OverlayCtx::for_guest(&self.preopens, self.blocking, self.limits.clone())
    }

    fn preopen(
        &mut self,
        guest_path: String,
        root: impl FnOnce() -> Dir,
    ) -> wasmtime::Result<&mut Self> {
        if guest_path.is_empty() || guest_path.contains('\0') {
            wasmtime::bail!("guest path {guest_path:?} is no path: use \"/\", \".\" or a name");
        }
        let same = |(other, _): &&(String, Dir)| place(other).eq(place(&guest_path));
        if let Some((other, _)) = self.preopens.iter().find(same) {
            wasmtime::bail!(
                "guest paths {other:?} and {guest_path:?} are one place: give each directory \
                 a path of its own"
            );
        }
        self.preopens.push((guest_path, root()));
        Ok(self)
    }
}

/// A guest path without its spelling: whether it begins at the root, then its components.
fn place(path: &str) -> impl Iterator<Item = &str> {
    let root = path.starts_with('/').then_some("/");
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    root.into_iter().chain(names)
}

/// Access to an [`OverlayCtx`] and the table that holds the guest's descriptors: what the host
/// functions are implemented on.
pub struct OverlayCtxView<'a> {
    /// The guest's directories.
    pub ctx: &'a mut OverlayCtx,
    /// The guest's resources. It has to be the table of the store's other WASI interfaces,
    /// since streams go from one to the other.
    pub table: &'a mut ResourceTable,
}

impl OverlayCtxView<'_> {
    /// `get-directories`.
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

/// Gives the [`OverlayCtx`] out of the embedder's store data, as `WasiView` gives the `WasiCtx`.
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
    /// The context and the table.
    fn overlay(&mut self) -> OverlayCtxView<'_>;
}

/// The marker under which the bindings' own `add_to_linker` functions find an
/// [`OverlayCtxView`], for embedders that do not use [`OverlayView`].
pub struct WasiOverlay;

impl HasData for WasiOverlay {
    type Data<'a> = OverlayCtxView<'a>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        place(a).eq(place(b))
    }

    #[test]
    fn spellings_of_one_place_are_equal() {
        assert!(same("/data", "/data/"));
        assert!(same("/", "//"));
        assert!(same(".", "./"));
        assert!(same("./ro", "ro"));
        assert!(!same("/", "."));
        assert!(!same("/ro", "ro"));
        assert!(!same("/a/b", "/a"));
    }
}
