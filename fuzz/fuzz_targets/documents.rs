//! libFuzzer entry point for [`documents`](wasi_overlay_image::fuzz::documents).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasi_overlay_image::fuzz::documents(data));
