//! Tests that a call blocks the executor's thread only if the embedder allows it.

use crate::driver::*;
use std::fmt;
use std::sync::Mutex;
use std::thread::{self, ThreadId};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The threads that logged a failed call, with the path of the call.
static LINES: Mutex<Vec<(String, ThreadId)>> = Mutex::new(Vec::new());

/// Collects the events of failed calls, which the engine logs on the thread that makes the call.
struct Log;

struct Path(Option<String>);

impl Visit for Path {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "path" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "wasi_overlay::calls"
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut path = Path(None);
        event.record(&mut path);
        if let Path(Some(path)) = path {
            LINES.lock().unwrap().push((path, thread::current().id()));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An empty read or write says whether the file can be read or written, which may wait for a disk. In an
/// asynchronous store it did so on the executor's thread.
#[test]
fn empty_reads_and_writes_leave_the_executors_thread() {
    // For the whole process, since the pool has threads of its own. No other test here sets a subscriber.
    tracing::subscriber::set_global_default(Log).unwrap();
    for host in HOSTS.into_iter().filter(|host| *host != Host::Stock) {
        for (call, rights) in [("fd_read", FD_WRITE), ("fd_write", FD_READ)] {
            let dir = tempfile::tempdir().unwrap();
            let path = format!("{host:?}-{call}");
            std::fs::write(dir.path().join(&path), "data").unwrap();
            let g = &mut Guest::new(host, dir.path());
            let fd = g.open(&path, 0, rights, 0).unwrap();
            let out = g.alloc(4);
            let empty = g.buffers(&[(out, 0)]);
            for (list, count) in [(0, 0), (empty, 1)] {
                let errno = g.call(call, &[fd.into(), list, count, out.into()]);
                assert_eq!(errno, BADF, "{path}");
                let mut lines = LINES.lock().unwrap();
                let is_ours = |line: &mut (String, ThreadId)| line.0.contains(&path);
                let threads: Vec<_> = lines.extract_if(.., is_ours).map(|line| line.1).collect();
                drop(lines);
                let here = thread::current().id();
                let on_this_thread: Vec<_> = threads.iter().map(|at| *at == here).collect();
                assert_eq!(on_this_thread, [host != Host::AsyncPool], "{path}");
            }
        }
    }
}
