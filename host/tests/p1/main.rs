//! WASI 0.1 as a module sees it: raw calls, the same for wasmtime-wasi on a plain directory and
//! for every way that this crate can serve it. wasmtime-wasi is the oracle; where the two are to
//! differ, the test says so.

mod blocking;
mod data;
mod descriptors;
mod driver;
mod paths;
mod poll;
mod readdir;
mod runtime;
