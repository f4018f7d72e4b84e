//! libFuzzer entry point for [`indexes`](wasi_overlay_proof::fuzz::indexes).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasi_overlay_proof::fuzz::indexes(data));
