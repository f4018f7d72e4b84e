//! wasi-overlay as a component.
#![cfg(target_family = "wasm")]
