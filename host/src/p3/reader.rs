//! [`FileProducer`], which feeds a file to a stream that the guest reads.

use super::completion::Completion;
use crate::blocking::{Blocking, DetachedTask};
use crate::stream_io::{STREAM_BYTES, read_some};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasi_overlay_core::{Errno, File};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

/// Reads a file from a position on, only when the guest reads and only as much as it asks for. It never
/// reads ahead, so the data is never older than the read that returns it.
///
/// Inline, it reads directly into guest memory. The pool cannot borrow guest memory, so it reads into a
/// buffer, with one read of at most [`STREAM_BYTES`] in progress at a time.
pub(super) struct FileProducer {
    file: File,
    position: u64,
    blocking: Blocking,
    /// The read in progress, which owns the buffer.
    task: Option<DetachedTask<Read>>,
    /// The buffer, while no read is in progress.
    buffer: Vec<u8>,
    completion: Completion,
}

/// The buffer, and how many bytes were read into it.
type Read = (Vec<u8>, Result<usize, Errno>);

impl FileProducer {
    pub(super) fn new(
        file: File,
        position: u64,
        blocking: Blocking,
        completion: Completion,
    ) -> Self {
        Self {
            file,
            position,
            blocking,
            task: None,
            buffer: Vec::new(),
            completion,
        }
    }

    /// Reads at most `room` bytes into the buffer in the pool. Returns `None` if `finish` cancelled the
    /// read before it started.
    fn poll_pool_read(
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
            self.task = Some(DetachedTask::start(move || {
                let read = read_some(&file, &mut buffer, position);
                (buffer, read)
            }));
        }
        let Some(task) = &mut self.task else {
            return Poll::Ready(None);
        };
        if finish {
            task.cancel();
        }
        // A read that has started cannot be stopped. The guest waits for it and gets its bytes.
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

    /// Moves the position, or ends the stream.
    fn finish_read(&mut self, read: Result<usize, Errno>) -> StreamResult {
        match read {
            Ok(0) => {
                self.completion.send(Ok(()));
                StreamResult::Dropped
            }
            Ok(read) => {
                self.position = self.position.saturating_add(read as u64);
                StreamResult::Completed
            }
            Err(code) => {
                self.completion.send(Err(code));
                StreamResult::Dropped
            }
        }
    }
}

impl<D> StreamProducer<D> for FileProducer {
    type Item = u8;
    /// Not used: bytes go directly into guest memory.
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
            // The guest asks whether the stream is ready, and a file always is.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        // Waits for a read in progress; starts none that is cancelled already.
        let inline = match self.task {
            None if self.blocking == Blocking::Inline || !finish => self
                .blocking
                .try_inline(|| read_some(&self.file, room, self.position)),
            _ => None,
        };
        let read = match inline {
            Some(read) => read,
            None => {
                let Some(read) = ready!(self.poll_pool_read(context, room.len(), finish)) else {
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
        Poll::Ready(Ok(self.finish_read(read)))
    }
}
