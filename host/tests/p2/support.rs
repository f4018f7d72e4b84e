//! Test fixtures: the state of a store, and a host directory with a few files.

use cap_std::ambient_authority;
use tempfile::TempDir;
use wasi_overlay::p2::bindings::preopens::Host as _;
use wasi_overlay::{Descriptor, FsPerms, Lower, Overlay, OverlayCtx, OverlayCtxView, OverlayView};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) overlay: OverlayCtx,
}

impl State {
    pub(crate) fn new(overlay: OverlayCtx) -> Self {
        Self {
            table: ResourceTable::new(),
            wasi: WasiCtx::default(),
            overlay,
        }
    }

    /// The descriptors of the preopened directories.
    pub(crate) fn preopens(&mut self) -> Vec<Resource<Descriptor>> {
        let directories = self.overlay().get_directories().unwrap();
        directories.into_iter().map(|(fd, _)| fd).collect()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl OverlayView for State {
    fn overlay(&mut self) -> OverlayCtxView<'_> {
        OverlayCtxView {
            ctx: &mut self.overlay,
            table: &mut self.table,
        }
    }
}

/// A second handle of the same descriptor, as the bindings pass it to a host function.
pub(crate) fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

/// A host directory with `file` ("hello") and `dir/inner` in it.
pub(crate) fn host_dir() -> TempDir {
    let temp = TempDir::new().unwrap();
    std::fs::write(temp.path().join("file"), "hello").unwrap();
    std::fs::create_dir(temp.path().join("dir")).unwrap();
    std::fs::write(temp.path().join("dir/inner"), "inside").unwrap();
    temp
}

pub(crate) fn open(temp: &TempDir) -> cap_std::fs::Dir {
    cap_std::fs::Dir::open_ambient_dir(temp.path(), ambient_authority()).unwrap()
}

/// A context with that directory live at `/`.
pub(crate) fn live(temp: &TempDir, perms: FsPerms, allow_blocking: bool) -> State {
    let mut builder = OverlayCtx::builder();
    builder
        .dir(open(temp), "/", perms)
        .unwrap()
        .allow_blocking_current_thread(allow_blocking);
    State::new(builder.build())
}

/// A context with an overlay at `/`.
pub(crate) fn mounted(overlay: &Overlay, perms: FsPerms, allow_blocking: bool) -> State {
    let mut builder = OverlayCtx::builder();
    builder
        .overlay(overlay, "/", perms)
        .unwrap()
        .allow_blocking_current_thread(allow_blocking);
    State::new(builder.build())
}

/// An overlay on that directory, with a memory upper.
pub(crate) fn overlay_on(temp: &TempDir) -> Overlay {
    Overlay::builder()
        .lower(Lower::dir("lower", open(temp)).unwrap())
        .upper_memory(1 << 20)
        .build()
        .unwrap()
}

/// Two contexts with that directory at `/`, one live and one with an overlay on it: tests have to pass on
/// both.
pub(crate) fn both(temp: &TempDir, perms: FsPerms, allow_blocking: bool) -> [State; 2] {
    [
        mounted(&overlay_on(temp), perms, allow_blocking),
        live(temp, perms, allow_blocking),
    ]
}
