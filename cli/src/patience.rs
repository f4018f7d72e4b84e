//! Work that takes longer than a user waits without a word.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Calls `tell` in another thread if what is returned is held for longer than `patience`. `tell` is not
/// waited for, since a write to stderr may block.
pub(crate) fn watch(patience: Duration, tell: impl FnOnce() + Send + 'static) -> Sender<()> {
    let (working, ended) = mpsc::channel::<()>();
    let watch = move || {
        if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            tell();
        }
    };
    // Without a thread, the user is not told and the work is done all the same.
    let _ = thread::Builder::new()
        .name("patience".to_owned())
        .spawn(watch);
    working
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_is_told_once_while_it_goes_on() {
        let (tell, told) = mpsc::channel();
        let working = watch(Duration::from_millis(1), move || tell.send(()).unwrap());
        // The work ends only after it was told.
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        drop(working);
        assert_eq!(
            told.recv_timeout(Duration::from_secs(60)),
            Err(RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn quick_work_is_not_told() {
        let (tell, told) = mpsc::channel();
        drop(watch(Duration::from_secs(3600), move || {
            tell.send(()).unwrap();
        }));
        // The watching thread has ended without a word.
        assert_eq!(
            told.recv_timeout(Duration::from_secs(60)),
            Err(RecvTimeoutError::Disconnected)
        );
    }
}
