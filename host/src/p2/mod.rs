//! WASI 0.2: `wasi:filesystem` for components.
//!
//! [`add_all_to_linker_sync`] and [`add_all_to_linker_async`] link all of WASI 0.2 with this
//! filesystem in it; [`add_to_linker_sync`] and [`add_to_linker_async`] link the filesystem
//! alone, for embedders that put their own world together.
//!
//! In an asynchronous program (`#[tokio::main]`, an HTTP server) use the asynchronous ones: where a
//! guest of the synchronous ones has to wait for a clock, a socket or a stream that is not a file's in an
//! asynchronous task, its call traps. The synchronous ones are for threads of the guest's own,
//! `tokio::task::spawn_blocking` among them. Calls on files cost the same in both, once
//! [`allow_blocking_current_thread`](crate::OverlayCtxBuilder::allow_blocking_current_thread) spares the
//! asynchronous ones the trip to another thread.
//!
//! | file | has |
//! |---|---|
//! | `bindings` | what `bindgen!` makes of the WIT |
//! | `linker` | the functions above |
//! | `host` | what both kinds of store share |
//! | `host_sync`, `host_async` | the host functions: table, convert, call, convert |
//! | `input`, `output` | files as `wasi:io` streams |
//! | `waiting` | `wasi:io` and sockets of synchronous stores |

pub mod bindings;
mod host;
mod host_async;
mod host_sync;
mod input;
mod linker;
mod output;
mod waiting;

pub use crate::error::{FsError, FsResult};
pub use linker::{
    add_all_to_linker_async, add_all_to_linker_sync, add_all_to_linker_with_options_async,
    add_all_to_linker_with_options_sync, add_to_linker_async, add_to_linker_sync,
};
