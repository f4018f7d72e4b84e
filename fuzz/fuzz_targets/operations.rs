//! libFuzzer entry point for [`operations`](wasi_overlay_proof::fuzz::operations).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasi_overlay_proof::fuzz::operations(data));
