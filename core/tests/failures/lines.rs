//! A subscriber that collects the log lines and the spans of a thread.
//!
//! It is the subscriber of the whole process. A subscriber for each test, with
//! `tracing::subscriber::with_default`, lost lines: tracing caches for each callsite whether any subscriber
//! wants it, and a callsite that one thread registered while another installed its subscriber stayed off.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Once;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Level, Metadata, Subscriber};

/// A line with its level and its printed fields.
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

thread_local! {
    /// The lines and spans that the test of this thread collects.
    static COLLECTED: RefCell<Option<Collected>> = const { RefCell::new(None) };
}

/// The lines and spans of a thread, from `level` up.
struct Collected {
    level: Level,
    lines: Vec<Line>,
    /// One line for each span, with its initial fields.
    spans: Vec<Line>,
}

/// The subscriber of the process. It drops lines that no thread collects.
struct ToThread;

fn line(metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields<'_>)) -> Line {
    let mut fields = BTreeMap::new();
    record(&mut Fields(&mut fields));
    let level = *metadata.level();
    Line { level, fields }
}

fn with_collected(push: impl FnOnce(&mut Collected)) {
    COLLECTED.with_borrow_mut(|collected| collected.as_mut().map(push));
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

impl Subscriber for ToThread {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The answer differs from thread to thread, so it must not be cached.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wasi_overlay")
            && COLLECTED.with_borrow(|collected| {
                collected
                    .as_ref()
                    .is_some_and(|collected| *metadata.level() <= collected.level)
            })
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let span = line(attributes.metadata(), |fields| attributes.record(fields));
        with_collected(|collected| collected.spans.push(span));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let line = line(event.metadata(), |fields| event.record(fields));
        with_collected(|collected| collected.lines.push(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The lines that `call` writes to a log of `level`.
pub(crate) fn lines_of<T>(level: Level, call: impl FnOnce() -> T) -> (T, Vec<Line>) {
    let (answer, collected) = collect(level, call);
    (answer, collected.lines)
}

/// The spans that begin in `call`, of a log of `level`.
pub(crate) fn spans_of(level: Level, call: impl FnOnce()) -> Vec<Line> {
    let ((), collected) = collect(level, call);
    collected.spans
}

fn collect<T>(level: Level, call: impl FnOnce() -> T) -> (T, Collected) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| set_global_default(ToThread).expect("no other subscriber"));
    let collected = Collected {
        level,
        lines: Vec::new(),
        spans: Vec::new(),
    };
    COLLECTED.set(Some(collected));
    let answer = call();
    let collected = COLLECTED.take().expect("a call collects once");
    (answer, collected)
}
