//! Sections of a module or component, copied unchanged.

use crate::ComposeError;
use std::ops::Range;
use wasm_encoder::RawSection;
use wasmparser::Payload;

/// Returns the section of `payload`, if it is one, as it is in `bytes`.
pub(crate) fn raw<'a>(
    payload: &Payload<'_>,
    bytes: &'a [u8],
) -> Result<Option<RawSection<'a>>, ComposeError> {
    let Some((id, range)) = payload.as_section() else {
        return Ok(None);
    };
    let data = slice(bytes, range).ok_or_else(|| ComposeError::overlay("it is truncated"))?;
    Ok(Some(RawSection { id, data }))
}

fn slice(bytes: &[u8], range: Range<u64>) -> Option<&[u8]> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    bytes.get(start..end)
}
