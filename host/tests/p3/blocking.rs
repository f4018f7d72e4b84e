//! Where a call blocks: a call that waits for a disk stalls no other task of its store, unless the
//! embedder allowed that.

use crate::slow;
use crate::state::{State, store};
use std::time::Duration;
use wasi_overlay::p3::bindings::types::{HostDescriptorWithStore, PathFlags};
use wasi_overlay::p3::{FsError, FsResult};
use wasi_overlay::{Errno, OverlayView, WasiOverlay};
use wasmtime::component::Accessor;

/// A guest's `stat-at` on the slow layer, beside another task of its store that opens the gate.
async fn stat_beside_another_task(allow_blocking: bool, patience: Duration) -> FsResult<u64> {
    let (overlay, gate) = slow::overlay(patience);
    let (mut store, root) = store(&overlay, allow_blocking);
    gate.arm();
    let both = async |store: &Accessor<State>| {
        let view = store.with_getter::<WasiOverlay>(State::overlay);
        let path = "file".to_owned();
        let stat = WasiOverlay::stat_at(&view, root, PathFlags::empty(), path);
        // One thread runs both: the gate opens only if the call gives the thread back.
        let (stat, ()) = tokio::join!(stat, async { gate.open() });
        stat
    };
    let stat = store.run_concurrent(both).await.unwrap();
    Ok(stat?.size)
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_that_waits_for_a_disk_stalls_no_other_task() {
    let stat = stat_beside_another_task(false, Duration::from_secs(60));
    assert_eq!(stat.await.unwrap(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_stays_on_its_thread_where_that_is_allowed() {
    let stat = stat_beside_another_task(true, Duration::from_millis(50));
    assert!(matches!(stat.await, Err(FsError::Code(Errno::Busy))));
}
