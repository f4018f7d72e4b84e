//! Where a call blocks: on its own thread only if the embedder allows it.

use crate::slow;
use crate::support::{State, mounted};
use std::time::Duration;
use wasi_overlay::p2::bindings::types::{HostDescriptor, PathFlags};
use wasi_overlay::p2::{FsError, FsResult};
use wasi_overlay::{Errno, FsPerms, OverlayView};

/// A guest's `stat-at` on the slow layer, beside a task that opens the gate.
async fn stat_beside_another_task(allow_blocking: bool, patience: Duration) -> FsResult<u64> {
    let (overlay, gate) = slow::overlay(patience);
    let mut state: State = mounted(&overlay, FsPerms::ReadOnly, allow_blocking);
    let root = state.preopens().remove(0);
    gate.arm();

    let mut view = state.overlay();
    let stat = view.stat_at(root, PathFlags::empty(), "file".into());
    // One thread runs both: the gate opens only if the call gives the thread back.
    let (stat, ()) = tokio::join!(stat, async { gate.open() });
    Ok(stat?.size)
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_that_waits_for_a_disk_leaves_the_executors_thread() {
    let stat = stat_beside_another_task(false, Duration::from_secs(60));
    assert_eq!(stat.await.unwrap(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_stays_on_its_thread_where_that_is_allowed() {
    let stat = stat_beside_another_task(true, Duration::from_millis(50));
    assert!(matches!(stat.await, Err(FsError::Code(Errno::Busy))));
}
