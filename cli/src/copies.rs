//! Copies that take long: a guest that changes a large file of a layer, or renames a directory of one, waits
//! for the copy, and who sits before a terminal sees what it waits for.

use crate::patience;
use std::fmt;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Has the user told of each copy that takes longer than a second.
pub(crate) struct Copies {
    patience: Duration,
    tell: fn(&str),
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(1),
            tell: crate::complain,
        }
    }
}

/// Held by the span of a copy that goes on.
struct GoesOn(#[expect(dead_code, reason = "dropped with the span")] Sender<()>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Copies {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut copy = Copy::default();
        attributes.record(&mut copy);
        let tell = self.tell;
        let goes_on = patience::watch(self.patience, move || tell(&copy.to_string()));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(GoesOn(goes_on));
        }
    }
}

/// What is copied.
#[derive(Default)]
struct Copy {
    path: String,
    /// Of a file.
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
                "copying `{}` ({} MiB) to the upper, since the program changes it",
                self.path,
                bytes >> 20
            ),
            None => write!(
                f,
                "copying the directory `{}` to the upper, since the program renames it",
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

    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn tell(what: &str) {
        TOLD.lock().unwrap().push(what.to_owned());
    }

    #[test]
    fn a_copy_that_takes_long_is_told_of_and_a_short_one_is_not() {
        let copies = |patience| Copies { patience, tell };
        let long = copies(Duration::from_millis(1));
        with_default(tracing_subscriber::registry().with(long), || {
            let span = tracing::info_span!(
                target: COPIES, "copy-up", path = tracing::field::display("usr/big"),
                bytes = 3_u64 << 30
            );
            let _copying = span.entered();
            while TOLD.lock().unwrap().is_empty() {
                std::thread::yield_now();
            }
            let dir = tracing::field::display("usr/lib");
            let _of_dir = tracing::info_span!(target: COPIES, "copy-up", path = dir).entered();
            while TOLD.lock().unwrap().len() < 2 {
                std::thread::yield_now();
            }
        });
        let short = copies(Duration::from_secs(3600));
        with_default(tracing_subscriber::registry().with(short), || {
            drop(tracing::info_span!(target: COPIES, "copy-up", path = "short").entered());
        });
        assert_eq!(
            *TOLD.lock().unwrap(),
            [
                "copying `usr/big` (3072 MiB) to the upper, since the program changes it",
                "copying the directory `usr/lib` to the upper, since the program renames it",
            ]
        );
    }
}
