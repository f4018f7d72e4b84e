//! Whiteout formats: what turns a plain tree into a layer.
//!
//! | form | a deleted name | an opaque directory | where |
//! |---|---|---|---|
//! | OCI | a file `.wh.NAME` beside it | a file `.wh..wh..opq` inside it | lowers and uppers |
//! | the kernel's | a character device 0:0, or an attribute on an empty file | an attribute | lowers |
//!
//! All forms are recognized in a lower at once, since tools mix them (fuse-overlayfs writes
//! both). An upper is written in OCI form and holds nothing else.
//!
//! One rule makes every order of steps safe: **an entry beats a mark of its name in its own
//! layer** (the [image spec] applies whiteouts to lower layers only), and a directory with a mark
//! beside it is opaque.
//!
//! [image spec]: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
//!
//! ```text
//!   lower.rs    a lower
//!   upper.rs    an upper: mounting and reading it
//!   change.rs   the steps of each change, prepare.rs what comes before them
//!   by_copy.rs  a directory that cannot be renamed
//!   folding.rs  uppers where case does not count
//!   mounts.rs   what is mounted inside a layer
//!   target.rs   an empty directory that is about to be replaced or removed
//!   staging.rs  what nobody sees yet, dress.rs its attributes, staged_tree.rs a whole directory
//!   work.rs     the folder for it, which also says that something is under way
//!   sweep.rs    after a cut
//! ```

#[cfg(feature = "native")]
mod by_copy;
mod change;
mod dress;
mod folding;
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
mod target;
mod upper;
mod work;

pub(crate) use kernel::{is_never_copied, is_overlay_attribute};
pub use lower::{Marked, MarkedDir};
pub use staging::Staged;
pub use upper::MarkedUpper;

#[cfg(all(test, feature = "dir"))]
mod tests;
