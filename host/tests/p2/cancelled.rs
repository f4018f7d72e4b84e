//! What is left of a guest that was cancelled: calls that go on in the blocking pool.
//!
//! An embedder ran guests with `tokio::time::timeout`, dropped the store and the overlay of one that
//! took too long, and mounted the same upper for the next: in 14 of 40 tries the upper was `busy`,
//! since a call in the pool still held the overlay. Tests only mounted again after calls had ended.

use crate::slow;
use crate::support::{State, mounted};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::time::timeout;
use wasi_overlay::p2::bindings::types::{DescriptorFlags, HostDescriptor, OpenFlags, PathFlags};
use wasi_overlay::{Errno, FsPerms, Overlay, OverlayCtx, OverlayView, close_async};

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(60);

fn open(path: &Path) -> Dir {
    Dir::open_ambient_dir(path, ambient_authority()).unwrap()
}

fn mount(upper: &Path) -> Result<Overlay, wasi_overlay::Error> {
    Overlay::builder().upper_dir("upper", open(upper)).build()
}

/// An overlay whose guest was cancelled while it opened a lower file for writing: the copy-up waits in
/// the pool until the gate opens. Nothing else holds the overlay.
async fn overlay_with_cancelled_guest(upper: &Path) -> (Overlay, Arc<slow::Gate>) {
    let (lower, gate) = slow::lower(LONG);
    let overlay = Overlay::builder()
        .lower(lower)
        .upper_dir("upper", open(upper))
        .build()
        .unwrap();
    // Caches the lookup, so that only the copy-up waits at the gate.
    overlay.root().stat_at("file", false).unwrap();
    gate.arm();
    let mut state: State = mounted(&overlay, FsPerms::ReadWrite, false);
    let root = state.preopens().remove(0);
    let (path, open, write) = (
        PathFlags::empty(),
        OpenFlags::empty(),
        DescriptorFlags::WRITE,
    );
    let mut view = state.overlay();
    let call = view.open_at(root, path, "file".into(), open, write);
    assert!(timeout(SOON, call).await.is_err());
    (overlay, gate)
}

#[tokio::test]
async fn mounting_an_upper_waits_for_the_calls_of_a_dropped_overlay() {
    let upper = TempDir::new().unwrap();
    let (overlay, gate) = overlay_with_cancelled_guest(upper.path()).await;
    drop(overlay);
    let opener = thread::spawn(move || {
        thread::sleep(SOON * 2);
        gate.open();
    });
    let next = mount(upper.path()).unwrap();
    opener.join().unwrap();
    next.close().unwrap();
}

#[tokio::test]
async fn mounting_an_upper_does_not_wait_for_calls_forever() {
    let upper = TempDir::new().unwrap();
    let (overlay, gate) = overlay_with_cancelled_guest(upper.path()).await;
    drop(overlay);
    let began = Instant::now();
    let error = mount(upper.path()).unwrap_err();
    assert!(began.elapsed() < LONG);
    assert_eq!(error.errno(), Errno::Busy);
    let message = error.to_string();
    assert!(message.contains("has not ended"), "{message}");
    gate.open();
    mount(upper.path()).unwrap();
}

#[test]
fn upper_of_a_held_overlay_is_busy_without_waiting() {
    let upper = TempDir::new().unwrap();
    let overlay = mount(upper.path()).unwrap();
    let clone = overlay.clone();
    drop(overlay);
    let began = Instant::now();
    assert_eq!(mount(upper.path()).unwrap_err().errno(), Errno::Busy);
    assert!(began.elapsed() < Duration::from_secs(1));
    drop(clone);
    mount(upper.path()).unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn close_async_ends_with_the_last_call_that_changes_the_upper() {
    let upper = TempDir::new().unwrap();
    let (overlay, gate) = overlay_with_cancelled_guest(upper.path()).await;
    let mut closing = pin!(close_async(overlay));
    assert!(
        timeout(SOON * 2, &mut closing).await.is_err(),
        "the copy-up is still in progress"
    );
    gate.open();
    closing.await.unwrap();
    let left = || {
        let entries = std::fs::read_dir(upper.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let after_close = left();
    assert!(!after_close.contains(&".wh..wh.work".into()));
    thread::sleep(SOON);
    assert_eq!(left(), after_close, "a call went on after the close");
    mount(upper.path()).unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn dropping_close_async_does_not_stop_the_close() {
    let upper = TempDir::new().unwrap();
    let overlay = mount(upper.path()).unwrap();
    let clone = overlay.clone();
    drop(timeout(Duration::ZERO, close_async(overlay)).await);
    let began = Instant::now();
    while !clone.is_closed() {
        assert!(began.elapsed() < LONG);
        thread::sleep(Duration::from_millis(1));
    }
}

/// `close_async` was an `async fn`: it began with the first poll, and a future that was dropped before that
/// left the overlay mounted.
#[test]
fn close_async_begins_before_the_first_poll() {
    let close = || {
        let upper = TempDir::new().unwrap();
        let overlay = mount(upper.path()).unwrap();
        let clone = overlay.clone();
        drop(close_async(overlay));
        let began = Instant::now();
        while !clone.is_closed() {
            assert!(began.elapsed() < LONG);
            thread::sleep(Duration::from_millis(1));
        }
    };
    // First without a runtime, then in one.
    close();
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { close() });
}

#[test]
fn close_async_reports_a_runtime_that_was_shut_down() {
    let upper = TempDir::new().unwrap();
    let overlay = mount(upper.path()).unwrap();
    let clone = overlay.clone();
    let runtime = Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let closing = {
        let _entered = handle.enter();
        close_async(overlay)
    };
    let other = Builder::new_current_thread().build();
    let error = other.unwrap().block_on(closing).unwrap_err();
    assert_eq!(error.errno(), Errno::Io);
    let message = error.to_string();
    assert!(message.contains("was dropped instead"), "{message}");
    assert!(!clone.is_closed());
}

#[test]
fn context_refuses_a_closed_overlay() {
    // The context used to accept it, and its guest got `io` from every change.
    let upper = TempDir::new().unwrap();
    let overlay = mount(upper.path()).unwrap();
    overlay.close().unwrap();
    for perms in [FsPerms::ReadOnly, FsPerms::ReadWrite] {
        let mut files = OverlayCtx::builder();
        let Err(refused) = files.overlay(&overlay, "/data", perms) else {
            panic!("the context took it");
        };
        let message = refused.to_string();
        assert!(message.contains("\"/data\""), "{message}");
        assert!(message.contains("is closed"), "{message}");
        files
            .overlay(&mount(upper.path()).unwrap(), "/data", perms)
            .unwrap();
    }
}
