//! An overlay filesystem for WebAssembly guests, as a plugin for wasmtime.
//!
//! A guest sees read-only layers and an optional writable layer, the upper, as one directory tree. It
//! uses an ordinary `wasi:filesystem`; the layers below the upper never change. Guests can share layers
//! and still keep their changes apart, in memory or in a directory.
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
//! let files = OverlayCtx::builder().overlay(&overlay, "/", FsPerms::ReadWrite)?.build();
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
//! // Gone for the guest, and still in the layer, which other guests may use.
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
//! | module | contents |
//! |---|---|
//! | `p1` | core modules for WASI 0.1, without an adapter |
//! | `p2` | components for WASI 0.2 |
//! | `p3` | components for WASI 0.3 |
//! | [`engine`] | layers and overlays, independent of WebAssembly |
//!
//! Each version is a feature of the same name; all are on by default. The crate enables no default feature of
//! wasmtime: an embedder enables those that it needs, `cranelift` to compile guests for example.
//!
//! The names follow wasmtime-wasi: an [`OverlayCtx`] holds the directories of a guest, and an
//! [`OverlayView`] returns it from the store's data. wasmtime-wasi provides clocks, sockets and the rest
//! of WASI. `host/examples/component.rs` runs a component.
//!
//! # What a guest can and cannot do
//! No path leads out of a preopened directory: not by `..`, not by a symbolic link in a layer, and not by
//! one that the guest makes. [`Limits`] and the size of the upper bound what a guest can make the host
//! hold; past a bound, a call fails with an error code. A guest sees error codes and never a path of the
//! host. For each failed call, [`tracing`](https://docs.rs/tracing) gets an event at level `DEBUG` with the
//! call, the path, the layer, the reason and the remedy (target `wasi_overlay::calls`). A problem that
//! affects every guest of a mount, such as a refused absolute symbolic link, is logged as a warning once
//! per mount. Without a subscriber for these events nothing is formatted. Calls are traced at `TRACE`.

#![deny(unsafe_code)]
#![cfg_attr(
    not(all(feature = "p1", feature = "p2", feature = "p3")),
    expect(
        dead_code,
        reason = "no version of WASI uses all of what the versions share"
    )
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod close;
mod convert;
mod ctx;
mod descriptor;
#[cfg(any(feature = "p2", feature = "p3"))]
mod error;
mod held_listings;
#[cfg(feature = "p1")]
pub mod p1;
#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;
mod stream_io;
#[cfg(any(feature = "p2", feature = "p3"))]
mod wasi_preopens;

pub use close::close_async;
pub use ctx::{
    OverlayCtx, OverlayCtxBuilder, OverlayCtxError, OverlayCtxView, OverlayView, WasiOverlay,
};
pub use descriptor::{Descriptor, DirectoryEntryStream};
pub use wasi_overlay_core as engine;
pub use wasi_overlay_core::layer::{MemoryBuilder, MemoryLayer};
pub use wasi_overlay_core::{
    AbsoluteSymlinks, Dir, Errno, Error, File, Limits, Live, Lower, LowerStack, OpenHow, Opened,
    Overlay, OverlayBuilder, cap_std,
};
pub use wasmtime_wasi::FsPerms;

/// The README and the page on embedding, included so that their examples are tested.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/embedding.md")]
struct Readme;

/// The README of the package, included so that its example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct PackageReadme;
