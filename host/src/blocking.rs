//! The one place that knows about threads: a call runs where the embedder allows it to block.
//!
//! A trip to the pool takes some 20 µs, and most answers are in memory. So where calls may not block,
//! each is tried on its own thread first, without waiting for anything ([`at_once`]), and goes to the
//! pool only if it has to wait for a disk.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::runtime::Handle;
use tokio::task::coop;
use wasi_overlay_core::at_once;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn_blocking, with_ambient_tokio_runtime};

/// Where calls that may block run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// On the thread that the guest runs on.
    Inline,
    /// Where it has to wait, on tokio's blocking pool, so that the executor's thread stays free.
    #[default]
    Pool,
}

impl Blocking {
    /// Begins `call`, the whole of one guest call: one trip to the pool at most. A call of the engine
    /// that had to wait has done nothing, so it can be made a second time.
    pub(crate) fn run<R: Send + 'static>(self, call: impl Fn() -> R + Send + 'static) -> Begun<R> {
        match self {
            Self::Inline => Begun::Made(call()),
            Self::Pool => match at_once(&call) {
                Some(answer) => Begun::AtOnce(answer),
                None => Begun::InPool(spawn_blocking(call)),
            },
        }
    }

    /// As [`run`](Self::run), of a call that is known to wait, or can be made only once.
    pub(crate) fn run_once<R: Send + 'static>(
        self,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> Begun<R> {
        match self {
            Self::Inline => Begun::Made(call()),
            Self::Pool => Begun::InPool(spawn_blocking(call)),
        }
    }

    /// As [`run`](Self::run), with something of which only the pool needs a clone.
    pub(crate) fn run_on<T: Clone + Send + 'static, R: Send + 'static>(
        self,
        on: &T,
        call: impl Fn(&T) -> R + Send + 'static,
    ) -> Begun<R> {
        match self {
            Self::Inline => Begun::Made(call(on)),
            Self::Pool => match at_once(|| call(on)) {
                Some(answer) => Begun::AtOnce(answer),
                None => {
                    let on = on.clone();
                    Begun::InPool(spawn_blocking(move || call(&on)))
                }
            },
        }
    }

    /// The answer of `call`, if it may be made on this thread: it may block, or need not wait. An
    /// asynchronous function [takes turns](Self::take_turns) after it.
    pub(crate) fn here<R>(self, call: impl FnOnce() -> R) -> Option<R> {
        match self {
            Self::Inline => Some(call()),
            Self::Pool => at_once(call),
        }
    }

    /// Lets others have their turn on a thread that must not block, now and then.
    pub(crate) async fn take_turns(self) {
        if self == Self::Pool {
            coop::consume_budget().await;
        }
    }
}

/// A call that was made, or is being made in the pool. To be waited for.
///
/// It holds the answer and nothing else. An `async fn` would keep the call too, with the path and all
/// that it was given, and such a state is moved several times before it is first polled.
pub(crate) enum Begun<R> {
    Made(R),
    /// Made on a thread that must not block. Others have their turn on it now and then.
    AtOnce(R),
    InPool(AbortOnDropJoinHandle<R>),
}

impl<R> Begun<R> {
    /// The answer, or who is to be waited for. For large answers: who has one at once need not keep
    /// it where it is waited for, and move it from there.
    pub(crate) fn now(self) -> Result<R, AbortOnDropJoinHandle<R>> {
        match self {
            Self::Made(answer) | Self::AtOnce(answer) => Ok(answer),
            Self::InPool(task) => Err(task),
        }
    }
}

impl<R: Send + 'static> IntoFuture for Begun<R> {
    type Output = R;
    type IntoFuture = Waited<R>;

    fn into_future(self) -> Waited<R> {
        match self {
            Self::Made(answer) => Waited::Made(Some(answer)),
            Self::AtOnce(answer) => Waited::AtOnce(Some(answer)),
            Self::InPool(task) => Waited::InPool(task),
        }
    }
}

/// A [`Begun`] that is waited for, once.
pub(crate) enum Waited<R> {
    /// The answer, until it was taken.
    Made(Option<R>),
    /// As `Made`.
    AtOnce(Option<R>),
    InPool(AbortOnDropJoinHandle<R>),
}

// The answer is moved, never pinned.
impl<R> Unpin for Waited<R> {}

impl<R> Future for Waited<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        match self.get_mut() {
            Self::Made(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Self::AtOnce(answer) => {
                let step = ready!(coop::poll_proceed(context));
                step.made_progress();
                answer.take().map_or(Poll::Pending, Poll::Ready)
            }
            Self::InPool(task) => Pin::new(task).poll(context),
        }
    }
}

/// A call that goes on in the pool, though nobody waits for it: dropping the task does not stop
/// the call, so a write that was accepted is made.
pub(crate) struct Task<R>(tokio::task::JoinHandle<R>);

impl<R: Send + 'static> Task<R> {
    /// Starts `call` in the pool.
    pub(crate) fn start(call: impl FnOnce() -> R + Send + 'static) -> Self {
        Self(with_ambient_tokio_runtime(|| {
            tokio::task::spawn_blocking(call)
        }))
    }

    /// Waits for the call; none if the runtime was shut down before it could begin, or it was
    /// told to [`stop`](Self::stop). May be dropped and called again, until it gave an answer.
    ///
    /// # Panics
    /// If the call did.
    pub(crate) async fn wait(&mut self) -> Option<R> {
        poll_fn(|context| self.poll(context)).await
    }

    /// As [`wait`](Self::wait), for those that are polled.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<R>> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(answer) => Poll::Ready(Some(answer)),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Poll::Ready(None),
        }
    }

    /// Keeps the call from beginning. One that has begun goes on to its end.
    pub(crate) fn stop(&self) {
        self.0.abort();
    }
}

/// Checks that a synchronous call may wait for tokio on this thread. `instead` is the function that
/// links the same interfaces for an asynchronous store.
///
/// # Errors
/// A trap in an asynchronous task: to wait there, wasmtime-wasi would start a runtime within a
/// runtime, which panics.
pub(crate) fn check_may_wait(instead: &str) -> wasmtime::Result<()> {
    if is_async_task() {
        wasmtime::bail!(
            "a call of a guest that is linked synchronously has to wait, and cannot in an \
             asynchronous task: link the guest with `{instead}` and use `call_async`, or run it in \
             `tokio::task::spawn_blocking`"
        );
    }
    Ok(())
}

/// Whether this code runs in an asynchronous task of tokio, in which nothing may block.
///
/// tokio has no API for this; it only panics. But a task has a budget of steps after which it has to yield, and
/// code that may block has none: a thread of its own, `spawn_blocking`, `block_in_place`. So this
/// spends steps until there is no budget left, and puts the budget back. Mistaken only about a future
/// in `tokio::task::unconstrained`.
fn is_async_task() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(Waker::noop());
    // Puts the whole budget back when it is dropped.
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
