//! libFuzzer entry point for [`archives`](wasi_overlay_proof::fuzz::archives).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasi_overlay_proof::fuzz::archives(data));
