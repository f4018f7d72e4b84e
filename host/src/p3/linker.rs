//! The `add_to_linker` functions: the filesystem alone, or all of WASI 0.3.

use super::bindings::{preopens, types};
use crate::wasi_preopens::{CheckedPreopens, HasCheckedPreopens};
use crate::{Descriptor, OverlayView, WasiOverlay};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p3::{cli, clocks, random, sockets};

/// Links `wasi:filesystem`, and nothing else.
///
/// 1. Put an [`OverlayCtx`](crate::OverlayCtx) into the data of the store, and implement [`OverlayView`].
/// 2. Link the other interfaces that the guest imports. To take them from wasmtime-wasi, link
///    `wasmtime_wasi::p3::add_to_linker` first, and call `Linker::allow_shadowing(true)`.
/// 3. Call this function once for the linker.
///
/// Most embedders want [`add_to_linker`] instead.
///
/// # Errors
/// If the linker already defines `wasi:filesystem@0.3.0`, and may not shadow it.
pub fn add_only_filesystem_to_linker<T: OverlayView + 'static>(
    linker: &mut Linker<T>,
) -> wasmtime::Result<()> {
    preopens::add_to_linker::<T, WasiOverlay>(linker, T::overlay)?;
    types::add_to_linker::<T, WasiOverlay>(linker, T::overlay)
}

/// Links all of WASI 0.3: the interfaces of `wasmtime_wasi::p3::add_to_linker`, with this filesystem in
/// place of wasmtime-wasi's.
///
/// 1. Put a `ResourceTable`, a `WasiCtx` and an [`OverlayCtx`](crate::OverlayCtx) into the data of the store,
///    and implement `WasiView` and [`OverlayView`].
/// 2. Call this function once for the linker, whose engine needs `Config::wasm_component_model_async`.
/// 3. Instantiate with `instantiate_async`, for example with `wasmtime_wasi::p3::bindings::Command`.
///
/// `get-directories` fails, which ends the guest, if the `WasiCtx` has preopened directories: preopen them in
/// the `OverlayCtx` ([`OverlayCtxBuilder::dir`](crate::OverlayCtxBuilder::dir)).
///
/// # Errors
/// If the linker already defines one of the interfaces.
pub fn add_to_linker<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: WasiView + OverlayView + 'static,
{
    cli::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    random::add_to_linker(linker)?;
    sockets::add_to_linker(linker)?;
    preopens::add_to_linker::<T, HasCheckedPreopens<T>>(linker, |t| CheckedPreopens(t))?;
    types::add_to_linker::<T, WasiOverlay>(linker, T::overlay)
}

impl<T: WasiView + OverlayView> preopens::Host for CheckedPreopens<'_, T> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.directories()
    }
}
