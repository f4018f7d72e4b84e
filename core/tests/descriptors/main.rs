//! The process has a limited number of descriptors: what mounts cache of them never keeps another
//! mount, or the guest itself, from a call that could be answered without the cache, and guests
//! leave some to the engine.
//!
//! A plain directory is the oracle: it holds one descriptor for what is open, and no other.
#![cfg(feature = "dir")]

mod cached;
mod guests;
mod kit;
#[path = "../limited/mod.rs"]
mod limited;
