//! The error of a host function: a code for the guest, or a trap.

use crate::convert::guest_code;
use wasi_overlay_core::{Errno, Error};
use wasmtime::component::ResourceTableError;

/// The result of a host function.
pub type FsResult<T> = Result<T, FsError>;

/// Why a host function failed.
///
/// wasmtime-wasi's `TrappableError` keeps the code in a `wasmtime::Error`, which allocates and,
/// where backtraces are on, captures one. A missing file is an everyday answer, so here a code
/// is a code.
#[derive(Debug)]
pub enum FsError {
    /// The guest is told.
    Code(Errno),
    /// The guest is stopped: it used a resource that it does not have, or its table is full.
    Trap(wasmtime::Error),
}

impl FsError {
    /// The code for the guest, or the trap.
    pub(crate) fn code(self) -> wasmtime::Result<Errno> {
        match self {
            Self::Code(code) => Ok(code),
            Self::Trap(error) => Err(error),
        }
    }
}

impl From<Error> for FsError {
    fn from(error: Error) -> Self {
        Self::Code(guest_code(&error))
    }
}

impl From<Errno> for FsError {
    fn from(code: Errno) -> Self {
        Self::Code(code)
    }
}

impl From<ResourceTableError> for FsError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}
