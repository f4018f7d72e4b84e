//! Tests of WASI 0.3 that call the host functions as the bindings do.

mod blocking;
#[path = "../p2/slow.rs"]
mod slow;
mod state;
