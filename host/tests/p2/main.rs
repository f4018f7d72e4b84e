//! `wasi:filesystem@0.2` as embedders and guests meet it: the host functions called as the
//! bindings call them, and components made here for what no toolchain makes.

mod async_calls;
mod blocking;
mod calls;
mod cancelled;
mod linker;
mod runtime;
mod slow;
mod streams;
mod support;
