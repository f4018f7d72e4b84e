//! The sides that are compared.

pub(crate) mod asynchronous;
pub(crate) mod composed;
pub(crate) mod plugin;
pub(crate) mod stock;

/// Bytes that a guest may print: a number.
const PRINTED: usize = 4096;
