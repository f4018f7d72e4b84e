//! The one place that knows about threads: a call runs where the embedder allows it to block.

use wasmtime_wasi::runtime::spawn_blocking;

/// Where calls that may block run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// On the thread that the guest runs on.
    Inline,
    /// On tokio's blocking pool, so that the executor's thread stays free.
    #[default]
    Pool,
}

impl Blocking {
    /// Runs `call`, the whole of one guest call: one trip to the pool at most.
    pub(crate) async fn run<R: Send + 'static>(
        self,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        match self {
            Self::Inline => call(),
            Self::Pool => spawn_blocking(call).await,
        }
    }
}
