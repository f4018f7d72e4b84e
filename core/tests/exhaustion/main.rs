//! Guests that exceed limits. Every limit has an error code, memory stays bounded, and calls work again once there is
//! room.
//!
//! All memory of the process is counted ([`held`], [`peak_of`]), so one test runs at a time.
#![cfg(all(feature = "conformance", feature = "dir"))]

mod archive;
mod bounded;
mod copy;
mod cost;
mod depth;
mod failures;
mod full;
mod listings;
mod million;
mod moved;
mod sweep;
mod trees;

use peak_alloc::PeakAlloc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wasi_overlay_proof::kit::{CREATE, READ, capability, dir, file, scratch};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// Runs one test at a time, since memory and descriptors belong to the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes that are allocated now.
fn held() -> usize {
    ALLOCATOR.current_usage()
}

/// The peak of bytes allocated during `call`, without those allocated before.
fn peak_of<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = held();
    ALLOCATOR.reset_peak_usage();
    let result = call();
    (result, ALLOCATOR.peak_usage().saturating_sub(before))
}
