//! From the engine's types to those of WASI and back. Every match is exhaustive: a code or a kind
//! that is added to the engine has to be given its meaning here.

use wasi_overlay_core::{Errno, Error};

/// The code that a guest is told. The rest of the error is for the embedder: it goes to the log.
pub(crate) fn guest_code(error: &Error) -> Errno {
    if error.has_details() {
        tracing::debug!(error = %error, "a filesystem call failed");
    }
    error.errno()
}
