//! Notices on a terminal about copy-ups that take long: a guest that changes a large file of a lower, or
//! renames a directory of one, waits for the copy.

use crate::messages::print_notice;
use crate::slow_notice::SlowNotice;
use std::fmt;
use std::time::Duration;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Prints a notice about each copy that takes longer than a second.
pub(crate) struct CopyNotices {
    delay: Duration,
    notify: fn(&str),
}

impl Default for CopyNotices {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(1),
            notify: |notice| print_notice(notice),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for CopyNotices {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut copy = Copy::default();
        attributes.record(&mut copy);
        let notify = self.notify;
        let notice = SlowNotice::after(self.delay, move || notify(&copy.to_string()));
        // The span ends with the copy, and drops its extensions.
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(notice);
        }
    }
}

/// The copy that a span describes.
#[derive(Default)]
struct Copy {
    path: String,
    /// The size of a file; none for a directory.
    bytes: Option<u64>,
}

impl Visit for Copy {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "bytes" {
            self.bytes = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "path" {
            self.path = format!("{value:?}");
        }
    }
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            Some(bytes) => write!(
                f,
                "copying `{}` ({} MiB) to the upper, because the program is changing it",
                self.path,
                bytes >> 20
            ),
            None => write!(
                f,
                "copying the directory `{}` to the upper, because the program is renaming it",
                self.path
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::SubscriberExt as _;
    use wasi_overlay::engine::log::COPIES;

    static NOTICES: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn notify(notice: &str) {
        NOTICES.lock().unwrap().push(notice.to_owned());
    }

    #[test]
    fn only_long_copies_cause_notices() {
        let notices = |delay| CopyNotices { delay, notify };
        let long = notices(Duration::from_millis(1));
        with_default(tracing_subscriber::registry().with(long), || {
            let span = tracing::info_span!(
                target: COPIES, "copy-up", path = tracing::field::display("usr/big"),
                bytes = 3_u64 << 30
            );
            let _copying = span.entered();
            while NOTICES.lock().unwrap().is_empty() {
                std::thread::yield_now();
            }
            let dir = tracing::field::display("usr/lib");
            let _copying_dir = tracing::info_span!(target: COPIES, "copy-up", path = dir).entered();
            while NOTICES.lock().unwrap().len() < 2 {
                std::thread::yield_now();
            }
        });
        let short = notices(Duration::from_secs(3600));
        with_default(tracing_subscriber::registry().with(short), || {
            drop(tracing::info_span!(target: COPIES, "copy-up", path = "short").entered());
        });
        assert_eq!(
            *NOTICES.lock().unwrap(),
            [
                "copying `usr/big` (3072 MiB) to the upper, because the program is changing it",
                "copying the directory `usr/lib` to the upper, because the program is renaming it",
            ]
        );
    }
}
