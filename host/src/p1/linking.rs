//! The `add_to_linker` functions for synchronous and asynchronous linkers.
//!
//! A synchronous host function has to return the answer, but wasmtime-wasi's streams and timers are
//! futures that need tokio. Entering tokio costs more than most calls on files, which do not need it. So
//! a synchronous call is first polled once by hand: calls on files complete in that poll. A call that
//! needs tokio awaits [`enter_runtime`](OverlayP1Ctx::enter_runtime), which completes at the second poll,
//! inside tokio.

use super::{OverlayP1Ctx, wasi_snapshot_preview1};
use crate::blocking::check_may_wait;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::Linker;
use wasmtime_wasi::runtime;

/// Links all of WASI 0.1 for a store with async support.
///
/// 1. Put an [`OverlayP1Ctx`] into the data of the store.
/// 2. Call this function once for the linker, with a projection from the data to that context: it runs at
///    every call of the guest.
/// 3. Instantiate with `instantiate_async`, and call exports with `call_async`.
///
/// A call that waits for a disk blocks the calling thread only with
/// [`allow_blocking_current_thread`](crate::OverlayCtxBuilder::allow_blocking_current_thread).
///
/// # Errors
/// If the linker already defines one of the functions.
pub fn add_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut OverlayP1Ctx + Copy + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    wasi_snapshot_preview1::add_to_linker(linker, for_store(get, false))
}

/// Links all of WASI 0.1 for a store without async support. Calls block the calling thread.
///
/// 1. Put an [`OverlayP1Ctx`] into the data of the store.
/// 2. Call this function once for the linker, with a projection from the data to that context: it runs at
///    every call of the guest.
/// 3. Instantiate with `instantiate`, and call exports with `call`.
///
/// Calls on files need no runtime. A call that waits for a standard stream or a clock traps in an
/// asynchronous task of tokio, where nothing may block: in such a task, use [`add_to_linker_async`], or
/// run the guest in `tokio::task::spawn_blocking`.
///
/// # Errors
/// If the linker already defines one of the functions.
pub fn add_to_linker_sync<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut OverlayP1Ctx + Copy + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    synchronous::add_wasi_snapshot_preview1_to_linker(linker, for_store(get, true))
}

/// Links the functions of WASI 0.1 that use files (`fd_*`, `path_*`, `poll_oneoff`), and nothing else, for a
/// store with async support.
///
/// 1. Put an [`OverlayP1Ctx`] into the data of the store. Descriptors 0 to 2 are the standard streams of its
///    [`WasiP1Ctx`](wasmtime_wasi::p1::WasiP1Ctx).
/// 2. Define the other functions that the guest imports: arguments, environment, clocks, random numbers,
///    `proc_exit`. To take them from wasmtime-wasi, link
///    `wasmtime_wasi::p1::add_to_linker_async` first, and call `Linker::allow_shadowing(true)`.
/// 3. Call this function once for the linker, with a projection from the data to the context.
///
/// Most embedders want [`add_to_linker_async`] instead.
///
/// # Errors
/// If the linker already defines one of the functions, and may not shadow it.
pub fn add_only_filesystem_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut OverlayP1Ctx + Copy + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    filesystem_async::add_wasi_snapshot_preview1_to_linker(linker, for_store(get, false))
}

/// As [`add_only_filesystem_to_linker_async`], for a store without async support. Most embedders want
/// [`add_to_linker_sync`] instead.
///
/// # Errors
/// If the linker already defines one of the functions, and may not shadow it.
pub fn add_only_filesystem_to_linker_sync<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut OverlayP1Ctx + Copy + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    filesystem_sync::add_wasi_snapshot_preview1_to_linker(linker, for_store(get, true))
}

/// The projection `get`, which also tells the context the kind of its store.
fn for_store<T: 'static>(
    get: impl Fn(&mut T) -> &mut OverlayP1Ctx + Copy + Send + Sync + 'static,
    synchronous: bool,
) -> impl Fn(&mut T) -> &mut OverlayP1Ctx + Copy + Send + Sync + 'static {
    move |data| {
        let ctx = get(data);
        ctx.synchronous = synchronous;
        ctx
    }
}

impl OverlayP1Ctx {
    /// Completes inside a tokio runtime.
    pub(super) fn enter_runtime(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut outside = self.synchronous;
        poll_fn(move |_| {
            if mem::take(&mut outside) {
                // No waker is needed: `run` polls again immediately.
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
    }
}

/// Runs a synchronous call to completion: the first poll on this thread, the others in tokio.
///
/// Always inlined: otherwise the whole state of each call, about 1 KiB, would be copied into the argument.
#[inline(always)]
fn run<F: Future>(call: F) -> wasmtime::Result<F::Output> {
    let mut call = pin!(call);
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => {
            check_may_wait("wasi_overlay::p1::add_to_linker_async")?;
            Ok(runtime::in_tokio(call))
        }
    }
}

/// Defines a module with a linker function that wiggle generates from one of the WITX files.
macro_rules! linker {
    ($module:ident, $witx:literal, $($mode:tt)*) => {
        mod $module {
            wiggle::wasmtime_integration!({
                witx: [$witx],
                target: wasmtime_wasi::p1,
                $($mode)*: {
                    wasi_snapshot_preview1::{
                        fd_advise, fd_close, fd_datasync, fd_fdstat_get, fd_filestat_get,
                        fd_filestat_set_size, fd_filestat_set_times, fd_read, fd_pread, fd_seek, fd_sync,
                        fd_readdir, fd_write, fd_pwrite, poll_oneoff, path_create_directory,
                        path_filestat_get, path_filestat_set_times, path_link, path_open, path_readlink,
                        path_remove_directory, path_rename, path_symlink, path_unlink_file, fd_renumber
                    }
                },
                errors: { errno => trappable Error },
            });
        }
    };
}

linker!(
    synchronous,
    "witx/p1/wasi_snapshot_preview1.witx",
    block_on[super::run]
);
linker!(
    filesystem_sync,
    "witx/p1/filesystem.witx",
    block_on[super::run]
);
linker!(filesystem_async, "witx/p1/filesystem.witx", async);
