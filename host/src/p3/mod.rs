//! WASI 0.3: `wasi:filesystem` for components whose functions are asynchronous, and whose files and
//! listings are the component model's own streams.
//!
//! [`add_all_to_linker`] links all of WASI 0.3 with this filesystem in it; [`add_to_linker`] links
//! the filesystem alone, for embedders that put their own world together. Both need
//! `Config::wasm_component_model_async`. A component that imports WASI 0.2 too gets that from
//! [`p2::add_all_to_linker_async`](crate::p2::add_all_to_linker_async) in the same linker: both
//! show the directories of one [`OverlayCtx`](crate::OverlayCtx).
//!
//! While a call waits for a disk, the other tasks of the store go on, unless the embedder chose
//! [`allow_blocking_current_thread`](crate::OverlayCtxBuilder::allow_blocking_current_thread).
//!
//! | file | has |
//! |---|---|
//! | `bindings` | what `bindgen!` makes of the WIT |
//! | `linker` | the functions above |
//! | `host` | the host functions: table, convert, call, convert |
//! | `streams` | the host functions that give or take a stream |
//! | `reader`, `writer` | files as streams |
//! | `listing` | directories as streams |
//! | `outcome` | the future that says how a stream ended |

pub mod bindings;
mod host;
mod linker;
mod listing;
mod outcome;
mod reader;
mod streams;
mod writer;

pub use crate::error::{FsError, FsResult};
pub use linker::{add_all_to_linker, add_to_linker};
