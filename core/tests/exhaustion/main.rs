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

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wasi_overlay_proof::kit::{CREATE, READ, capability, dir, file, scratch};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller upholds the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as before.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const MIB: usize = 1 << 20;

/// Runs one test at a time, since memory and descriptors belong to the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes that are allocated now.
fn held() -> usize {
    HELD.load(Relaxed)
}

/// The peak of bytes allocated during `call`, without those allocated before.
fn peak_of<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = held();
    PEAK.store(before, Relaxed);
    let result = call();
    (result, PEAK.load(Relaxed).saturating_sub(before))
}
