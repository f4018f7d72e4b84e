//! The engine of wasi-overlay: read-only lower layers and an optional writable upper, as one
//! tree that cannot be told from a plain directory.
//!
//! ```text
//!       Dir, File                 one method for each WASI call
//!      ┌────┴─────┐
//!   Overlay      Live             a mount: layers below the engine, or a host directory as it is
//!      │
//!   LowerStack + Upper            the merge, copy-up, whiteouts
//!      │
//!   Layer ◄── Marked ◄── Plain    a tree that knows whiteouts, made of one that does not
//! ```
//!
//! | feature | gives |
//! |---|---|
//! | `dir` (default) | layers and live mounts from host directories, on Linux |
//! | `conformance` | the suite that a layer has to pass |
//!
//! The crate names no WebAssembly runtime; without default features it builds for
//! `wasm32-unknown-unknown`.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod at_once;
mod budget;
#[doc(hidden)]
pub mod cache;
mod cell;
pub mod conversions;
mod descriptor;
mod error;
mod hash;
#[cfg(feature = "dir")]
mod host_descriptors;
mod identity;
pub mod layer;
mod limits;
mod listing;
#[cfg(feature = "dir")]
mod live;
#[doc(hidden)]
pub mod log;
mod meta;
mod name;
mod open_how;
mod overlay;
mod place;
pub mod plain;
mod stack;
mod sync;
#[cfg(feature = "tar")]
pub mod tar;
mod walk;
pub mod whiteouts;

#[cfg(feature = "native")]
pub use at_once::at_once;
#[cfg(feature = "dir")]
pub use cap_std;
pub use descriptor::{Dir, File, Opened};
#[cfg(feature = "native")]
pub use descriptor::{Walk, WalkEntry};
pub use error::{Errno, Error, Result};
#[cfg(feature = "dir")]
pub use host_descriptors::{OpenHandles, close_cached_descriptors, raise_descriptor_limit};
pub use layer::Advice;
pub use limits::{Limits, MAX_LAYERS};
pub use listing::{Listing, ListingEntry};
#[cfg(feature = "dir")]
pub use live::Live;
pub use meta::{Identity, Kind, Meta, SetTime, SetTimes, Stat, Timestamp};
pub use name::{Name, NameBuf};
pub use open_how::OpenHow;
pub use overlay::{AbsoluteSymlinks, Overlay, OverlayBuilder, OverlayDir};
pub use place::{Place, Relation};
pub use stack::{Lower, LowerStack};

/// The README of the package, included so that its example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
