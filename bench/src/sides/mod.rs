//! The sides that are compared.

pub(crate) mod asynchronous;
pub(crate) mod composed;
pub(crate) mod constant;
pub(crate) mod mounted;
pub(crate) mod native;
pub(crate) mod plugin;
pub(crate) mod program;
pub(crate) mod stock;

use anyhow::Result;
use wasmtime_wasi::I32Exit;

/// Bytes that a guest may print: a number.
const PRINTED: usize = 4096;

/// A core module may end by leaving, and with nothing to complain of.
fn ended(result: wasmtime::Result<()>) -> Result<()> {
    match result {
        Err(error) if matches!(error.downcast_ref(), Some(I32Exit(0))) => Ok(()),
        other => Ok(other?),
    }
}
