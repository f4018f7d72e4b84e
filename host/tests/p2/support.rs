//! A store's state, and a directory to look at.

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

/// The same descriptor once more, as the bindings hand it to a host function.
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

/// That directory, live at `/`.
pub(crate) fn live(temp: &TempDir, perms: FsPerms, allow_blocking: bool) -> State {
    let mut builder = OverlayCtx::builder();
    builder
        .dir(open(temp), "/", perms)
        .unwrap()
        .allow_blocking_current_thread(allow_blocking);
    State::new(builder.build())
}

/// An overlay at `/`, changed in memory.
pub(crate) fn mounted(overlay: &Overlay, perms: FsPerms, allow_blocking: bool) -> State {
    let mut builder = OverlayCtx::builder();
    builder
        .overlay("/", overlay, perms)
        .unwrap()
        .allow_blocking_current_thread(allow_blocking);
    State::new(builder.build())
}

/// An overlay on that directory, with an upper in memory.
pub(crate) fn overlay_on(temp: &TempDir) -> Overlay {
    Overlay::builder()
        .lower(Lower::dir("lower", open(temp)).unwrap())
        .upper_memory(1 << 20)
        .build()
        .unwrap()
}

/// That directory at `/`, live and below an overlay: what holds for one has to hold for both.
pub(crate) fn both(temp: &TempDir, perms: FsPerms, allow_blocking: bool) -> [State; 2] {
    [
        mounted(&overlay_on(temp), perms, allow_blocking),
        live(temp, perms, allow_blocking),
    ]
}
