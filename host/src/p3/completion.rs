//! The future that reports how a stream ended.

use super::bindings::types::ErrorCode;
use tokio::sync::oneshot;
use wasi_overlay_core::Errno;
use wasmtime::AsContextMut;
use wasmtime::component::FutureReader;

/// The future that a guest gets together with a stream that it reads, or for a stream that it writes.
pub(super) type CompletionFuture = FutureReader<Result<(), ErrorCode>>;

/// The host's end of a [`CompletionFuture`]. It sends the result of the stream once. Dropping it without
/// a result sends success, since a guest may end a stream at any time.
pub(super) struct Completion(Option<oneshot::Sender<Result<(), ErrorCode>>>);

impl Completion {
    /// Makes both ends.
    pub(super) fn new(store: impl AsContextMut) -> wasmtime::Result<(Self, CompletionFuture)> {
        let (sender, receiver) = oneshot::channel();
        Ok((Self(Some(sender)), FutureReader::new(store, receiver)?))
    }

    /// Sends the result, unless one was sent before.
    pub(super) fn send(&mut self, result: Result<(), Errno>) {
        if let Some(sender) = self.0.take() {
            // Sending fails if the guest has dropped its end, which means that it ignores the result.
            let _ignored = sender.send(result.map_err(Into::into));
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.send(Ok(()));
    }
}
