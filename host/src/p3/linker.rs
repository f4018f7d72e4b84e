//! Putting the filesystem into a linker, alone or with the rest of WASI 0.3.

use super::bindings::{preopens, types};
use crate::{OverlayView, WasiOverlay};
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p3::{cli, clocks, random, sockets};

/// Links `wasi:filesystem`, and nothing else.
///
/// The rest of WASI has to come from functions that leave the filesystem out; most embedders
/// want [`add_all_to_linker`].
///
/// # Errors
/// If the linker has a `wasi:filesystem@0.3.0` already.
pub fn add_to_linker<T: OverlayView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    preopens::add_to_linker::<T, WasiOverlay>(linker, T::overlay)?;
    types::add_to_linker::<T, WasiOverlay>(linker, T::overlay)
}

/// Links all of WASI 0.3: what `wasmtime_wasi::p3::add_to_linker` links, with the filesystem from
/// here.
///
/// Directories that were preopened in the `WasiCtx` are not seen by the guest: preopen them in
/// the [`OverlayCtx`](crate::OverlayCtx).
///
/// # Errors
/// If the linker has one of the interfaces already.
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
