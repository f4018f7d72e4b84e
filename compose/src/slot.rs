//! The configuration slot in the core module's initial memory, and how it is filled.
//!
//! The slot is filled before composition, since nested overlays have one slot each. It is searched
//! in the memory, not in the file: optimizers remove zeros from data segments, and an empty slot is
//! almost all zeros.

use crate::{ComposeError, sections};
use wasi_overlay_config::{MAGIC, SLOT_BYTES};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ConstExpr, DataCountSection, DataSection, Module};
use wasmparser::{Data, DataKind, Operator, Parser, Payload};

/// The largest distance between the first and the last byte of data. The overlay needs much less;
/// this bounds what an unusual module can make us allocate.
const MAX_DATA_SPAN: usize = 64 << 20;

/// Writes `slot`, which [`Config::to_slot`](crate::Config::to_slot) made, into `core`.
pub(crate) fn fill(core: &[u8], slot: &[u8]) -> Result<Vec<u8>, ComposeError> {
    let text_address = InitialMemory::read(core)?.find_empty_slot()?;
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
                // Segments are written in order, so this one overwrites the zeros.
                let address = ConstExpr::i32_const(text_address);
                data.active(0, &address, written.iter().copied());
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

/// Whether a component contains an overlay, composed by this crate or by another composer.
///
/// It is recognized by the slot's magic, which occurs nowhere else, or by the import of its configuration.
/// Optimizers remove zeros from data, so the zeros around the magic do not count.
pub(crate) fn contains_overlay(component: &[u8]) -> bool {
    let start = MAGIC.iter().position(|byte| *byte != 0).unwrap_or_default();
    let end = MAGIC
        .iter()
        .rposition(|byte| *byte != 0)
        .unwrap_or_default();
    let signs = [&MAGIC[start..=end], b"wasi-overlay:component/config"];
    signs.iter().any(|sign| {
        let mut windows = component.windows(sign.len());
        windows.any(|window| window == *sign)
    })
}

/// The memory of a module when it is instantiated.
struct InitialMemory {
    /// The address of `bytes`.
    start: usize,
    /// All data, followed by zeros of the length of a slot.
    bytes: Vec<u8>,
    /// The size of the whole memory.
    size: u64,
}

impl InitialMemory {
    fn read(core: &[u8]) -> Result<Self, ComposeError> {
        let mut size = 0;
        let mut segments: Vec<(usize, &[u8])> = Vec::new();
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
                        segments.extend(active_segment(&data)?);
                    }
                }
                _ => {}
            }
        }
        let first = segments.iter().map(|(at, _)| *at).min().unwrap_or_default();
        let end = segments.iter().map(|(at, data)| at + data.len()).max();
        // The magic starts with a zero, which an optimizer may have removed.
        let start = first.saturating_sub(MAGIC.len());
        let length = end.unwrap_or_default() - start;
        if length > MAX_DATA_SPAN {
            return Err(ComposeError::overlay("its data segments are too far apart"));
        }
        let mut bytes = vec![0; length + SLOT_BYTES];
        for (at, data) in segments {
            if let Some(target) = bytes.get_mut(at - start..at - start + data.len()) {
                target.copy_from_slice(data);
            }
        }
        Ok(Self { start, bytes, size })
    }

    /// Finds the only slot, which must be empty, and returns the address of its text.
    fn find_empty_slot(&self) -> Result<i32, ComposeError> {
        let slots = self.bytes.windows(SLOT_BYTES).enumerate();
        let mut slots = slots.filter(|(_, slot)| slot.starts_with(&MAGIC));
        let Some((at, slot)) = slots.next() else {
            return Err(ComposeError::overlay("it has no slot"));
        };
        if slots.next().is_some() {
            return Err(ComposeError::overlay("it has more than one slot"));
        }
        if slot.iter().skip(MAGIC.len()).any(|byte| *byte != 0) {
            return Err(ComposeError::overlay("its slot is already filled"));
        }
        let at = self.start + at;
        if u64::try_from(at + SLOT_BYTES).map_err(ComposeError::overlay)? > self.size {
            return Err(ComposeError::overlay("its slot is truncated"));
        }
        i32::try_from(at + MAGIC.len()).map_err(ComposeError::overlay)
    }
}

/// Returns the address and the bytes of a data segment, or `None` if it is passive.
fn active_segment<'a>(data: &Data<'a>) -> Result<Option<(usize, &'a [u8])>, ComposeError> {
    let DataKind::Active { offset_expr, .. } = &data.kind else {
        return Ok(None);
    };
    let mut operators = offset_expr.get_operators_reader();
    match operators.read().map_err(ComposeError::overlay)? {
        Operator::I32Const { value } => {
            let at = usize::try_from(value.cast_unsigned()).map_err(ComposeError::overlay)?;
            Ok(Some((at, data.data)))
        }
        _ => Err(ComposeError::overlay("its data has no constant address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn filled_slot() -> Vec<u8> {
        let config = Config {
            lowers: vec!["/base".into()],
            ..Config::default()
        };
        config.to_slot().unwrap()
    }

    fn empty_slot() -> Vec<u8> {
        let mut slot = MAGIC.to_vec();
        slot.resize(SLOT_BYTES, 0);
        slot
    }

    /// A module with these data segments. `data.drop` makes it have a data count section too.
    fn module(segments: &[(u32, &[u8])]) -> Vec<u8> {
        let data = segments.iter().map(|(at, data)| {
            let bytes: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
            format!("(data (i32.const {at}) \"{bytes}\")")
        });
        let text = format!(
            "(module (memory 1) (func data.drop 0) {})",
            data.collect::<String>()
        );
        wat::parse_str(text).unwrap()
    }

    /// The start of a module's initial memory, up to the end of its data.
    fn memory(core: &[u8]) -> Vec<u8> {
        wasmparser::Validator::new().validate_all(core).unwrap();
        let memory = InitialMemory::read(core).unwrap();
        let mut bytes = vec![0; memory.start];
        bytes.extend(memory.bytes);
        bytes
    }

    fn reason(core: &[u8]) -> String {
        fill(core, &filled_slot()).unwrap_err().to_string()
    }

    #[test]
    fn filling_slot_changes_nothing_else() {
        let around = |slot: &[u8]| [b"in ", slot, b" front"].concat();
        let with = |slot: &[u8]| module(&[(8, b"before"), (20, &around(slot)), (9000, b"x")]);
        let filled = fill(&with(&empty_slot()), &filled_slot()).unwrap();
        assert_eq!(memory(&filled), memory(&with(&filled_slot())));
        assert!(reason(&filled).contains("already filled"));
    }

    /// wasm-opt removed the zeros of the slot, including those of the magic, and the slot was not
    /// found.
    #[test]
    fn slot_is_found_without_its_zeros() {
        let nonzero = MAGIC
            .strip_prefix(b"\0")
            .unwrap()
            .strip_suffix(b"\0")
            .unwrap();
        let packed = module(&[(101, nonzero), (100 + 4096, b"behind")]);
        let whole = module(&[(100, &[&filled_slot()[..], b"behind"].concat())]);
        let filled = fill(&packed, &filled_slot()).unwrap();
        assert_eq!(memory(&filled), memory(&whole));
        // At both ends of the data, and of the memory.
        for at in [1, 65536 - 4096 + 1] {
            let filled = fill(&module(&[(at, nonzero)]), &filled_slot()).unwrap();
            let from = at as usize - 1;
            assert_eq!(memory(&filled)[from..from + SLOT_BYTES], filled_slot());
        }
    }

    #[test]
    fn overlay_in_component_is_recognized() {
        assert!(contains_overlay(&module(&[(8, &empty_slot())])));
        assert!(contains_overlay(&module(&[(8, &filled_slot())])));
        let nonzero = MAGIC.strip_prefix(b"\0").unwrap();
        assert!(contains_overlay(&module(&[(8, nonzero)])));
        assert!(contains_overlay(b"wasi-overlay:component/config@0.1.0"));
        // An interface or a name of ours that a program may mention.
        assert!(!contains_overlay(&module(&[(8, b"wasi-overlay")])));
        assert!(!contains_overlay(b""));
    }

    #[test]
    fn module_without_exactly_one_empty_slot_is_refused() {
        let empty = empty_slot();
        assert!(reason(&module(&[(0, b"x")])).contains("no slot"));
        assert!(reason(&module(&[(0, &empty), (5000, &empty)])).contains("more than one"));
        assert!(reason(&module(&[(0, &filled_slot())])).contains("already filled"));
        assert!(reason(&module(&[(0, &empty[1..])])).contains("no slot"));
        assert!(reason(&module(&[(65536 - 4095, &MAGIC)])).contains("slot is truncated"));
        assert!(reason(&module(&[(0, &MAGIC), (1 << 30, b"far")])).contains("too far apart"));
        assert!(reason(b"\0asm").contains("cannot be used"));
        let relocatable = wat::parse_str(
            r#"(module (import "e" "g" (global i32)) (memory 1) (data (global.get 0) "x"))"#,
        );
        assert!(reason(&relocatable.unwrap()).contains("no constant address"));
    }
}
