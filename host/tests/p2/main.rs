//! Tests of WASI 0.2: they call the host functions as the bindings do, and run handwritten components that
//! no toolchain would generate.

mod async_calls;
mod blocking;
mod calls;
mod cancelled;
mod linker;
mod runtime;
mod slow;
mod streams;
mod support;
