//! An overlay filesystem for WebAssembly guests, as a plugin for wasmtime.

#![deny(unsafe_code)]

mod blocking;
mod convert;
mod ctx;
mod descriptor;
pub mod p1;
pub mod p2;

pub use ctx::{OverlayCtx, OverlayCtxBuilder, OverlayCtxView, OverlayView, WasiOverlay};
pub use descriptor::{Descriptor, DirectoryEntryStream};
pub use wasi_overlay_core as engine;
pub use wasi_overlay_core::layer::{MemoryBuilder, MemoryLayer};
pub use wasi_overlay_core::{
    AbsoluteSymlinks, Errno, Error, Limits, Live, Lower, LowerStack, Overlay, OverlayBuilder,
};
pub use wasmtime_wasi::FsPerms;
