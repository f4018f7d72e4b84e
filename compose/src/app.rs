//! Detection of what an app is, and its conversion to a component.

use crate::{ComposeError, wrap};
use wasmparser::{Parser, Validator, WasmFeatures};

/// What the app was before composition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppKind {
    /// A component, which needs no conversion.
    Component,
    /// A core module of WASI 0.1 that exports `_start`, wrapped with the adapter for commands.
    Command,
    /// A core module of WASI 0.1 without `_start`, wrapped with the adapter for reactors.
    Reactor,
    /// A core module that contains its component types, encoded as that component.
    Typed,
}

/// Returns the app as a valid component, and what it was.
pub(crate) fn to_component(app: &[u8]) -> Result<(Vec<u8>, AppKind), ComposeError> {
    let binary = to_binary(app)?;
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

/// Converts the text format to binary. Detects other files here, because parsers would only report
/// that they are malformed.
fn to_binary(app: &[u8]) -> Result<Vec<u8>, ComposeError> {
    if app.starts_with(b"\0asm") {
        return Ok(app.to_vec());
    }
    let text = str::from_utf8(app).map_err(|_| ComposeError::NotWasm)?;
    // The text format starts with a list or a comment.
    if !text.trim_start().starts_with('(') && !text.trim_start().starts_with(";;") {
        return Err(ComposeError::NotWasm);
    }
    wat::parse_str(text).map_err(|error| ComposeError::Text {
        reason: error.to_string(),
    })
}
