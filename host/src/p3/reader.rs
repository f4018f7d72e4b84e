//! A file as a stream to read from.

use super::outcome::Outcome;
use crate::blocking::{Blocking, Task};
use crate::data::{STREAM_BYTES, read_some};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasi_overlay_core::{Errno, File};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

/// Reads a file from a position on, as much as the guest asks for and when it asks: nothing is
/// read ahead, so what a stream gives is never older than the read that it answers.
///
/// Inline it reads straight into the guest's memory. In the pool, which the guest's memory cannot
/// be lent to, one read of [`STREAM_BYTES`] at most is under way at a time.
pub(super) struct FileProducer {
    file: File,
    position: u64,
    blocking: Blocking,
    /// The read that is under way, with the buffer that it fills.
    task: Option<Task<Read>>,
    /// That buffer, at rest.
    buffer: Vec<u8>,
    outcome: Outcome,
}

/// The buffer, and how many bytes were read into it.
type Read = (Vec<u8>, Result<usize, Errno>);

impl FileProducer {
    pub(super) fn new(file: File, position: u64, blocking: Blocking, outcome: Outcome) -> Self {
        Self {
            file,
            position,
            blocking,
            task: None,
            buffer: Vec::new(),
            outcome,
        }
    }

    /// Has the pool read at most `room` bytes into the buffer; none if the read was stopped.
    fn poll_pool(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
        finish: bool,
    ) -> Poll<Option<Result<usize, Errno>>> {
        if self.task.is_none() {
            if finish {
                return Poll::Ready(None);
            }
            let (file, position) = (self.file.clone(), self.position);
            let mut buffer = mem::take(&mut self.buffer);
            buffer.resize(room.min(STREAM_BYTES), 0);
            self.task = Some(Task::start(move || {
                let read = read_some(&file, &mut buffer, position);
                (buffer, read)
            }));
        }
        let Some(task) = &mut self.task else {
            return Poll::Ready(None);
        };
        if finish {
            task.stop();
        }
        // A read that has begun cannot be stopped. The guest waits for it and gets its bytes.
        let answer = ready!(task.poll(context));
        self.task = None;
        Poll::Ready(match answer {
            Some((buffer, read)) => {
                self.buffer = buffer;
                Some(read)
            }
            None if finish => None,
            None => Some(Err(Errno::Io)),
        })
    }

    fn after(&mut self, read: Result<usize, Errno>) -> StreamResult {
        match read {
            Ok(0) => {
                self.outcome.end(Ok(()));
                StreamResult::Dropped
            }
            Ok(read) => {
                self.position = self.position.saturating_add(read as u64);
                StreamResult::Completed
            }
            Err(code) => {
                self.outcome.end(Err(code));
                StreamResult::Dropped
            }
        }
    }
}

impl<D> StreamProducer<D> for FileProducer {
    type Item = u8;
    /// Not used: bytes go straight to where the guest wants them.
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut destination = destination.as_direct(store, STREAM_BYTES);
        let room = destination.remaining();
        if room.is_empty() && self.task.is_none() {
            // A guest that asks whether it could read: a file always can be.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        // What is under way is waited for; what was stopped before it began is not made.
        let here = match self.task {
            None if self.blocking == Blocking::Inline || !finish => self
                .blocking
                .here(|| read_some(&self.file, room, self.position)),
            _ => None,
        };
        let read = match here {
            Some(read) => read,
            None => {
                let Some(read) = ready!(self.poll_pool(context, room.len(), finish)) else {
                    return Poll::Ready(Ok(StreamResult::Cancelled));
                };
                read.map(|read| {
                    let read = read.min(room.len());
                    room[..read].copy_from_slice(&self.buffer[..read]);
                    read
                })
            }
        };
        if let Ok(read) = read {
            destination.mark_written(read);
        }
        Poll::Ready(Ok(self.after(read)))
    }
}
