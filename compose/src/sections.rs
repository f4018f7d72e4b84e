//! Sections of a module or component that stay as they are.

use crate::ComposeError;
use std::ops::Range;
use wasm_encoder::RawSection;
use wasmparser::Payload;

/// The section that `payload` is, if it is one, as it stands in `bytes`.
pub(crate) fn raw<'a>(
    payload: &Payload<'_>,
    bytes: &'a [u8],
) -> Result<Option<RawSection<'a>>, ComposeError> {
    let Some((id, range)) = payload.as_section() else {
        return Ok(None);
    };
    let data = part(bytes, range).ok_or_else(|| ComposeError::overlay("it is cut"))?;
    Ok(Some(RawSection { id, data }))
}

fn part(bytes: &[u8], range: Range<u64>) -> Option<&[u8]> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    bytes.get(start..end)
}
