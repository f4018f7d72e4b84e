//! Ending a mount from asynchronous code.

use crate::blocking::Task;
use wasi_overlay_core::{Errno, Error, Overlay, Result};

/// [Closes](Overlay::close) an overlay in tokio's blocking pool, and drops it there.
///
/// For asynchronous programs: `Overlay::close` and the last drop of an overlay block their thread, for
/// the system calls of an unmount, and until changes that are under way have ended. Drop the stores of the
/// guests and their [`OverlayCtx`](crate::OverlayCtx)s first.
///
/// # Cancelled guests
/// A guest is cancelled by dropping the future that runs it, as `tokio::time::timeout` does. A call that
/// it was making in the pool cannot be stopped: it goes on to its end, and may still create, change,
/// copy up or remove the one file that it is about. A write that a stream has accepted is made, too.
/// Calls that had not begun are not made. After this function returns, none of them changes the upper,
/// and it can be mounted again. If instead the overlay is just dropped, it is closed when the last of
/// those calls ends, and [`OverlayBuilder::build`](crate::OverlayBuilder::build) waits for that.
///
/// The close begins with this call, not with the first poll of the future: if that is dropped, the
/// overlay is closed all the same. It needs no runtime of the caller's; without one, the pool is that of
/// wasmtime-wasi.
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
/// Those of the upper, and `io` if the runtime was shut down before the close could begin: then the
/// overlay was only dropped.
pub fn close_async(overlay: Overlay) -> impl Future<Output = Result<()>> + Send + 'static {
    let mut closing = Task::start(move || overlay.close());
    async move {
        closing.wait().await.unwrap_or_else(|| {
            let message = "the runtime was shut down before the overlay was closed, which was dropped \
                           instead: shut the runtime down after `close_async` is done";
            Err(Error::new(Errno::Io, message))
        })
    }
}
