//! The future that says how a stream ended.

use super::bindings::types::ErrorCode;
use tokio::sync::oneshot;
use wasi_overlay_core::Errno;
use wasmtime::AsContextMut;
use wasmtime::component::FutureReader;

/// What the guest gets beside a stream, or for one.
pub(super) type Ended = FutureReader<Result<(), ErrorCode>>;

/// The host's end of that future. It says once how the stream ended: well, if nothing else was
/// said before it was dropped, since a guest may end a stream whenever it wants.
pub(super) struct Outcome(Option<oneshot::Sender<Result<(), ErrorCode>>>);

impl Outcome {
    /// Makes both ends.
    pub(super) fn new(store: impl AsContextMut) -> wasmtime::Result<(Self, Ended)> {
        let (sender, receiver) = oneshot::channel();
        Ok((Self(Some(sender)), FutureReader::new(store, receiver)?))
    }

    /// Says how it ended.
    pub(super) fn end(&mut self, result: Result<(), Errno>) {
        if let Some(sender) = self.0.take() {
            // A guest that dropped its end does not want to know.
            let _unheard = sender.send(result.map_err(Into::into));
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}
