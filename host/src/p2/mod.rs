//! WASI 0.2: `wasi:filesystem` for components.
//!
//! [`add_to_linker_sync`] and [`add_to_linker_async`] link all of WASI 0.2 with this filesystem.
//! [`add_only_filesystem_to_linker_sync`] and [`add_only_filesystem_to_linker_async`] link the filesystem
//! alone, for embedders that assemble their own world.
//!
//! ```
//! use wasi_overlay::{OverlayView, p2};
//! use wasmtime::component::Linker;
//! use wasmtime_wasi::WasiView;
//!
//! fn link<T: WasiView + OverlayView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
//!     p2::add_to_linker_async(linker)
//! }
//! ```
//! `docs/embedding.md` has whole programs.
//!
//! Asynchronous programs (`#[tokio::main]`, an HTTP server) should use the asynchronous functions. With
//! the synchronous ones, a call traps if it has to wait in an asynchronous task for a clock, a socket, or
//! a stream that is not a file's. The synchronous functions are for guests on threads of their own,
//! including `tokio::task::spawn_blocking`. Calls on files cost the same in both, once
//! [`allow_blocking_current_thread`](crate::OverlayCtxBuilder::allow_blocking_current_thread) spares the
//! asynchronous ones the trip to another thread.
//!
//! | file | contents |
//! |---|---|
//! | `bindings` | the bindings that `bindgen!` generates from the WIT |
//! | `linker` | the functions above |
//! | `host_sync`, `host_async` | the host functions of each kind of store |
//! | `host` | code that they share |
//! | `input`, `output` | `wasi:io` streams of files |
//! | `sync_io` | `wasi:io` and sockets for synchronous stores |

pub mod bindings;
mod host;
mod host_async;
mod host_sync;
mod input;
mod linker;
mod output;
mod sync_io;

pub use crate::error::{FsError, FsResult};
pub use linker::{
    add_only_filesystem_to_linker_async, add_only_filesystem_to_linker_sync, add_to_linker_async,
    add_to_linker_sync, add_to_linker_with_options_async, add_to_linker_with_options_sync,
};
