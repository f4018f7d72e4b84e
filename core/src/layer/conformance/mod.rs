//! What a layer has to pass.
//!
//! Each function takes a closure that makes an empty upper, and panics with the promise that was
//! broken. [`upper`] runs all of them but [`mounting`], which needs two uppers on one storage.
//! A layer that cannot be written is filled with [`fixture`] by other means, then given to
//! [`reads`].
//!
//! ```
//! use wasi_overlay_core::layer::{MemoryLayer, conformance};
//!
//! conformance::upper(&|| MemoryLayer::with_capacity(64 << 20));
//! ```
//!
//! The suite calls an upper as the engine does: what it says of a name is true, and no two
//! changes of one directory are made at a time. Where it does say something false of a name,
//! the call has to fail and lose nothing.

mod attributes;
mod copies;
mod create;
mod data;
mod fixture;
mod kit;
mod link;
mod mount;
mod names;
mod publish;
mod reads;
mod remove;
mod rename;
mod sequences;
mod threads;

pub use attributes::{modes, times, xattrs};
pub use copies::copies;
pub use create::creates;
pub use data::{sizes, sparse, writes};
pub use fixture::{Entry, fixture, plant};
pub use link::links;
pub use mount::mounting;
pub use names::names;
pub use publish::{publishes, staging};
pub use reads::reads;
pub use remove::{removed_objects, removes};
pub use rename::renames;
pub use sequences::sequences;
pub use threads::threads;

use crate::layer::Upper;

/// Runs the suite on uppers that `make` makes, each empty and not mounted.
///
/// # Panics
/// Where a promise is broken.
pub fn upper<U: Upper>(make: &dyn Fn() -> U) {
    {
        let upper = kit::Mounted::new(make);
        plant(&*upper, &fixture());
        reads(&*upper);
    }
    names(make);
    creates(make);
    staging(make);
    publishes(make);
    copies(make);
    removes(make);
    removed_objects(make);
    renames(make);
    links(make);
    sequences(make);
    writes(make);
    sizes(make);
    sparse(make);
    times(make);
    modes(make);
    xattrs(make);
    threads(make);
}
