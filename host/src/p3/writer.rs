//! A file as what a stream is written to.

use super::outcome::Outcome;
use crate::blocking::{Blocking, Task};
use crate::data::{Place, STREAM_BYTES};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasi_overlay_core::{Errno, File};
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

/// Writes a file from a position on, or always at its end.
///
/// A byte is taken from the guest once it is in the file, so the guest waits for the file and
/// knows at every moment what arrived. Inline it writes straight from the guest's memory. In the
/// pool one write of [`STREAM_BYTES`] at most is under way at a time.
pub(super) struct FileConsumer {
    file: File,
    place: Place,
    blocking: Blocking,
    /// The write that is under way, with the bytes that it writes.
    task: Option<Task<Written>>,
    /// The buffer of those bytes, at rest.
    buffer: Vec<u8>,
    outcome: Outcome,
}

/// The bytes, where the next ones go, and how many were written.
type Written = (Vec<u8>, Place, Result<usize, Errno>);

impl FileConsumer {
    pub(super) fn new(file: File, place: Place, blocking: Blocking, outcome: Outcome) -> Self {
        Self {
            file,
            place,
            blocking,
            task: None,
            buffer: Vec::new(),
            outcome,
        }
    }

    /// Has the pool write some of `bytes`; none if the write was stopped.
    fn poll_pool(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        finish: bool,
    ) -> Poll<Option<Result<usize, Errno>>> {
        if self.task.is_none() {
            if finish {
                return Poll::Ready(None);
            }
            let (file, mut place) = (self.file.clone(), self.place);
            let mut buffer = mem::take(&mut self.buffer);
            buffer.clear();
            buffer.extend_from_slice(&bytes[..bytes.len().min(STREAM_BYTES)]);
            self.task = Some(Task::start(move || {
                let written = place.write_some(&file, &buffer);
                (buffer, place, written)
            }));
        }
        let Some(task) = &mut self.task else {
            return Poll::Ready(None);
        };
        if finish {
            task.stop();
        }
        // A write that has begun is made. The guest waits for it and is told of its bytes.
        let answer = ready!(task.poll(context));
        self.task = None;
        Poll::Ready(match answer {
            Some((buffer, place, written)) => {
                (self.buffer, self.place) = (buffer, place);
                Some(written)
            }
            None if finish => None,
            None => Some(Err(Errno::Io)),
        })
    }
}

impl<D> StreamConsumer<D> for FileConsumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let me = &mut *self;
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        if bytes.is_empty() && me.task.is_none() {
            // A guest that asks whether it could write: to a file it always can.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        // As in `FileProducer`.
        let here = match me.task {
            None if me.blocking == Blocking::Inline || !finish => {
                me.blocking.here(|| me.place.write_some(&me.file, bytes))
            }
            _ => None,
        };
        let written = match here {
            Some(written) => written,
            None => match ready!(me.poll_pool(context, bytes, finish)) {
                Some(written) => written,
                None => return Poll::Ready(Ok(StreamResult::Cancelled)),
            },
        };
        Poll::Ready(Ok(match written {
            Ok(written) => {
                source.mark_read(written);
                StreamResult::Completed
            }
            Err(code) => {
                me.outcome.end(Err(code));
                StreamResult::Dropped
            }
        }))
    }
}
