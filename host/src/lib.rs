//! An overlay filesystem for WebAssembly guests, as a plugin for wasmtime.
//!
//! Read-only layers and an optional writable one appear to a guest as one directory tree. The
//! guest sees an ordinary `wasi:filesystem`; the layers below never change. Guests can share
//! layers, and each keeps its changes to itself, in memory or in a directory.
//!
//! ```
//! use wasi_overlay::p1::{self, OverlayP1Ctx};
//! use wasi_overlay::{FsPerms, Lower, MemoryLayer, Overlay, OverlayCtx};
//! use wasmtime::{Engine, Linker, Module, Store};
//! use wasmtime_wasi::WasiCtxBuilder;
//!
//! # fn main() -> wasmtime::Result<()> {
//! let base = MemoryLayer::build().file("etc/motd", b"welcome\n").finish()?;
//! let overlay = Overlay::builder()
//!     .lower(Lower::new("base", base))
//!     .upper_memory(64 << 20) // bytes
//!     .build()?;
//! let files = OverlayCtx::builder().overlay("/", &overlay, FsPerms::ReadWrite)?.build();
//!
//! let engine = Engine::default();
//! let mut linker = Linker::new(&engine);
//! p1::add_to_linker_sync(&mut linker, |ctx: &mut OverlayP1Ctx| ctx)?;
//! let wasi = WasiCtxBuilder::new().inherit_stdio().build_p1();
//! let mut store = Store::new(&engine, OverlayP1Ctx::new(wasi, &files)?);
//! let module = Module::new(&engine, REMOVES_ETC_MOTD)?;
//! let instance = linker.instantiate(&mut store, &module)?;
//! instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
//!
//! // Gone for the guest, and still in the layer that others may use.
//! assert!(overlay.root().stat_at("etc/motd", false).is_err());
//! # Ok(())
//! # }
//! # const REMOVES_ETC_MOTD: &str = r#"(module
//! #     (import "wasi_snapshot_preview1" "path_unlink_file"
//! #         (func $unlink (param i32 i32 i32) (result i32)))
//! #     (memory (export "memory") 1)
//! #     (data (i32.const 0) "etc/motd")
//! #     (func (export "_start")
//! #         (call $unlink (i32.const 3) (i32.const 0) (i32.const 8))
//! #         (if (then unreachable))))"#;
//! ```
//!
//! | module | serves |
//! |---|---|
//! | [`p1`] | core modules, WASI 0.1, without an adapter |
//! | [`p2`] | components, WASI 0.2 |
//! | [`p3`] | components, WASI 0.3 |
//! | [`engine`] | everything about layers that knows no WebAssembly |
//!
//! The names are those of wasmtime-wasi: an [`OverlayCtx`] holds the directories of a guest, an
//! [`OverlayView`] gives it out of the store's data. Clocks, sockets and the rest of WASI stay
//! wasmtime-wasi's. `host/examples/component.rs` runs a component.
//!
//! # What a guest can and cannot do
//! No path leads out of a preopened directory, by `..`, by a symbolic link of a layer, or by one
//! that the guest makes. What a guest can make the host hold is bounded by [`Limits`] and the
//! size of the upper; past a bound a call fails with a code. A guest is told codes and never a
//! path of the host. Why a call failed is a line of [`tracing`](https://docs.rs/tracing), at `DEBUG`, with the
//! call, the path, the layer, the reason and the remedy (target `wasi_overlay::calls`). Problems that affect
//! every guest of a mount are logged as a warning, once per mount: an absolute symbolic link that is refused
//! is one. Without a subscriber for them nothing is formatted. Calls are traced at `TRACE`.

#![deny(unsafe_code)]

mod blocking;
mod close;
mod convert;
mod ctx;
mod data;
mod descriptor;
mod error;
mod held_listings;
pub mod p1;
pub mod p2;
pub mod p3;

pub use close::close_async;
pub use ctx::{OverlayCtx, OverlayCtxBuilder, OverlayCtxView, OverlayView, WasiOverlay};
pub use descriptor::{Descriptor, DirectoryEntryStream};
pub use wasi_overlay_core as engine;
pub use wasi_overlay_core::layer::{MemoryBuilder, MemoryLayer};
pub use wasi_overlay_core::{
    AbsoluteSymlinks, Errno, Error, Limits, Live, Lower, LowerStack, Overlay, OverlayBuilder,
};
pub use wasmtime_wasi::FsPerms;

/// The examples of the README, so that they are tested.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
