//! Thread selection: runs each call on its own thread or on tokio's blocking pool.
//!
//! A trip to the pool takes some 20 µs, and most answers are in memory. So where calls may not block
//! their thread, each is first tried there without waiting for anything ([`at_once`]), and goes to
//! the pool only if it has to wait for a disk.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::runtime::Handle;
use tokio::task::coop;
use wasi_overlay_core::at_once;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn_blocking, with_ambient_tokio_runtime};

/// Where a context runs calls that may block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// On the guest's thread.
    Inline,
    /// On tokio's blocking pool if the call has to wait, so that the executor's thread stays free.
    #[default]
    Pool,
}

impl Blocking {
    /// Starts `call`, which does all the work of one guest call, so that it makes one trip to the pool
    /// at most. An engine call that gives up because it would have to wait has changed nothing, so
    /// `call` may run a second time.
    pub(crate) fn run<R: Send + 'static>(
        self,
        call: impl Fn() -> R + Send + 'static,
    ) -> StartedCall<R> {
        match self {
            Self::Inline => StartedCall::Inline(call()),
            Self::Pool => match at_once(&call) {
                Some(answer) => StartedCall::WithoutWaiting(answer),
                None => StartedCall::InPool(spawn_blocking(call)),
            },
        }
    }

    /// Like [`run`](Self::run), for a call that is known to wait or that can run only once.
    pub(crate) fn run_once<R: Send + 'static>(
        self,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> StartedCall<R> {
        match self {
            Self::Inline => StartedCall::Inline(call()),
            Self::Pool => StartedCall::InPool(spawn_blocking(call)),
        }
    }

    /// Like [`run`](Self::run), for a call on `object`, which is cloned only for the pool.
    pub(crate) fn run_on<T: Clone + Send + 'static, R: Send + 'static>(
        self,
        object: &T,
        call: impl Fn(&T) -> R + Send + 'static,
    ) -> StartedCall<R> {
        match self {
            Self::Inline => StartedCall::Inline(call(object)),
            Self::Pool => match at_once(|| call(object)) {
                Some(answer) => StartedCall::WithoutWaiting(answer),
                None => {
                    let object = object.clone();
                    StartedCall::InPool(spawn_blocking(move || call(&object)))
                }
            },
        }
    }

    /// Runs `call` on this thread if it may block there, or if it need not wait; returns `None` if it
    /// has to run in the pool. An asynchronous caller has to [consume budget](Self::consume_budget)
    /// afterwards.
    pub(crate) fn try_inline<R>(self, call: impl FnOnce() -> R) -> Option<R> {
        match self {
            Self::Inline => Some(call()),
            Self::Pool => at_once(call),
        }
    }

    /// Counts a call against the task's budget on a thread that must not block, so that the task yields
    /// to others from time to time.
    pub(crate) async fn consume_budget(self) {
        if self == Self::Pool {
            coop::consume_budget().await;
        }
    }
}

/// A call that has returned, or that runs in the pool. Await it for its answer.
///
/// It holds nothing but the answer. The future of an `async fn` would also hold the call with its path
/// and other arguments, and such a future is moved several times before it is first polled.
pub(crate) enum StartedCall<R> {
    /// Ran on a thread that may block.
    Inline(R),
    /// Ran on a thread that must not block. Awaiting it consumes the task's budget.
    WithoutWaiting(R),
    /// Runs in the pool.
    InPool(AbortOnDropJoinHandle<R>),
}

impl<R> StartedCall<R> {
    /// The answer if the call has returned, else the task to await. For large answers: a caller that
    /// gets the answer here need not store it in a future and move it from there.
    pub(crate) fn into_answer(self) -> Result<R, AbortOnDropJoinHandle<R>> {
        match self {
            Self::Inline(answer) | Self::WithoutWaiting(answer) => Ok(answer),
            Self::InPool(task) => Err(task),
        }
    }
}

impl<R: Send + 'static> IntoFuture for StartedCall<R> {
    type Output = R;
    type IntoFuture = StartedCallFuture<R>;

    fn into_future(self) -> StartedCallFuture<R> {
        match self {
            Self::Inline(answer) => StartedCallFuture::Inline(Some(answer)),
            Self::WithoutWaiting(answer) => StartedCallFuture::WithoutWaiting(Some(answer)),
            Self::InPool(task) => StartedCallFuture::InPool(task),
        }
    }
}

/// The future of a [`StartedCall`].
pub(crate) enum StartedCallFuture<R> {
    /// The answer, until a poll returns it.
    Inline(Option<R>),
    /// The answer, until a poll returns it.
    WithoutWaiting(Option<R>),
    /// The task that returns the answer.
    InPool(AbortOnDropJoinHandle<R>),
}

// The answer is moved, never pinned.
impl<R> Unpin for StartedCallFuture<R> {}

impl<R> Future for StartedCallFuture<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        match self.get_mut() {
            Self::Inline(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Self::WithoutWaiting(answer) => {
                let step = ready!(coop::poll_proceed(context));
                step.made_progress();
                answer.take().map_or(Poll::Pending, Poll::Ready)
            }
            Self::InPool(task) => Pin::new(task).poll(context),
        }
    }
}

/// A call in the pool that outlives its handle: dropping the handle does not stop the call, so a write
/// that a stream has accepted is still made.
pub(crate) struct DetachedTask<R>(tokio::task::JoinHandle<R>);

impl<R: Send + 'static> DetachedTask<R> {
    /// Starts `call` in the pool.
    pub(crate) fn start(call: impl FnOnce() -> R + Send + 'static) -> Self {
        Self(with_ambient_tokio_runtime(|| {
            tokio::task::spawn_blocking(call)
        }))
    }

    /// Waits for the call. Returns `None` if the call never started, because the runtime was shut down
    /// or the task was [cancelled](Self::cancel). The future may be dropped and `wait` called again,
    /// until it has returned an answer.
    ///
    /// # Panics
    /// If the call panicked.
    pub(crate) async fn wait(&mut self) -> Option<R> {
        poll_fn(|context| self.poll(context)).await
    }

    /// Like [`wait`](Self::wait), for callers that are polled themselves.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<R>> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(answer) => Poll::Ready(Some(answer)),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Poll::Ready(None),
        }
    }

    /// Prevents the call from starting. A call that has started runs to its end.
    pub(crate) fn cancel(&self) {
        self.0.abort();
    }
}

/// Checks that a synchronous call may wait for tokio on this thread. `async_linker` names the function
/// that links the same interfaces for an asynchronous store; the error message recommends it.
///
/// # Errors
/// A trap in an asynchronous task: to wait there, wasmtime-wasi would start a runtime within a
/// runtime, which panics.
pub(crate) fn check_may_wait(async_linker: &str) -> wasmtime::Result<()> {
    if is_async_task() {
        wasmtime::bail!(
            "a call of a synchronously linked guest has to wait, which is impossible in an \
             asynchronous task: link the guest with `{async_linker}` and use `call_async`, or run it \
             in `tokio::task::spawn_blocking`"
        );
    }
    Ok(())
}

/// Whether this code runs in an asynchronous task of tokio, in which nothing may block.
///
/// tokio has no API to ask; it only panics. But a task has a budget of steps, after which it has to
/// yield, and code that may block has none: code on a thread of its own, in `spawn_blocking` or in
/// `block_in_place`. So this function spends steps until no budget is left, and then restores the
/// budget. It is wrong only about a future in `tokio::task::unconstrained`.
fn is_async_task() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(Waker::noop());
    // Restores the whole budget when it is dropped.
    let Poll::Ready(_budget) = coop::poll_proceed(&mut context) else {
        return true;
    };
    for _ in 0..=u8::MAX {
        if !coop::has_budget_remaining() {
            return true;
        }
        if let Poll::Ready(step) = coop::poll_proceed(&mut context) {
            step.made_progress();
        }
    }
    false
}
