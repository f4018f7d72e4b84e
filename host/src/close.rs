//! [`close_async`]: closes an overlay from asynchronous code.

use crate::blocking::DetachedTask;
use wasi_overlay_core::{Errno, Error, Overlay, Result};

/// [Closes](Overlay::close) an overlay in tokio's blocking pool, and drops it there.
///
/// For asynchronous programs: `Overlay::close` and the last drop of an overlay block their thread for the
/// system calls of an unmount, and until changes in progress have ended. First drop the guests' stores
/// and their [`OverlayCtx`](crate::OverlayCtx)s.
///
/// # Cancelled guests
/// Dropping the future that runs a guest cancels the guest, as `tokio::time::timeout` does. A call that
/// the guest has in the pool cannot be stopped: it runs to its end, and may still create, change, copy up
/// or remove the one file that it operates on. A write that a stream has accepted is made too. Calls that
/// have not started are not made. Once the future has returned, none of these calls changes the upper,
/// and the upper can be mounted again. If you only drop the overlay instead, it is closed when the last
/// of those calls ends, and [`OverlayBuilder::build`](crate::OverlayBuilder::build) waits for that.
///
/// The close starts with this call, not with the first poll of the future: the overlay is closed even if
/// the future is dropped. The caller needs no runtime; without one, the close runs in the pool of
/// wasmtime-wasi's runtime.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> wasmtime::Result<()> {
/// use wasi_overlay::{Overlay, close_async};
///
/// let overlay = Overlay::builder().upper_memory(64 << 20).build()?;
/// // Run guests, and drop their stores.
/// close_async(overlay).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Any error returned by the upper, and `io` if the runtime was shut down before the close could start:
/// then the overlay was only dropped.
pub fn close_async(overlay: Overlay) -> impl Future<Output = Result<()>> + Send + 'static {
    let mut closing = DetachedTask::start(move || overlay.close());
    async move {
        closing.wait().await.unwrap_or_else(|| {
            let message = "the runtime was shut down before the overlay could be closed, so the overlay \
                           was dropped instead: shut the runtime down after `close_async` has returned";
            Err(Error::new(Errno::Io, message))
        })
    }
}
