//! A subscriber that keeps the lines of failed calls.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber};

/// A line: its level, and its fields as they would be printed.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Line {
    pub(crate) fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", |value| value)
    }
}

#[derive(Clone)]
struct Kept {
    level: Level,
    lines: Arc<Mutex<Vec<Line>>>,
    /// Those of spans: where they began.
    spans: Arc<Mutex<Vec<Line>>>,
}

fn keep(lines: &Mutex<Vec<Line>>, metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields<'_>)) {
    let mut fields = BTreeMap::new();
    record(&mut Fields(&mut fields));
    let level = *metadata.level();
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(Line { level, fields });
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("wasi_overlay")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        keep(&self.spans, attributes.metadata(), |fields| {
            attributes.record(fields);
        });
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        keep(&self.lines, event.metadata(), |fields| event.record(fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What tracing keeps of the levels that anybody wants is the process's. While the subscriber of another test
/// came or went, a line was lost.
static ALONE: Mutex<()> = Mutex::new(());

/// The lines that `call` writes to a log of `level`.
pub(crate) fn lines_of<T>(level: Level, call: impl FnOnce() -> T) -> (T, Vec<Line>) {
    let (answer, kept) = kept_of(level, call);
    let lines = std::mem::take(&mut *kept.lines.lock().unwrap());
    (answer, lines)
}

/// The spans that begin in `call`, of a log of `level`.
pub(crate) fn spans_of(level: Level, call: impl FnOnce()) -> Vec<Line> {
    let ((), kept) = kept_of(level, call);
    std::mem::take(&mut *kept.spans.lock().unwrap())
}

fn kept_of<T>(level: Level, call: impl FnOnce() -> T) -> (T, Kept) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = Kept {
        level,
        lines: Arc::default(),
        spans: Arc::default(),
    };
    (with_default(kept.clone(), call), kept)
}
