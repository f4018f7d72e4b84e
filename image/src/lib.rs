//! Images as layers of an overlay: tars, OCI layouts, the output of `docker save`, and a store of images on
//! the local disk.
//!
//! ```text
//!   Transport ──► Image ──► Lower, LowerStack      what a layer argument names, and what becomes of it
//!                   │
//!        ┌──────────┼───────────┐
//!      Store      Layout     Archive               where blobs are read from by digest
//!        │
//!     compress                                     a blob to a plain tar, its digests and its index
//! ```
//!
//! A layer is used as the plain tar that it is, indexed once and read where it is; nothing is unpacked to
//! files. Compressed layers are decompressed into the [`Store`] first.
//!
//! ```no_run
//! use wasi_overlay_core::{Limits, Overlay};
//! use wasi_overlay_image::{Choice, Store};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open()?;
//! let image = store.image(&"docker.io/library/app:1".parse()?, &Choice::default())?;
//! let stack = image.stack(&Limits::default())?;
//! // A memory upper for each guest, and one stack for all of them.
//! let overlay = Overlay::builder().stack(stack).upper_memory(64 << 20).build()?;
//! # let _ = overlay;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod archive;
mod compress;
mod config;
mod content;
mod digest;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod host_file;
mod image;
mod json;
mod layer;
mod layout;
mod limits;
mod open;
mod platform;
mod reference;
#[cfg(feature = "registry")]
pub mod registry;
mod source;
mod store;
mod transport;

pub use compress::Format;
pub use config::{Command, Config, History, Overrides};
pub use digest::Digest;
pub use error::{Bytes, Error, Result};
pub use image::{HistoryLine, Image, ImageLayer};
pub use limits::{MAX_CONFIG, MAX_INDEX, MAX_MANIFEST};
pub use oci_spec;
pub use platform::{Choice, Platform, Purpose};
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference};
pub use store::{Adding, Entry, Follower, Lease, PartialBlob, Problem, Prune, Pruned, Store};
#[doc(hidden)]
pub use store::{Faults, Step};
pub use transport::{Selector, Transport};

/// The README of the package, included so that its example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
