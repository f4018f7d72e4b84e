//! A file as a `wasi:io` input stream.

use crate::blocking::{Blocking, Task};
use crate::data::{STREAM_BYTES, read_some, read_some_new};
use bytes::Bytes;
use std::mem;
use wasi_overlay_core::{Errno, File};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, StreamError, StreamResult};

/// Reads a file from a position on.
///
/// One read is under way at a time, of [`STREAM_BYTES`] at most.
pub(crate) struct FileInputStream {
    file: File,
    position: u64,
    blocking: Blocking,
    state: State,
}

enum State {
    Idle,
    /// A read is under way.
    Waiting(Task<State>),
    /// Read, and not yet taken. Never empty.
    Data(Bytes),
    Failed(Errno),
    /// At the end of the file, or after an error was delivered.
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

    /// Reads at most `size` bytes; not to be asked for none.
    fn fetch(file: &File, position: u64, size: usize) -> State {
        match read_some_new(file, size.min(STREAM_BYTES), position) {
            Ok(bytes) if bytes.is_empty() => State::Closed,
            Ok(bytes) => State::Data(bytes.into()),
            Err(code) => State::Failed(code),
        }
    }

    /// Reads nothing, which fails where something could not be read, and is no end of the file.
    fn check(file: &File, position: u64) -> State {
        match read_some(file, &mut [], position) {
            Ok(_) => State::Idle,
            Err(code) => State::Failed(code),
        }
    }

    /// Begins to read at most `size` bytes.
    fn start(&mut self, size: usize) {
        let fetched = self
            .blocking
            .here(|| Self::fetch(&self.file, self.position, size));
        self.state = fetched.unwrap_or_else(|| {
            let (file, position) = (self.file.clone(), self.position);
            State::Waiting(Task::start(move || Self::fetch(&file, position, size)))
        });
    }

    async fn wait(&mut self) {
        if let State::Waiting(task) = &mut self.state {
            self.state = task.wait().await.unwrap_or(State::Failed(Errno::Io));
        }
    }

    /// What there is, without starting anything.
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
            let fetch = move || match size {
                0 => Self::check(&file, position),
                _ => Self::fetch(&file, position, size),
            };
            self.state = self.blocking.run(fetch).await;
        }
        self.take(size)
    }

    async fn cancel(&mut self) {
        // A read cannot be stopped. Waiting for it keeps a guest from piling up reads by
        // dropping streams.
        if let State::Waiting(mut task) = mem::replace(&mut self.state, State::Closed) {
            task.wait().await;
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FileInputStream {
    async fn ready(&mut self) {
        // Where reads are made inline there is nothing to wait for. Else a guest that waits
        // before it reads has its first bytes fetched.
        if matches!(self.state, State::Idle) && self.blocking == Blocking::Pool {
            self.start(STREAM_BYTES);
        }
        self.wait().await;
    }
}
