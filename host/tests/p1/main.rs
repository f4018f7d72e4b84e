//! Tests of WASI 0.1 with raw calls of a core module, on wasmtime-wasi over a plain directory and on each
//! kind of linker and mount of this crate. wasmtime-wasi is the oracle; where this crate differs on
//! purpose, the test says so.

mod blocking;
mod data;
mod descriptors;
mod driver;
mod linking;
mod paths;
mod poll;
mod readdir;
mod runtime;
