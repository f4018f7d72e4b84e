//! Where a guest may see something else than on a plain directory with wasmtime-wasi: every line
//! of it, and why. A line that is listed and does not differ is a failure too.

use super::stacks::Stack;

/// What differs.
pub(crate) enum What {
    /// These lines, in this order: as wasmtime-wasi has them, and as we have.
    Lines(&'static [(&'static str, &'static str)]),
    /// So much that the whole transcript stands in a file.
    Whole(&'static str),
}

/// One known difference.
pub(crate) struct Deviation {
    pub(crate) guest: &'static str,
    /// On which stacks.
    pub(crate) on: fn(Stack) -> bool,
    pub(crate) what: What,
    pub(crate) reason: &'static str,
}

/// All of them.
pub(crate) const DEVIATIONS: &[Deviation] = &[];
