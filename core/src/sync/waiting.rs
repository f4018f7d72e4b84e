//! A flag of each thread: whether it may wait for locks and layers.

use std::cell::Cell;

/// What the thread may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It may wait.
    Waits,
    /// It must not wait.
    AtOnce,
    /// It must not wait, and came to a step that would.
    GaveUp,
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Waits) };
}

/// Runs `query` while this thread must not wait. Returns its answer, or `None` if it [gave up](give_up).
pub(crate) fn run_without<T>(query: impl FnOnce() -> T) -> Option<T> {
    /// Restores the mode, also if `query` panics.
    struct Restore(Mode);

    impl Drop for Restore {
        fn drop(&mut self) {
            MODE.set(self.0);
        }
    }

    let _restore = Restore(MODE.replace(Mode::AtOnce));
    let answer = query();
    (MODE.get() == Mode::AtOnce).then_some(answer)
}

/// Whether this thread may wait.
pub(crate) fn is_allowed() -> bool {
    MODE.get() == Mode::Waits
}

/// Whether this thread [gave up](give_up).
pub(crate) fn gave_up() -> bool {
    MODE.get() == Mode::GaveUp
}

/// Records that the query cannot be answered without waiting.
pub(crate) fn give_up() {
    MODE.set(Mode::GaveUp);
}
