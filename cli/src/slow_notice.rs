//! Notices about work that takes long.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Guard of work in progress: the user gets a notice unless it is dropped in time.
pub(crate) struct SlowNotice(
    #[expect(dead_code, reason = "its drop closes the channel")] Sender<()>,
);

impl SlowNotice {
    /// Calls `notify` in another thread if the guard is held for longer than `delay`. Dropping the
    /// guard does not wait for `notify`, since a write to stderr may block.
    pub(crate) fn after(delay: Duration, notify: impl FnOnce() + Send + 'static) -> Self {
        let (working, ended) = mpsc::channel::<()>();
        let watch = move || {
            if ended.recv_timeout(delay) == Err(RecvTimeoutError::Timeout) {
                notify();
            }
        };
        // Without a thread there is no notice; the work is done all the same.
        let _ = thread::Builder::new()
            .name("slow-notice".to_owned())
            .spawn(watch);
        Self(working)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_causes_one_notice() {
        let (notify, notified) = mpsc::channel();
        let notice = SlowNotice::after(Duration::from_millis(1), move || notify.send(()).unwrap());
        // The work ends only after the notice.
        notified.recv_timeout(Duration::from_secs(60)).unwrap();
        drop(notice);
        assert_eq!(
            notified.recv_timeout(Duration::from_secs(60)),
            Err(RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn quick_work_causes_no_notice() {
        let (notify, notified) = mpsc::channel();
        drop(SlowNotice::after(Duration::from_secs(3600), move || {
            notify.send(()).unwrap();
        }));
        // The watching thread ended without a notice.
        assert_eq!(
            notified.recv_timeout(Duration::from_secs(60)),
            Err(RecvTimeoutError::Disconnected)
        );
    }
}
