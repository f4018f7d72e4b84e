//! Detection of the app's kind, from its content.

use crate::{ComposeError, wrap};
use wasmparser::{Parser, Validator, WasmFeatures};

/// What was composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppKind {
    /// A component, taken as it is.
    Component,
    /// A core module of WASI 0.1 that is run, wrapped with the adapter for commands.
    Command,
    /// A core module of WASI 0.1 whose exports are called, wrapped with the adapter for those.
    Reactor,
    /// A core module that carries its component's types, made that component.
    Typed,
}

/// The app as a component, and what it was. It is valid.
pub(crate) fn read(app: &[u8]) -> Result<(Vec<u8>, AppKind), ComposeError> {
    let binary = binary(app)?;
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&binary)
        .map_err(|error| ComposeError::Invalid {
            reason: error.to_string(),
        })?;
    if Parser::is_component(&binary) {
        Ok((binary, AppKind::Component))
    } else {
        wrap::wrap(&binary)
    }
}

/// Text is made binary; what is plainly something else is told, where parsers would only call it
/// malformed.
fn binary(app: &[u8]) -> Result<Vec<u8>, ComposeError> {
    if app.starts_with(b"\0asm") {
        return Ok(app.to_vec());
    }
    let text = str::from_utf8(app).map_err(|_| ComposeError::NotWasm)?;
    // The text format begins with a list or a comment.
    if !text.trim_start().starts_with('(') && !text.trim_start().starts_with(";;") {
        return Err(ComposeError::NotWasm);
    }
    wat::parse_str(text).map_err(|error| ComposeError::Text {
        reason: error.to_string(),
    })
}
