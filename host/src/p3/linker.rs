//! The `add_to_linker` functions: the filesystem alone, or all of WASI 0.3.

use super::bindings::{preopens, types};
use crate::{OverlayView, WasiOverlay};
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p3::{cli, clocks, random, sockets};

/// Links `wasi:filesystem`, and nothing else.
///
/// The embedder has to link the rest of WASI with functions that leave the filesystem out. Most
/// embedders want [`add_all_to_linker`] instead.
///
/// # Errors
/// If the linker already defines `wasi:filesystem@0.3.0`.
pub fn add_to_linker<T: OverlayView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    preopens::add_to_linker::<T, WasiOverlay>(linker, T::overlay)?;
    types::add_to_linker::<T, WasiOverlay>(linker, T::overlay)
}

/// Links all of WASI 0.3: the interfaces of `wasmtime_wasi::p3::add_to_linker`, with this filesystem in
/// place of wasmtime-wasi's.
///
/// The guest does not see directories that are preopened in the `WasiCtx`: preopen them in the
/// [`OverlayCtx`](crate::OverlayCtx).
///
/// # Errors
/// If the linker already defines one of the interfaces.
pub fn add_all_to_linker<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: WasiView + OverlayView + 'static,
{
    cli::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    random::add_to_linker(linker)?;
    sockets::add_to_linker(linker)?;
    add_to_linker(linker)
}
