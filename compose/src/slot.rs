//! Filling the slot: the configuration, written into the memory that the core module begins with.
//!
//! It is done before anything is composed, since overlays that lie on one another have a slot
//! each. The slot is looked for in the memory, not in the file: tools that make modules smaller
//! leave zeros out of the data, and nearly all of an empty slot is zeros.

use crate::{ComposeError, sections};
use wasi_overlay_config::{MAGIC, SLOT_BYTES};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ConstExpr, DataCountSection, DataSection, Module};
use wasmparser::{Data, DataKind, Operator, Parser, Payload};

/// How far apart the first and the last byte of data may lie. The overlay needs little of it; it
/// is what an odd module may have us allocate.
const MOST_DATA: usize = 64 << 20;

/// `core` with `slot` in it, as [`Config::to_slot`](crate::Config::to_slot) makes that.
pub(crate) fn fill(core: &[u8], slot: &[u8]) -> Result<Vec<u8>, ComposeError> {
    let text = Memory::of(core)?.text_of_empty_slot()?;
    let length = slot
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    let written = slot.get(MAGIC.len()..length).unwrap_or_default();
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(core) {
        match payload.map_err(ComposeError::overlay)? {
            Payload::DataCountSection { count, .. } => {
                module.section(&DataCountSection { count: count + 1 });
            }
            Payload::DataSection(section) => {
                let mut data = DataSection::new();
                RoundtripReencoder
                    .parse_data_section(&mut data, section)
                    .map_err(ComposeError::overlay)?;
                // Pieces of data are written in their order, so this one is written over zeros.
                data.active(0, &ConstExpr::i32_const(text), written.iter().copied());
                module.section(&data);
            }
            other => {
                if let Some(section) = sections::raw(&other, core)? {
                    module.section(&section);
                }
            }
        }
    }
    Ok(module.finish())
}

/// What the memory of a module holds when it is instantiated.
struct Memory {
    /// Where in the memory `bytes` begin.
    start: usize,
    /// All that is not zero, and a slot's length of what follows.
    bytes: Vec<u8>,
    /// Bytes of the whole memory.
    size: u64,
}

impl Memory {
    fn of(core: &[u8]) -> Result<Self, ComposeError> {
        let mut size = 0;
        let mut pieces: Vec<(usize, &[u8])> = Vec::new();
        for payload in Parser::new(0).parse_all(core) {
            match payload.map_err(ComposeError::overlay)? {
                Payload::MemorySection(section) => {
                    for memory in section {
                        size = memory
                            .map_err(ComposeError::overlay)?
                            .initial
                            .saturating_mul(1 << 16);
                    }
                }
                Payload::DataSection(section) => {
                    for data in section {
                        let data = data.map_err(ComposeError::overlay)?;
                        pieces.extend(placed(&data)?);
                    }
                }
                _ => {}
            }
        }
        let first = pieces.iter().map(|(at, _)| *at).min().unwrap_or_default();
        let last = pieces.iter().map(|(at, bytes)| at + bytes.len()).max();
        // The magic begins with a zero, which may have been left out.
        let start = first.saturating_sub(MAGIC.len());
        let length = last.unwrap_or_default() - start;
        if length > MOST_DATA {
            return Err(ComposeError::overlay("its data lies too far apart"));
        }
        let mut bytes = vec![0; length + SLOT_BYTES];
        for (at, piece) in pieces {
            if let Some(place) = bytes.get_mut(at - start..at - start + piece.len()) {
                place.copy_from_slice(piece);
            }
        }
        Ok(Self { start, bytes, size })
    }

    /// Where in the memory the text of the one slot begins, which is empty.
    fn text_of_empty_slot(&self) -> Result<i32, ComposeError> {
        let slots = self.bytes.windows(SLOT_BYTES).enumerate();
        let mut slots = slots.filter(|(_, slot)| slot.starts_with(&MAGIC));
        let Some((at, slot)) = slots.next() else {
            return Err(ComposeError::overlay("it has no slot"));
        };
        if slots.next().is_some() {
            return Err(ComposeError::overlay("it has more than one slot"));
        }
        if slot.iter().skip(MAGIC.len()).any(|byte| *byte != 0) {
            return Err(ComposeError::overlay("its slot is filled already"));
        }
        let at = self.start + at;
        if u64::try_from(at + SLOT_BYTES).map_err(ComposeError::overlay)? > self.size {
            return Err(ComposeError::overlay("its slot is cut"));
        }
        i32::try_from(at + MAGIC.len()).map_err(ComposeError::overlay)
    }
}

/// Where a piece of data goes; nowhere by itself if it is passive.
fn placed<'a>(data: &Data<'a>) -> Result<Option<(usize, &'a [u8])>, ComposeError> {
    let DataKind::Active { offset_expr, .. } = &data.kind else {
        return Ok(None);
    };
    let mut operators = offset_expr.get_operators_reader();
    match operators.read().map_err(ComposeError::overlay)? {
        Operator::I32Const { value } => {
            let at = usize::try_from(value.cast_unsigned()).map_err(ComposeError::overlay)?;
            Ok(Some((at, data.data)))
        }
        _ => Err(ComposeError::overlay("its data has no fixed place")),
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

    /// A module with these pieces of data, which are counted where they need not be.
    fn module(pieces: &[(u32, &[u8])]) -> Vec<u8> {
        let data = pieces.iter().map(|(at, piece)| {
            let bytes: String = piece.iter().map(|byte| format!("\\{byte:02x}")).collect();
            format!("(data (i32.const {at}) \"{bytes}\")")
        });
        let text = format!(
            "(module (memory 1) (func data.drop 0) {})",
            data.collect::<String>()
        );
        wat::parse_str(text).unwrap()
    }

    /// What a module's memory begins with.
    fn memory(core: &[u8]) -> Vec<u8> {
        wasmparser::Validator::new().validate_all(core).unwrap();
        let memory = Memory::of(core).unwrap();
        let mut bytes = vec![0; memory.start];
        bytes.extend(memory.bytes);
        bytes
    }

    fn reason(core: &[u8]) -> String {
        fill(core, &slot()).unwrap_err().to_string()
    }

    #[test]
    fn the_slot_is_filled_and_nothing_else_changes() {
        let around = |slot: &[u8]| [b"in ", slot, b" front"].concat();
        let with = |slot: &[u8]| module(&[(8, b"before"), (20, &around(slot)), (9000, b"x")]);
        let filled = fill(&with(&empty()), &slot()).unwrap();
        assert_eq!(memory(&filled), memory(&with(&slot())));
        assert!(reason(&filled).contains("filled already"));
    }

    /// wasm-opt left the zeros of the slot out, those of the magic among them, and the slot was
    /// not found.
    #[test]
    fn the_slot_is_found_where_its_zeros_were_left_out() {
        let shown = MAGIC
            .strip_prefix(b"\0")
            .unwrap()
            .strip_suffix(b"\0")
            .unwrap();
        let packed = module(&[(101, shown), (100 + 4096, b"behind")]);
        let whole = module(&[(100, &[&slot()[..], b"behind"].concat())]);
        assert_eq!(memory(&fill(&packed, &slot()).unwrap()), memory(&whole));
        // At both ends of the data, and of the memory.
        for at in [1, 65536 - 4096 + 1] {
            let filled = fill(&module(&[(at, shown)]), &slot()).unwrap();
            let from = at as usize - 1;
            assert_eq!(memory(&filled)[from..from + SLOT_BYTES], slot());
        }
    }

    #[test]
    fn a_module_without_one_empty_slot_is_refused() {
        assert!(reason(&module(&[(0, b"x")])).contains("no slot"));
        assert!(reason(&module(&[(0, &empty()), (5000, &empty())])).contains("more than one"));
        assert!(reason(&module(&[(0, &slot())])).contains("filled already"));
        assert!(reason(&module(&[(0, &empty()[1..])])).contains("no slot"));
        assert!(reason(&module(&[(65536 - 4095, &MAGIC)])).contains("cut"));
        assert!(reason(&module(&[(0, &MAGIC), (1 << 30, b"far")])).contains("too far apart"));
        assert!(reason(b"\0asm").contains("cannot be used"));
        let moved = wat::parse_str(
            r#"(module (import "e" "g" (global i32)) (memory 1) (data (global.get 0) "x"))"#,
        );
        assert!(reason(&moved.unwrap()).contains("no fixed place"));
    }
}
