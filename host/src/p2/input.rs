//! [`FileInputStream`], a `wasi:io` input stream that reads a file.

use crate::blocking::{Blocking, DetachedTask};
use crate::stream_io::{STREAM_BYTES, read_some, read_some_vec};
use bytes::Bytes;
use std::mem;
use wasi_overlay_core::{Errno, File};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, StreamError, StreamResult};

/// An input stream that reads a file from a position on.
///
/// One read is in progress at a time, of at most [`STREAM_BYTES`].
pub(crate) struct FileInputStream {
    file: File,
    position: u64,
    blocking: Blocking,
    state: State,
}

enum State {
    Idle,
    /// A read is in progress.
    Waiting(DetachedTask<State>),
    /// Bytes that the guest has not taken yet. Never empty.
    Data(Bytes),
    /// The last read failed, and the guest has not seen the error yet.
    Failed(Errno),
    /// The stream is at the end of the file, or the guest has seen an error.
    Closed,
}

impl FileInputStream {
    pub(crate) fn new(file: File, position: u64, blocking: Blocking) -> Self {
        Self {
            file,
            position,
            blocking,
            state: State::Idle,
        }
    }

    /// Reads at most `size` bytes, which must not be 0.
    fn fetch(file: &File, position: u64, size: usize) -> State {
        match read_some_vec(file, size.min(STREAM_BYTES), position) {
            Ok(bytes) if bytes.is_empty() => State::Closed,
            Ok(bytes) => State::Data(bytes.into()),
            Err(code) => State::Failed(code),
        }
    }

    /// Checks that the file can be read, by a read of no bytes, which does not mean the end of the file.
    fn check_readable(file: &File, position: u64) -> State {
        match read_some(file, &mut [], position) {
            Ok(_) => State::Idle,
            Err(code) => State::Failed(code),
        }
    }

    /// Starts to read at most `size` bytes.
    fn start(&mut self, size: usize) {
        let fetched = self
            .blocking
            .try_inline(|| Self::fetch(&self.file, self.position, size));
        self.state = fetched.unwrap_or_else(|| {
            let (file, position) = (self.file.clone(), self.position);
            State::Waiting(DetachedTask::start(move || {
                Self::fetch(&file, position, size)
            }))
        });
    }

    async fn wait(&mut self) {
        if let State::Waiting(task) = &mut self.state {
            self.state = task.wait().await.unwrap_or(State::Failed(Errno::Io));
        }
    }

    /// Takes at most `size` bytes that were read, without starting a read.
    fn take(&mut self, size: usize) -> StreamResult<Bytes> {
        match &mut self.state {
            State::Idle | State::Waiting(_) => Ok(Bytes::new()),
            State::Data(data) => {
                let chunk = data.split_to(size.min(data.len()));
                self.position = self.position.saturating_add(chunk.len() as u64);
                if data.is_empty() {
                    self.state = State::Idle;
                }
                Ok(chunk)
            }
            State::Failed(code) => {
                let code = *code;
                self.state = State::Closed;
                Err(StreamError::LastOperationFailed(code.into()))
            }
            State::Closed => Err(StreamError::Closed),
        }
    }
}

#[async_trait::async_trait]
impl InputStream for FileInputStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if matches!(self.state, State::Idle) && size > 0 {
            self.start(size);
        }
        self.take(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.wait().await;
        if matches!(self.state, State::Idle) {
            let (file, position) = (self.file.clone(), self.position);
            let fetch = move || {
                if size == 0 {
                    Self::check_readable(&file, position)
                } else {
                    Self::fetch(&file, position, size)
                }
            };
            self.state = self.blocking.run(fetch).await;
        }
        self.take(size)
    }

    async fn cancel(&mut self) {
        // A read cannot be stopped. Waiting for it prevents a guest from accumulating reads by
        // dropping streams.
        if let State::Waiting(mut task) = mem::replace(&mut self.state, State::Closed) {
            task.wait().await;
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FileInputStream {
    async fn ready(&mut self) {
        // Inline reads need no waiting. In the pool, the first bytes are read ahead for a guest that
        // polls before it reads.
        if matches!(self.state, State::Idle) && self.blocking == Blocking::Pool {
            self.start(STREAM_BYTES);
        }
        self.wait().await;
    }
}
