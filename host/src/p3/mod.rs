//! WASI 0.3: `wasi:filesystem` for components, with asynchronous functions, and with the component model's
//! own streams for the data of files and the entries of directories.
//!
//! [`add_to_linker`] links all of WASI 0.3 with this filesystem; [`add_only_filesystem_to_linker`] links the
//! filesystem alone, for embedders that assemble their own world. Both need
//! `Config::wasm_component_model_async`. For a component that also imports WASI 0.2, call
//! `p2::add_to_linker_async` on the same linker: both versions use the directories of one
//! [`OverlayCtx`](crate::OverlayCtx).
//!
//! ```
//! use wasi_overlay::{OverlayView, p2, p3};
//! use wasmtime::component::Linker;
//! use wasmtime_wasi::WasiView;
//!
//! fn link<T: WasiView + OverlayView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
//!     p2::add_to_linker_async(linker)?; // for components that also import WASI 0.2
//!     p3::add_to_linker(linker)
//! }
//! ```
//! `docs/embedding.md` has whole programs.
//!
//! While a call waits for a disk, the other tasks of the store continue, unless the embedder chose
//! [`allow_blocking_current_thread`](crate::OverlayCtxBuilder::allow_blocking_current_thread).
//!
//! | file | contents |
//! |---|---|
//! | `bindings` | the bindings that `bindgen!` generates from the WIT |
//! | `linker` | the functions above |
//! | `host` | the host functions |
//! | `streams` | the host functions that return or take a stream |
//! | `reader`, `writer` | streams of a file's data |
//! | `listing` | streams of a directory's entries |
//! | `completion` | the future that reports how a stream ended |

pub mod bindings;
mod completion;
mod host;
mod linker;
mod listing;
mod reader;
mod streams;
mod writer;

pub use crate::error::{FsError, FsResult};
pub use linker::{add_only_filesystem_to_linker, add_to_linker};
