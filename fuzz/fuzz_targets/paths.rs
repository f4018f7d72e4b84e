//! libFuzzer entry point for [`paths`](wasi_overlay_proof::fuzz::paths).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasi_overlay_proof::fuzz::paths(data));
