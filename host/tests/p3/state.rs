//! Test fixture: a store with an overlay, and the descriptor of its root.

use wasi_overlay::p3::bindings::preopens::Host as _;
use wasi_overlay::{Descriptor, FsPerms, Overlay, OverlayCtx, OverlayCtxView, OverlayView};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime::{Engine, Store};

pub(crate) struct State {
    table: ResourceTable,
    overlay: OverlayCtx,
}

impl OverlayView for State {
    fn overlay(&mut self) -> OverlayCtxView<'_> {
        OverlayCtxView {
            ctx: &mut self.overlay,
            table: &mut self.table,
        }
    }
}

/// Makes a store with the overlay at `/`, and the descriptor of its root.
pub(crate) fn store(
    overlay: &Overlay,
    allow_blocking: bool,
) -> (Store<State>, Resource<Descriptor>) {
    let mut builder = OverlayCtx::builder();
    builder
        .overlay(overlay, "/", FsPerms::ReadOnly)
        .unwrap()
        .allow_blocking_current_thread(allow_blocking);
    let state = State {
        table: ResourceTable::new(),
        overlay: builder.build(),
    };
    let mut store = Store::new(&Engine::default(), state);
    let mut directories = store.data_mut().overlay().get_directories().unwrap();
    let (root, _) = directories.remove(0);
    (store, root)
}
