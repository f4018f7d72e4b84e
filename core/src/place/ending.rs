//! Uppers of this process whose overlay was dropped while descriptors or calls of a guest still hold it.
//!
//! A guest that is cancelled leaves calls behind that cannot be stopped. The embedder drops the overlay
//! and mounts the upper for the next guest; the last call ends the first mount a moment later. So
//! mounting waits for such an overlay, and for none that the embedder holds. What holds it is not told
//! apart: a guest that goes on running is waited for too, in vain.

use crate::error::{Errno, Error, Result};
use crate::layer::erased::AnyLayer;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long mounting waits: longer than all calls but those that nothing bounds, such as the copy-up of
/// a huge file.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks.
const STEP: Duration = Duration::from_millis(1);

/// The uppers that are mounted. Guard: its own lock, a leaf.
///
/// Not one of `crate::sync`: those belong to one run of a schedule test, and this to the process.
static UPPERS: Mutex<Vec<Arc<Upper>>> = Mutex::new(Vec::new());

struct Upper {
    /// Of its root.
    device: u64,
    inode: u64,
    /// Whether no [`Overlay`](crate::Overlay) is left, only descriptors.
    dropped: AtomicBool,
    /// Whether it was given back.
    ended: AtomicBool,
}

/// What an overlay's clones share: dropped with the last of them.
pub(crate) struct Held(Arc<Upper>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::Release);
    }
}

/// An upper in the list, for as long as anything holds the overlay.
pub(crate) struct Mounted(Arc<Upper>);

impl Mounted {
    /// Notes that the upper was given back.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        with_uppers(|uppers| uppers.retain(|upper| !Arc::ptr_eq(upper, &self.0)));
    }
}

/// Every section leaves the list whole, so one that panicked takes nothing out of use.
fn with_uppers<T>(see: impl FnOnce(&mut Vec<Arc<Upper>>) -> T) -> T {
    see(&mut UPPERS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Enters an upper that was mounted, by device and inode of its root.
pub(crate) fn mounted(device: u64, inode: u64) -> (Mounted, Arc<Held>) {
    let upper = Arc::new(Upper {
        device,
        inode,
        dropped: AtomicBool::new(false),
        ended: AtomicBool::new(false),
    });
    with_uppers(|uppers| uppers.push(Arc::clone(&upper)));
    (Mounted(Arc::clone(&upper)), Arc::new(Held(upper)))
}

/// Takes `layer` into use with `take`, and waits for an overlay that is about to give it back.
///
/// # Errors
/// `busy` if it does not do so in time, or another mount has the layer; those of the layer.
pub(crate) fn retry_while_ending<L: AnyLayer + ?Sized, T>(
    layer: &L,
    take: impl Fn() -> Result<T>,
) -> Result<T> {
    let mut began = None;
    loop {
        // Before the attempt: an overlay that ends between the two has made room for it.
        let is_ending = is_ending(layer)?;
        match take() {
            Err(error) if error.errno() == Errno::Busy && is_ending => {
                if began.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    return Err(Error::new(
                        Errno::Busy,
                        format_args!(
                            "an overlay that was dropped has it as its upper, and its guest has not \
                             ended after {} s: end that guest first",
                            PATIENCE.as_secs()
                        ),
                    )
                    .in_layer(|| layer.label().to_owned()));
                }
            }
            taken => return taken,
        }
        sleep(STEP);
    }
}

/// Whether an overlay that was dropped has yet to give `layer` back.
fn is_ending<L: AnyLayer + ?Sized>(layer: &L) -> Result<bool> {
    let is = |other: &Upper| {
        other.dropped.load(Ordering::Acquire) && !other.ended.load(Ordering::Acquire)
    };
    if !with_uppers(|uppers| uppers.iter().any(|other| is(other))) {
        return Ok(false);
    }
    let root = layer.dir_meta(&layer.root()?)?;
    Ok(with_uppers(|uppers| {
        uppers
            .iter()
            .any(|other| (other.device, other.inode) == (root.device, root.inode) && is(other))
    }))
}
