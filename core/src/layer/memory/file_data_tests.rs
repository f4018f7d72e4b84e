//! Tests of [`FileData`] against a model: a `Vec<u8>`.

use super::file_data::{FileData, MAX_FILE_SIZE};
use super::quota::Quota;
use crate::error::Errno;
use proptest::prelude::*;
use std::sync::Arc;

/// The size of the window in which the test writes: a few chunks and a bit.
const WINDOW: usize = 300_000;

#[derive(Clone, Debug)]
enum Op {
    Write { at: usize, length: usize, seed: u8 },
    Append { length: usize, seed: u8 },
    SetSize(usize),
    Read { at: usize, length: usize },
}

/// Offsets, more of them on and beside the bounds of pages and chunks than elsewhere.
fn offset() -> impl Strategy<Value = usize> {
    let bound = (
        0_usize..5,
        prop_oneof![Just(4096), Just(65_536)],
        -2_isize..=2,
    )
        .prop_map(|(count, unit, off)| (count * unit).saturating_add_signed(off));
    prop_oneof![bound, 0..WINDOW]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        0_usize..20,
        4090_usize..4100,
        65_530_usize..65_540,
        0_usize..150_000
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (offset(), length(), any::<u8>())
            .prop_map(|(at, length, seed)| Op::Write { at, length, seed }),
        1 => (length(), any::<u8>()).prop_map(|(length, seed)| Op::Append { length, seed }),
        2 => offset().prop_map(Op::SetSize),
        2 => (offset(), length()).prop_map(|(at, length)| Op::Read { at, length }),
    ]
}

/// A window of a file that begins at `base`. Everything before it is a hole.
struct Model {
    base: u64,
    bytes: Vec<u8>,
}

impl Model {
    fn write(&mut self, at: usize, part: &[u8]) {
        if !part.is_empty() {
            let end = at + part.len();
            self.bytes.resize(self.bytes.len().max(end), 0);
            self.bytes[at..end].copy_from_slice(part);
        }
    }
}

fn filled(seed: u8, length: usize) -> Vec<u8> {
    // Never zero, so that a missing byte shows.
    (0..length)
        .map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed) | 1)
        .collect()
}

fn write(data: &mut FileData, model: &mut Model, at: usize, part: &[u8], room: u64) {
    let offset = model.base + at as u64;
    match data.write(part, offset) {
        Ok(done) => {
            assert!(
                done > 0 || part.is_empty(),
                "wrote nothing without an error"
            );
            assert!(
                done == part.len() || room < u64::MAX,
                "a short write with quota left"
            );
            model.write(at, &part[..done]);
        }
        Err(error) if error.errno() == Errno::FileTooLarge => {
            assert!(offset + part.len() as u64 > MAX_FILE_SIZE);
        }
        Err(error) => {
            assert_eq!(error.errno(), Errno::InsufficientSpace);
            assert!(room < u64::MAX, "full, with quota left");
        }
    }
}

fn check(data: &FileData, model: &Model, quota: &Quota) {
    let end = model.base + model.bytes.len() as u64;
    assert_eq!(data.size(), end);
    assert_eq!(quota.usage().bytes, data.allocated());
    assert!(quota.usage().bytes <= quota.usage().max_bytes);
    let chunks = model.bytes.len().div_ceil(65_536) as u64 + 1;
    assert!(
        data.allocated() <= chunks * 65_536,
        "stores bytes that were truncated"
    );

    let mut offset = 0;
    let mut zeroes_from = 0;
    while let Some(stretch) = data.next_data(offset) {
        assert!(offset <= stretch.start && stretch.start < stretch.end && stretch.end <= end);
        assert!(
            stretch.start >= model.base & !65_535,
            "data before the first write"
        );
        let start = stretch.start.saturating_sub(model.base) as usize;
        assert!(
            model.bytes[zeroes_from..start]
                .iter()
                .all(|&byte| byte == 0)
        );
        zeroes_from = stretch.end.saturating_sub(model.base) as usize;
        offset = stretch.end;
    }
    assert!(model.bytes[zeroes_from..].iter().all(|&byte| byte == 0));

    let mut all = vec![0xa5; model.bytes.len() + 1];
    assert_eq!(data.read(&mut all, model.base), model.bytes.len());
    assert!(all[..model.bytes.len()] == model.bytes, "reads differently");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn data_equals_a_plain_vector(
        base in prop_oneof![Just(0), Just(1 << 40), Just(12_345), Just(MAX_FILE_SIZE - 200_000)],
        room in prop_oneof![Just(u64::MAX), Just(100_000_u64), Just(65_536)],
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let quota = Arc::new(Quota::new(room, 1));
        let mut data = FileData::new(Arc::clone(&quota));
        data.set_size(base).unwrap();
        let mut model = Model { base, bytes: Vec::new() };
        for op in ops {
            match op {
                Op::Write { at, length, seed } => {
                    write(&mut data, &mut model, at, &filled(seed, length), room);
                }
                Op::Append { length, seed } => {
                    let end = model.bytes.len();
                    write(&mut data, &mut model, end, &filled(seed, length), room);
                }
                Op::SetSize(size) => match data.set_size(base + size as u64) {
                    Ok(()) => model.bytes.resize(size, 0),
                    Err(error) => {
                        assert_eq!(error.errno(), Errno::FileTooLarge);
                        assert!(base + size as u64 > MAX_FILE_SIZE);
                    }
                },
                Op::Read { at, length } => {
                    let mut buffer = vec![0xa5; length];
                    let done = data.read(&mut buffer, base + at as u64);
                    let expected = model.bytes.get(at..).unwrap_or_default();
                    let expected = &expected[..expected.len().min(length)];
                    assert!(&buffer[..done] == expected);
                    assert!(buffer[done..].iter().all(|&byte| byte == 0xa5));
                }
            }
            check(&data, &model, &quota);
        }
        data.set_size(0).unwrap();
        prop_assert_eq!(quota.usage().bytes, 0);
    }
}

#[test]
fn a_dropped_file_returns_all_its_quota() {
    let quota = Arc::new(Quota::new(1 << 30, 1));
    let mut data = FileData::new(Arc::clone(&quota));
    data.write(&filled(1, 100_000), 0).unwrap();
    data.write(&filled(1, 1), 1 << 50).unwrap();
    assert!(quota.usage().bytes >= 100_001);
    drop(data);
    assert_eq!(quota.usage().bytes, 0);
}

#[test]
fn a_small_file_takes_the_pages_that_it_fills() {
    for (length, stored) in [(1, 4096), (4096, 4096), (4097, 8192), (33_000, 36_864)] {
        let quota = Arc::new(Quota::new(u64::MAX, 1));
        let mut data = FileData::new(Arc::clone(&quota));
        data.write(&filled(1, length), 0).unwrap();
        assert_eq!(quota.usage().bytes, stored, "{length}");
    }
}

#[test]
fn a_file_grown_byte_by_byte_is_reallocated_only_a_few_times() {
    let quota = Arc::new(Quota::new(u64::MAX, 1));
    let mut data = FileData::new(Arc::clone(&quota));
    let mut steps = std::collections::BTreeSet::new();
    for offset in 0..65_536 {
        data.write(b"x", offset).unwrap();
        steps.insert(quota.usage().bytes);
    }
    assert_eq!(
        steps.into_iter().collect::<Vec<_>>(),
        [4096, 8192, 16_384, 32_768, 65_536]
    );
}
