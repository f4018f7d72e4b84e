//! WASI 0.3, by calling the host functions as a guest's calls reach them.

mod blocking;
#[path = "../p2/slow.rs"]
mod slow;
mod state;
