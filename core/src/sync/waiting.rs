//! Whether a thread may wait.

use std::cell::Cell;

/// How a thread asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It may wait.
    Waits,
    /// It wants an answer at once.
    AtOnce,
    /// It wanted one, and there is none.
    GaveUp,
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Waits) };
}

/// What `ask` answers on a thread that does not wait meanwhile; none if it [gave up](give_up).
pub(crate) fn without<T>(ask: impl FnOnce() -> T) -> Option<T> {
    /// Puts the mode back, also if `ask` panics.
    struct Asking(Mode);

    impl Drop for Asking {
        fn drop(&mut self) {
            MODE.set(self.0);
        }
    }

    let _asking = Asking(MODE.replace(Mode::AtOnce));
    let answer = ask();
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

/// Says that there is no answer without waiting.
pub(crate) fn give_up() {
    MODE.set(Mode::GaveUp);
}
