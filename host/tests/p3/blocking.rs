//! Tests that a call that waits for a disk stalls no other task of its store, unless the embedder allows
//! blocking.

use crate::slow;
use crate::state::{State, store};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wasi_overlay::p3::bindings::types::{HostDescriptorWithStore, PathFlags};
use wasi_overlay::p3::{FsError, FsResult};
use wasi_overlay::{Errno, OverlayView, WasiOverlay};
use wasmtime::component::{Accessor, Resource};

/// Calls `stat-at` on the slow layer, concurrently with another task of the store that opens the gate.
async fn stat_beside_another_task(allow_blocking: bool, patience: Duration) -> FsResult<u64> {
    let (overlay, gate) = slow::overlay(patience);
    let (mut store, root) = store(&overlay, allow_blocking);
    gate.arm();
    let both = async |store: &Accessor<State>| {
        let view = store.with_getter::<WasiOverlay>(State::overlay);
        let path = "file".to_owned();
        let stat = WasiOverlay::stat_at(&view, root, PathFlags::empty(), path);
        // One thread runs both: the gate opens only if the call yields the thread.
        let (stat, ()) = tokio::join!(stat, async { gate.open() });
        stat
    };
    let stat = store.run_concurrent(both).await.unwrap();
    Ok(stat?.size)
}

#[tokio::test(flavor = "current_thread")]
async fn call_that_waits_for_a_disk_stalls_no_other_task() {
    let stat = stat_beside_another_task(false, Duration::from_secs(60));
    assert_eq!(stat.await.unwrap(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn call_stays_on_its_thread_if_the_embedder_allows_blocking() {
    let stat = stat_beside_another_task(true, Duration::from_millis(50));
    assert!(matches!(stat.await, Err(FsError::Code(Errno::Busy))));
}

/// A cached answer is returned at the first poll, although the layer would not answer.
#[tokio::test(flavor = "current_thread")]
async fn cached_answer_does_not_leave_the_thread() {
    let (overlay, gate) = slow::overlay(Duration::from_secs(60));
    let (mut store, root) = store(&overlay, false);
    gate.arm();
    let ask = async |store: &Accessor<State>| {
        let view = store.with_getter::<WasiOverlay>(State::overlay);
        let stat = || {
            let fd = Resource::new_borrow(root.rep());
            WasiOverlay::stat_at(&view, fd, PathFlags::empty(), "file".to_owned())
        };
        gate.open();
        assert_eq!(stat().await.unwrap().size, 5);
        gate.shut();
        match pin!(stat()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(stat) => stat.unwrap().size,
            Poll::Pending => panic!("it waits, and nothing is unknown"),
        }
    };
    assert_eq!(store.run_concurrent(ask).await.unwrap(), 5);
}
