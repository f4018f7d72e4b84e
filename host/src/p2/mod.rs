//! WASI 0.2: `wasi:filesystem` for components.
//!
//! [`add_all_to_linker_sync`] and [`add_all_to_linker_async`] link all of WASI 0.2 with this
//! filesystem in it; [`add_to_linker_sync`] and [`add_to_linker_async`] link the filesystem
//! alone, for embedders that put their own world together.
//!
//! Prefer the synchronous ones. A filesystem call is short, and on a warm overlay it is answered
//! from memory; the asynchronous ones pay for a trip to another thread on each call, unless
//! [`allow_blocking_current_thread`](crate::OverlayCtxBuilder::allow_blocking_current_thread).
//!
//! | file | has |
//! |---|---|
//! | `bindings` | what `bindgen!` makes of the WIT |
//! | `linker` | the functions above |
//! | `host` | what both kinds of store share |
//! | `host_sync`, `host_async` | the host functions: table, convert, call, convert |
//! | `input`, `output` | files as `wasi:io` streams |

pub mod bindings;
mod host;
mod host_async;
mod host_sync;
mod input;
mod linker;
mod output;

pub use crate::error::{FsError, FsResult};
pub use linker::{
    add_all_to_linker_async, add_all_to_linker_sync, add_all_to_linker_with_options_async,
    add_all_to_linker_with_options_sync, add_to_linker_async, add_to_linker_sync,
};
