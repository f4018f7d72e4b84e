//! [`FileConsumer`], which writes the guest's stream to a file.

use super::completion::Completion;
use crate::blocking::{Blocking, DetachedTask};
use crate::stream_io::{STREAM_BYTES, WritePosition};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasi_overlay_core::{Errno, File};
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

/// Writes a file from a position on, or always at its end.
///
/// It takes a byte from the guest only once the byte is in the file, so the guest waits for the file and
/// always knows how much was written. Inline, it writes directly from guest memory. In the pool, one
/// write of at most [`STREAM_BYTES`] is in progress at a time.
pub(super) struct FileConsumer {
    file: File,
    position: WritePosition,
    blocking: Blocking,
    /// The write in progress, which owns the buffer.
    task: Option<DetachedTask<Written>>,
    /// The buffer, while no write is in progress.
    buffer: Vec<u8>,
    completion: Completion,
}

/// The buffer, the position after the write, and how many bytes were written.
type Written = (Vec<u8>, WritePosition, Result<usize, Errno>);

impl FileConsumer {
    pub(super) fn new(
        file: File,
        position: WritePosition,
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

    /// Writes some of `bytes` in the pool. Returns `None` if `finish` cancelled the write before it
    /// started.
    fn poll_pool_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        finish: bool,
    ) -> Poll<Option<Result<usize, Errno>>> {
        if self.task.is_none() {
            if finish {
                return Poll::Ready(None);
            }
            let (file, mut position) = (self.file.clone(), self.position);
            let mut buffer = mem::take(&mut self.buffer);
            buffer.clear();
            buffer.extend_from_slice(&bytes[..bytes.len().min(STREAM_BYTES)]);
            self.task = Some(DetachedTask::start(move || {
                let written = position.write_some(&file, &buffer);
                (buffer, position, written)
            }));
        }
        let Some(task) = &mut self.task else {
            return Poll::Ready(None);
        };
        if finish {
            task.cancel();
        }
        // A write that has started cannot be stopped. The guest waits for it and learns how much it wrote.
        let answer = ready!(task.poll(context));
        self.task = None;
        Poll::Ready(match answer {
            Some((buffer, position, written)) => {
                (self.buffer, self.position) = (buffer, position);
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
            // The guest asks whether the stream is ready, and a file always is.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        // As in `FileProducer`.
        let inline = match me.task {
            None if me.blocking == Blocking::Inline || !finish => me
                .blocking
                .try_inline(|| me.position.write_some(&me.file, bytes)),
            _ => None,
        };
        let written = match inline {
            Some(written) => written,
            None => match ready!(me.poll_pool_write(context, bytes, finish)) {
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
                me.completion.send(Err(code));
                StreamResult::Dropped
            }
        }))
    }
}
