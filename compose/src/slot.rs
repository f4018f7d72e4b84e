//! Filling the slot: the configuration, written into the data of the core module.
//!
//! It is done before anything is composed, since overlays that lie on one another have a slot
//! each.

use crate::ComposeError;
use wasi_overlay_config::{MAGIC, SLOT_BYTES};
use wasmparser::{Parser, Payload};

/// Writes `slot`, as [`Config::to_slot`](crate::Config::to_slot) makes it, into `core`.
pub(crate) fn fill(core: &mut [u8], slot: &[u8]) -> Result<(), ComposeError> {
    let at = find(core)?;
    let place = core
        .get_mut(at..at + SLOT_BYTES)
        .ok_or_else(|| ComposeError::overlay("its slot lies outside of it"))?;
    if place.iter().skip(MAGIC.len()).any(|byte| *byte != 0) {
        return Err(ComposeError::overlay("its slot is filled already"));
    }
    place.copy_from_slice(slot);
    Ok(())
}

/// Where in the file the one slot begins. It lies in one piece of data, whole.
fn find(core: &[u8]) -> Result<usize, ComposeError> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(core) {
        let Payload::DataSection(section) = payload.map_err(ComposeError::overlay)? else {
            continue;
        };
        for data in section {
            let data = data.map_err(ComposeError::overlay)?;
            let end = usize::try_from(data.range.end).map_err(ComposeError::overlay)?;
            let start = end - data.data.len();
            for (at, window) in data.data.windows(MAGIC.len()).enumerate() {
                if window == MAGIC {
                    if data.data.len() - at < SLOT_BYTES {
                        return Err(ComposeError::overlay("its slot is cut"));
                    }
                    found.push(start + at);
                }
            }
        }
    }
    match found[..] {
        [at] => Ok(at),
        [] => Err(ComposeError::overlay("it has no slot")),
        _ => Err(ComposeError::overlay("it has more than one slot")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn slot() -> Vec<u8> {
        let config = Config {
            lowers: vec!["/base".into()],
            ..Config::default()
        };
        config.to_slot().unwrap()
    }

    fn empty() -> Vec<u8> {
        let mut slot = MAGIC.to_vec();
        slot.resize(SLOT_BYTES, 0);
        slot
    }

    /// A module with these pieces of data.
    fn module(pieces: &[&[u8]]) -> Vec<u8> {
        let data = pieces.iter().map(|piece| {
            let bytes: String = piece.iter().map(|byte| format!("\\{byte:02x}")).collect();
            format!("(data (i32.const 0) \"{bytes}\")")
        });
        let text = format!("(module (memory 1) {})", data.collect::<String>());
        wat::parse_str(text).unwrap()
    }

    fn reason(mut core: Vec<u8>) -> String {
        fill(&mut core, &slot()).unwrap_err().to_string()
    }

    #[test]
    fn the_slot_is_filled_and_nothing_else_changes() {
        let around = |slot: &[u8]| module(&[b"before", &[b"in ", slot, b" front"].concat(), b"x"]);
        let mut core = around(&empty());
        fill(&mut core, &slot()).unwrap();
        assert_eq!(core, around(&slot()));
    }

    #[test]
    fn a_module_without_one_empty_slot_is_refused() {
        assert!(reason(module(&[b"x"])).contains("no slot"));
        assert!(reason(module(&[&empty(), &empty()])).contains("more than one"));
        assert!(reason(module(&[&slot()])).contains("filled already"));
        assert!(reason(module(&[&empty()[1..]])).contains("no slot"));
        assert!(reason(module(&[&empty()[..SLOT_BYTES - 1]])).contains("cut"));
        assert!(reason(b"\0asm".to_vec()).contains("cannot be used"));
    }
}
