//! [`FileOutputStream`], a `wasi:io` output stream that writes a file.

use crate::blocking::{Blocking, DetachedTask};
use crate::stream_io::{STREAM_BYTES, WritePosition};
use bytes::{Buf as _, Bytes};
use std::mem;
use wasi_overlay_core::{Errno, File};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

/// An output stream that writes a file from a position on, or always at its end.
///
/// One write is in progress at a time, of at most [`STREAM_BYTES`]. An accepted write is made even if the
/// stream is dropped before. If the write fails, the guest's next call returns the error, and the stream
/// is closed.
pub(crate) struct FileOutputStream {
    file: File,
    position: WritePosition,
    blocking: Blocking,
    state: State,
}

enum State {
    Ready,
    /// A write is in progress. It returns the position after it.
    Waiting(DetachedTask<Result<WritePosition, Errno>>),
    /// The last write failed, and the guest has not seen the error yet.
    Failed(Errno),
    /// The guest has seen an error.
    Closed,
}

impl FileOutputStream {
    pub(crate) fn new(file: File, position: WritePosition, blocking: Blocking) -> Self {
        Self {
            file,
            position,
            blocking,
            state: State::Ready,
        }
    }

    /// Writes all of `bytes`. A write of no bytes checks whether the file can be written, as in POSIX.
    fn write_all(
        file: &File,
        mut position: WritePosition,
        mut bytes: &[u8],
    ) -> Result<WritePosition, Errno> {
        if bytes.is_empty() {
            position.check_writable(file)?;
        }
        while !bytes.is_empty() {
            let written = position.write_some(file, bytes)?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(position)
    }

    /// Writes as much as it can on this thread. Returns `None` if the pool has to write the rest, which
    /// `bytes` then holds.
    fn write_inline(&mut self, bytes: &mut Bytes) -> Option<Result<WritePosition, Errno>> {
        if bytes.is_empty() {
            let check = || self.position.check_writable(&self.file);
            return Some(self.blocking.try_inline(check)?.map(|()| self.position));
        }
        while !bytes.is_empty() {
            let mut position = self.position;
            let write = || position.write_some(&self.file, bytes);
            match self.blocking.try_inline(write)? {
                Ok(written) => bytes.advance(written.min(bytes.len())),
                Err(code) => return Some(Err(code)),
            }
            self.position = position;
        }
        Some(Ok(self.position))
    }

    fn finish_write(&mut self, result: Result<WritePosition, Errno>) {
        self.state = match result {
            Ok(position) => {
                self.position = position;
                State::Ready
            }
            Err(code) => State::Failed(code),
        };
    }

    /// How many bytes the guest may write now. Returns a pending error once.
    fn permit(&mut self) -> StreamResult<usize> {
        match self.state {
            State::Ready => Ok(STREAM_BYTES),
            State::Waiting(_) => Ok(0),
            State::Failed(code) => {
                self.state = State::Closed;
                Err(StreamError::LastOperationFailed(code.into()))
            }
            State::Closed => Err(StreamError::Closed),
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for FileOutputStream {
    fn write(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        match self.state {
            State::Ready if bytes.len() <= STREAM_BYTES => {}
            State::Closed => return Err(StreamError::Closed),
            State::Ready | State::Waiting(_) | State::Failed(_) => {
                return Err(StreamError::trap(
                    "write not permitted: check-write did not allow that many bytes",
                ));
            }
        }
        match self.write_inline(&mut bytes) {
            Some(result) => {
                self.finish_write(result);
                self.permit().map(|_| ())
            }
            None => {
                let (file, position) = (self.file.clone(), self.position);
                let write = move || Self::write_all(&file, position, &bytes);
                self.state = State::Waiting(DetachedTask::start(write));
                Ok(())
            }
        }
    }

    async fn blocking_write_and_flush(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        self.ready().await;
        self.permit()?;
        let result = match self.write_inline(&mut bytes) {
            Some(result) => result,
            None => {
                let (file, position) = (self.file.clone(), self.position);
                let write = move || Self::write_all(&file, position, &bytes);
                self.blocking.run_once(write).await
            }
        };
        self.finish_write(result);
        self.permit().map(|_| ())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // Nothing is buffered: the write in progress is all that there is to flush.
        self.permit().map(|_| ())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permit()
    }

    async fn cancel(&mut self) {
        if let State::Waiting(mut task) = mem::replace(&mut self.state, State::Closed) {
            task.wait().await;
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FileOutputStream {
    async fn ready(&mut self) {
        if let State::Waiting(task) = &mut self.state {
            let result = task.wait().await.unwrap_or(Err(Errno::Io));
            self.finish_write(result);
        }
    }
}
