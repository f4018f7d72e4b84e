//! The backends that are compared: each serves the filesystem calls of a guest, or replaces the guest.

pub(crate) mod async_plugin;
pub(crate) mod composed;
pub(crate) mod mounted;
pub(crate) mod native;
pub(crate) mod p3;
pub(crate) mod plugin;
pub(crate) mod stock;

use anyhow::Result;
use wasmtime_wasi::I32Exit;

/// Capacity of the standard output of a guest, in bytes. Guests print one number.
const STDOUT_CAPACITY: usize = 4096;

/// Treats `proc_exit(0)` of a core module as success.
fn check_exit(result: wasmtime::Result<()>) -> Result<()> {
    match result {
        Err(error) if matches!(error.downcast_ref(), Some(I32Exit(0))) => Ok(()),
        other => Ok(other?),
    }
}
