//! wasi-overlay as a component: it imports `wasi:filesystem` and exports it, with the host's
//! preopens layered.
//!
//! ```text
//!      guest ──► exports/   convert, call the engine, convert
//!                   │
//!                engine     wasi-overlay-core: merge, copy-up, whiteouts
//!                   │
//!                imported   one call of the host for each step, on one checked name
//!                   │
//!                 host      its preopens
//! ```
//!
//! | file | has |
//! |---|---|
//! | `bindings` | what wit-bindgen generates |
//! | `config` | which preopens are layers: from the slot, from an import, by their names |
//! | `mount` | the overlay, made at the first call |
//! | `imported` | a descriptor of the host as a tree for the engine |
//! | `descriptor`, `listing`, `preopens` | the exported interfaces |
//!
//! `wasi:io` is not virtualized: a stream is the layer's own. One that was opened for reading
//! before its file was copied up goes on reading the lower file; `descriptor.read` does not.
//!
//! Nothing here panics, and a component that was configured wrongly does not trap: every call on
//! what is not there answers `no-device`.

// For the machine itself there is nothing to build, but clippy may look at it.
#![cfg(any(target_family = "wasm", clippy))]

/// The standard library's own, from its own crate: then it is compiled to be small.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

mod bindings;
mod config;
mod descriptor;
mod imported;
mod listing;
mod mount;
mod preopens;

use bindings::exports::wasi::filesystem as exports;
use bindings::wasi::filesystem::types as host;
use bindings::wasi::io;

wasi_overlay_core::wasi_conversions!(crate::host);

/// The component.
struct Overlay;

bindings::export!(Overlay);

impl exports::types::Guest for Overlay {
    type Descriptor = descriptor::Descriptor;
    type DirectoryEntryStream = listing::Entries;

    /// Streams are the host's, and so are their errors.
    fn filesystem_error_code(error: &io::error::Error) -> Option<host::ErrorCode> {
        host::filesystem_error_code(error)
    }
}

/// What a guest is told of an error of the engine. There is no log that the rest could go to.
impl From<wasi_overlay_core::Error> for host::ErrorCode {
    fn from(error: wasi_overlay_core::Error) -> Self {
        error.errno().into()
    }
}
