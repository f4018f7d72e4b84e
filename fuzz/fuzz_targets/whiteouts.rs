//! libFuzzer entry point for [`whiteouts`](wasi_overlay_proof::fuzz::whiteouts).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasi_overlay_proof::fuzz::whiteouts(data));
