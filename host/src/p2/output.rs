//! A file as a `wasi:io` output stream.

use crate::blocking::{Blocking, Task};
use crate::data::{Place, STREAM_BYTES};
use bytes::{Buf as _, Bytes};
use std::mem;
use wasi_overlay_core::{Errno, File};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

/// Writes a file from a position on, or always at its end.
///
/// One write is under way at a time, of [`STREAM_BYTES`] at most. A write that was accepted is
/// made, even if the stream is dropped before. Where it fails, the next call of the guest says
/// so, and the stream is closed.
pub(crate) struct FileOutputStream {
    file: File,
    place: Place,
    blocking: Blocking,
    state: State,
}

enum State {
    Ready,
    /// A write is under way. It gives the place after what it wrote.
    Waiting(Task<Result<Place, Errno>>),
    /// An error that the guest has not been told.
    Failed(Errno),
    /// After an error was delivered.
    Closed,
}

impl FileOutputStream {
    pub(crate) fn new(file: File, place: Place, blocking: Blocking) -> Self {
        Self {
            file,
            place,
            blocking,
            state: State::Ready,
        }
    }

    /// Writes all of `bytes`. A write of none shows whether the file can be written, as in POSIX.
    fn store(file: &File, mut place: Place, mut bytes: &[u8]) -> Result<Place, Errno> {
        if bytes.is_empty() {
            place.check(file)?;
        }
        while !bytes.is_empty() {
            let written = place.write_some(file, bytes)?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(place)
    }

    /// Writes what it can on this thread. Returns what came of it; or what is left for the pool.
    fn store_here(&mut self, bytes: &mut Bytes) -> Option<Result<Place, Errno>> {
        if bytes.is_empty() {
            let check = || self.place.check(&self.file);
            return Some(self.blocking.here(check)?.map(|()| self.place));
        }
        while !bytes.is_empty() {
            let mut place = self.place;
            let write = || place.write_some(&self.file, bytes);
            match self.blocking.here(write)? {
                Ok(written) => bytes.advance(written.min(bytes.len())),
                Err(code) => return Some(Err(code)),
            }
            self.place = place;
        }
        Some(Ok(self.place))
    }

    fn finished(&mut self, result: Result<Place, Errno>) {
        self.state = match result {
            Ok(place) => {
                self.place = place;
                State::Ready
            }
            Err(code) => State::Failed(code),
        };
    }

    /// Bytes that may be written now. Delivers an error, once.
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
        match self.store_here(&mut bytes) {
            Some(result) => {
                self.finished(result);
                self.permit().map(|_| ())
            }
            None => {
                let (file, place) = (self.file.clone(), self.place);
                let store = move || Self::store(&file, place, &bytes);
                self.state = State::Waiting(Task::start(store));
                Ok(())
            }
        }
    }

    async fn blocking_write_and_flush(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        self.ready().await;
        self.permit()?;
        let result = match self.store_here(&mut bytes) {
            Some(result) => result,
            None => {
                let (file, place) = (self.file.clone(), self.place);
                let store = move || Self::store(&file, place, &bytes);
                self.blocking.run_once(store).await
            }
        };
        self.finished(result);
        self.permit().map(|_| ())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // Nothing is held back: a write that is under way is all that a flush could ask for.
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
            self.finished(result);
        }
    }
}
