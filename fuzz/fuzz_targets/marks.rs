//! libFuzzer entry point for [`marks`](wasi_overlay_proof::fuzz::marks).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasi_overlay_proof::fuzz::marks(data));
