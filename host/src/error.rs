//! [`FsError`], the error of a host function: a code for the guest, or a trap.

use crate::convert::guest_code;
use wasi_overlay_core::{Errno, Error};
use wasmtime::component::ResourceTableError;

/// The result of a host function.
pub type FsResult<T> = Result<T, FsError>;

/// Why a host function failed.
///
/// wasmtime-wasi's `TrappableError` stores the code in a `wasmtime::Error`, which allocates, and captures
/// a backtrace where backtraces are enabled. A missing file is an everyday answer, so this type stores
/// the plain code.
#[derive(Debug)]
pub enum FsError {
    /// The call fails with this code.
    Code(Errno),
    /// The guest traps: it used a resource that it does not have, or its table is full.
    Trap(wasmtime::Error),
}

impl FsError {
    /// The code for the guest; a trap is returned as the error.
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
