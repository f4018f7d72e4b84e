//! The `add_to_linker` functions: the filesystem alone, or all of WASI 0.2.

use super::bindings::{self, preopens};
use super::sync_io::{Checked, HasCheckedIo, HasCheckedSockets};
use crate::wasi_preopens::{CheckedPreopens, HasCheckedPreopens};
use crate::{Descriptor, OverlayView, WasiOverlay};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi_io::bindings::wasi::io;

/// Links `wasi:filesystem`, and nothing else, for a store without async support.
///
/// 1. Put an [`OverlayCtx`](crate::OverlayCtx) into the data of the store, and implement [`OverlayView`].
/// 2. Link the other interfaces that the guest imports. To take them from wasmtime-wasi, link
///    `wasmtime_wasi::p2::add_to_linker_sync` first, and call `Linker::allow_shadowing(true)`.
/// 3. Call this function once for the linker.
///
/// Most embedders want [`add_to_linker_sync`] instead.
///
/// # In an asynchronous task of tokio
/// wasmtime-wasi's own synchronous `wasi:io` panics there ("Cannot start a runtime from within a runtime")
/// at the first blocking read or write of a stream, and when a stream is dropped, even if it is a stream
/// of a file. In such a task, use [`add_to_linker_sync`], whose `wasi:io` does not panic. If you link
/// the rest of WASI yourself, use [`add_only_filesystem_to_linker_async`] with wasmtime-wasi's asynchronous
/// interfaces, or run the guest in `tokio::task::spawn_blocking`.
///
/// # Errors
/// If the linker already defines `wasi:filesystem@0.2.12`, and may not shadow it.
pub fn add_only_filesystem_to_linker_sync<T: OverlayView + 'static>(
    linker: &mut Linker<T>,
) -> wasmtime::Result<()> {
    preopens::add_to_linker::<T, WasiOverlay>(linker, T::overlay)?;
    bindings::sync::types::add_to_linker::<T, WasiOverlay>(linker, T::overlay)
}

/// As [`add_only_filesystem_to_linker_sync`], for a store with async support. Most embedders want
/// [`add_to_linker_async`] instead.
///
/// # Errors
/// If the linker already defines `wasi:filesystem@0.2.12`, and may not shadow it.
pub fn add_only_filesystem_to_linker_async<T: OverlayView + 'static>(
    linker: &mut Linker<T>,
) -> wasmtime::Result<()> {
    preopens::add_to_linker::<T, WasiOverlay>(linker, T::overlay)?;
    bindings::types::add_to_linker::<T, WasiOverlay>(linker, T::overlay)
}

/// Links all of WASI 0.2 for a store without async support: the interfaces of
/// `wasmtime_wasi::p2::add_to_linker_sync`, with this filesystem in place of wasmtime-wasi's.
///
/// 1. Put a `ResourceTable`, a `WasiCtx` and an [`OverlayCtx`](crate::OverlayCtx) into the data of the store,
///    and implement `WasiView` and [`OverlayView`].
/// 2. Call this function once for the linker.
/// 3. Instantiate, for example with `wasmtime_wasi::p2::bindings::sync::Command::instantiate`.
///
/// `get-directories` fails, which ends the guest, if the `WasiCtx` has preopened directories: preopen them in
/// the `OverlayCtx` ([`OverlayCtxBuilder::dir`](crate::OverlayCtxBuilder::dir)).
///
/// Calls on files, and on streams of files, work on every thread. A call that has to wait for another
/// stream, a clock or a socket traps in an asynchronous task of tokio, where nothing may block: in such a
/// task, use [`add_to_linker_async`], or run the guest in `tokio::task::spawn_blocking`.
///
/// # Errors
/// If the linker already defines one of the interfaces.
pub fn add_to_linker_sync<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: WasiView + OverlayView + 'static,
{
    add_to_linker_with_options_sync(linker, &wasi::sync::LinkOptions::default())
}

/// Like [`add_to_linker_sync`], with wasmtime-wasi's options for unstable features.
///
/// # Errors
/// If the linker already defines one of the interfaces.
pub fn add_to_linker_with_options_sync<T>(
    linker: &mut Linker<T>,
    options: &wasi::sync::LinkOptions,
) -> wasmtime::Result<()>
where
    T: WasiView + OverlayView + 'static,
{
    let l = linker;
    wasi::sync::io::poll::add_to_linker::<T, HasCheckedIo>(l, |t| Checked(t.ctx().table))?;
    wasi::sync::io::streams::add_to_linker::<T, HasCheckedIo>(l, |t| Checked(t.ctx().table))?;
    wasi::sync::sockets::tcp::add_to_linker::<T, HasCheckedSockets>(l, |t| Checked(t.sockets()))?;
    wasi::sync::sockets::udp::add_to_linker::<T, HasCheckedSockets>(l, |t| Checked(t.sockets()))?;
    wasi::sync::sockets::udp_create_socket::add_to_linker::<T, HasCheckedSockets>(l, |t| {
        Checked(t.sockets())
    })?;
    add_nonblocking(l, &options.into())?;
    preopens::add_to_linker::<T, HasCheckedPreopens<T>>(l, |t| CheckedPreopens(t))?;
    bindings::sync::types::add_to_linker::<T, WasiOverlay>(l, T::overlay)
}

/// Links all of WASI 0.2 for a store with async support: the interfaces of
/// `wasmtime_wasi::p2::add_to_linker_async`, with this filesystem in place of wasmtime-wasi's.
///
/// The steps are those of [`add_to_linker_sync`]; instantiate with `instantiate_async`.
///
/// # Errors
/// If the linker already defines one of the interfaces.
pub fn add_to_linker_async<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: WasiView + OverlayView + 'static,
{
    add_to_linker_with_options_async(linker, &wasi::LinkOptions::default())
}

/// Like [`add_to_linker_async`], with wasmtime-wasi's options for unstable features.
///
/// # Errors
/// If the linker already defines one of the interfaces.
pub fn add_to_linker_with_options_async<T>(
    linker: &mut Linker<T>,
    options: &wasi::LinkOptions,
) -> wasmtime::Result<()>
where
    T: WasiView + OverlayView + 'static,
{
    let l = linker;
    io::poll::add_to_linker::<T, HasIo>(l, |t| t.ctx().table)?;
    io::streams::add_to_linker::<T, HasIo>(l, |t| t.ctx().table)?;
    wasi::sockets::tcp::add_to_linker::<T, WasiSockets>(l, T::sockets)?;
    wasi::sockets::udp::add_to_linker::<T, WasiSockets>(l, T::sockets)?;
    wasi::sockets::udp_create_socket::add_to_linker::<T, WasiSockets>(l, T::sockets)?;
    add_nonblocking(l, &options.into())?;
    preopens::add_to_linker::<T, HasCheckedPreopens<T>>(l, |t| CheckedPreopens(t))?;
    bindings::types::add_to_linker::<T, WasiOverlay>(l, T::overlay)
}

impl<T: WasiView + OverlayView> preopens::Host for CheckedPreopens<'_, T> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.directories()
    }
}

/// Links the interfaces that are the same for both kinds of store.
fn add_nonblocking<T: WasiView + 'static>(
    l: &mut Linker<T>,
    options: &wasi::sockets::network::LinkOptions,
) -> wasmtime::Result<()> {
    use wasi::{cli, clocks, random, sockets};

    io::error::add_to_linker::<T, HasIo>(l, |t| t.ctx().table)?;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    random::random::add_to_linker::<T, WasiRandom>(l, |t| t.ctx().ctx.random())?;
    random::insecure::add_to_linker::<T, WasiRandom>(l, |t| t.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, |t| t.ctx().ctx.random())?;
    cli::exit::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::environment::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    sockets::tcp_create_socket::add_to_linker::<T, WasiSockets>(l, T::sockets)?;
    sockets::instance_network::add_to_linker::<T, WasiSockets>(l, T::sockets)?;
    sockets::network::add_to_linker::<T, WasiSockets>(l, options, T::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<T, WasiSockets>(l, T::sockets)
}

/// The `HasData` marker for `wasi:io`, which wasmtime-wasi implements on the table.
struct HasIo;

impl HasData for HasIo {
    type Data<'a> = &'a mut ResourceTable;
}
