//! Tests that a call blocks the executor's thread only if the embedder allows it.

use crate::slow;
use crate::support::{State, borrow, mounted};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wasi_overlay::p2::bindings::types::{
    DescriptorFlags, HostDescriptor, HostDirectoryEntryStream, OpenFlags, PathFlags,
};
use wasi_overlay::p2::{FsError, FsResult};
use wasi_overlay::{Errno, FsPerms, OverlayView};

/// Calls `stat-at` on the slow layer, concurrently with a task that opens the gate.
async fn stat_beside_another_task(allow_blocking: bool, patience: Duration) -> FsResult<u64> {
    let (overlay, gate) = slow::overlay(patience);
    let mut state: State = mounted(&overlay, FsPerms::ReadOnly, allow_blocking);
    let root = state.preopens().remove(0);
    gate.arm();

    let mut view = state.overlay();
    let stat = view.stat_at(root, PathFlags::empty(), "file".into());
    // One thread runs both: the gate opens only if the call yields the thread.
    let (stat, ()) = tokio::join!(stat, async { gate.open() });
    Ok(stat?.size)
}

#[tokio::test(flavor = "current_thread")]
async fn call_that_waits_for_a_disk_leaves_the_executors_thread() {
    let stat = stat_beside_another_task(false, Duration::from_secs(60));
    assert_eq!(stat.await.unwrap(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn call_stays_on_its_thread_if_the_embedder_allows_blocking() {
    let stat = stat_beside_another_task(true, Duration::from_millis(50));
    assert!(matches!(stat.await, Err(FsError::Code(Errno::Busy))));
}

/// The answer of an asynchronous host function at its first poll; `None` if it yields the thread.
fn poll_once<T>(call: impl Future<Output = T>) -> Option<T> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// A request: it stats a file, reads a link and a file, and lists two directories.
async fn request(state: &mut State) -> FsResult<(u64, String, Vec<u8>, usize)> {
    let root = state.preopens().remove(0);
    let fd = || borrow(&root);
    let mut view = state.overlay();
    let (follow, none) = (PathFlags::SYMLINK_FOLLOW, OpenFlags::empty());
    let size = view.stat_at(fd(), follow, "link".into()).await?.size;
    let target = view.readlink_at(fd(), "link".into()).await?;
    view.metadata_hash_at(fd(), follow, "dir/inner".into())
        .await?;
    let read = DescriptorFlags::READ;
    let opening = view.open_at(fd(), follow, "dir/inner".into(), none, read);
    let file = opening.await?;
    let (data, _) = view.read(borrow(&file), 100, 0).await?;
    assert_eq!(view.stat(borrow(&file)).await?.size, 6);
    let stream = view.read_via_stream(borrow(&file), 2)?;
    let stream = view.table.get_mut(&stream)?;
    assert_eq!(stream.blocking_read(100).await.unwrap(), "side");
    let opening = view.open_at(fd(), follow, "dir".into(), OpenFlags::DIRECTORY, read);
    let dir = opening.await?;
    let mut names = 0;
    for dir in [fd(), dir] {
        let entries = view.read_directory(dir).await?;
        while view.read_directory_entry(borrow(&entries))?.is_some() {
            names += 1;
        }
    }
    Ok((size, target, data, names))
}

/// Each call of a cold request waits for the layer and leaves the only thread free to open the gate. A warm
/// request never waits: it completes at its first poll, although the layer would not answer.
#[tokio::test(flavor = "current_thread")]
async fn warm_request_never_goes_to_the_pool() {
    let (overlay, gate) = slow::overlay(Duration::from_secs(60));
    let mut state = mounted(&overlay, FsPerms::ReadOnly, false);
    gate.arm();
    let gave_back = std::cell::Cell::new(0);
    let expected = (5, "file".to_owned(), b"inside".to_vec(), 4);
    {
        let mut cold = pin!(request(&mut state));
        let cold = std::future::poll_fn(|context| {
            gate.shut();
            let polled = cold.as_mut().poll(context);
            gave_back.set(gave_back.get() + usize::from(polled.is_pending()));
            gate.open();
            polled
        });
        assert_eq!(cold.await.unwrap(), expected);
    }
    assert!(gave_back.get() >= 4, "{gave_back:?}");

    gate.shut();
    let warm = poll_once(request(&mut state)).expect("all is known");
    assert_eq!(warm.unwrap(), expected);
}
