//! Whiteout formats, with which [`Marked`] makes a layer of a plain tree.
//!
//! | format | a deleted name | an opaque directory | where |
//! |---|---|---|---|
//! | OCI | a file `.wh.NAME` beside it | a file `.wh..wh..opq` inside it | lowers and uppers |
//! | the kernel's | a character device 0:0, or an attribute on an empty file | an attribute | lowers |
//!
//! A lower may contain all formats at once, since tools mix them (fuse-overlayfs writes
//! both). The engine writes an upper in OCI format, and refuses other formats there.
//!
//! One rule makes every order of steps safe: **an entry takes precedence over a whiteout of its name in its
//! own layer** (the [image spec] applies whiteouts to lower layers only), and a directory with a whiteout
//! beside it is opaque.
//!
//! [image spec]: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
//!
//! ```text
//!   lower.rs         reading a lower
//!   upper.rs         mounting and reading an upper
//!   change.rs        the steps of each change, prepare.rs those before the change happens
//!   by_copy.rs       rename by a copy, where the storage cannot rename a directory
//!   half_moved.rs    such a rename that failed and could not be undone at once
//!   case_folding.rs  refusal of case-insensitive uppers
//!   mounts.rs        mount points inside a layer
//!   empty_dir.rs     empty directories that will be replaced or removed
//!   staging.rs       staged files, attributes.rs their attributes, staged_tree.rs staged directories
//!   work.rs          the work folder, which holds staged files and shows that a change is in progress
//!   grant.rs         temporary write permission for internal steps
//!   sweep.rs         repair after a crash
//!   oci.rs           the OCI format, kernel.rs that of the kernel
//! ```

mod attributes;
#[cfg(feature = "native")]
mod by_copy;
mod case_folding;
mod change;
mod empty_dir;
mod grant;
#[cfg(feature = "native")]
mod half_moved;
mod kernel;
mod lower;
mod mounts;
mod oci;
mod prepare;
#[cfg(feature = "native")]
mod removal;
#[cfg(feature = "native")]
mod staged_tree;
mod staging;
mod sweep;
mod upper;
mod work;

#[cfg(feature = "tar")]
pub(crate) use kernel::{Meaning, meaning};
pub(crate) use kernel::{is_never_copied, is_overlay_attribute};
pub use lower::{Marked, MarkedDir};
#[cfg(feature = "tar")]
pub(crate) use oci::{NameKind, classify};
pub use staging::Staged;
pub use upper::MarkedUpper;

#[cfg(all(test, feature = "dir"))]
mod tests;
