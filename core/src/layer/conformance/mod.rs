//! The conformance suite for layers.
//!
//! Each function takes a closure that creates an empty upper, and panics at the first violation of the
//! contract. [`upper`] runs all of them except [`mounting`], which needs two uppers on one storage.
//! For a layer that cannot be written, create [`fixture`] in it by other means, and pass it to
//! [`reads`].
//!
//! ```
//! use wasi_overlay_core::layer::{MemoryLayer, conformance};
//!
//! conformance::upper(&|| MemoryLayer::with_capacity(64 << 20));
//! ```
//!
//! The suite calls an upper as the engine does: the [`Over`](crate::layer::Over) of a name is right, and no
//! two changes of one directory run at the same time. Where the suite passes a wrong one on purpose, the
//! call must fail and lose nothing.

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

/// Runs the suite on uppers from `make`, which returns an empty upper that is not mounted.
///
/// # Panics
/// If the upper violates the contract.
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
