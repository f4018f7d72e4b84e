//! A directory as a stream of its entries.

use super::bindings::types::DirectoryEntry;
use super::outcome::Outcome;
use crate::blocking::{Blocking, Task};
use crate::convert::guest_code;
use crate::descriptor::{DirectoryEntryStream, not_utf8};
use crate::held_listings::HeldListings;
use std::pin::Pin;
use std::task::{Context, Poll};
use wasi_overlay_core::{Dir, Errno};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

/// Most entries that are made ready for a guest at a time, whatever it asks for.
const BATCH: usize = 256;

/// Gives the entries of a directory as they were when the guest asked for the stream. Beside the
/// engine's own snapshot, which all streams on a directory share while it does not change, one
/// batch is held.
pub(super) struct EntryProducer {
    state: State,
    outcome: Outcome,
}

enum State {
    /// The directory is being listed.
    Listing(Task<Result<DirectoryEntryStream, Errno>>),
    Listed(DirectoryEntryStream),
    Failed(Errno),
}

impl EntryProducer {
    /// Begins to list, for the guest whose listings `held` counts.
    pub(super) fn new(dir: Dir, held: HeldListings, blocking: Blocking, outcome: Outcome) -> Self {
        let list = move || match held.list(&dir) {
            Ok(listing) => Ok(DirectoryEntryStream::new(listing)),
            Err(error) => Err(guest_code(&error)),
        };
        let state = match blocking.here(&list) {
            Some(listed) => State::after(listed),
            None => State::Listing(Task::start(list)),
        };
        Self { state, outcome }
    }

    fn fail(&mut self, code: Errno) -> StreamResult {
        self.outcome.end(Err(code));
        StreamResult::Dropped
    }
}

impl State {
    fn after(listed: Result<DirectoryEntryStream, Errno>) -> Self {
        listed.map_or_else(Self::Failed, Self::Listed)
    }
}

impl<D> StreamProducer<D> for EntryProducer {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, DirectoryEntry, VecBuffer<DirectoryEntry>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let me = &mut *self;
        if let State::Listing(task) = &mut me.state {
            match task.poll(context) {
                Poll::Ready(listed) => me.state = State::after(listed.unwrap_or(Err(Errno::Io))),
                // The list is not lost: the next read gets its beginning.
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let room = destination.remaining(store).unwrap_or(BATCH).min(BATCH);
        let entries = match &mut me.state {
            State::Listed(entries) => entries,
            State::Failed(code) => {
                let code = *code;
                return Poll::Ready(Ok(me.fail(code)));
            }
            State::Listing(_) => return Poll::Pending,
        };
        let mut batch = Vec::with_capacity(room);
        while batch.len() < room {
            match entries.next() {
                Ok(Some((kind, name))) => batch.push(DirectoryEntry {
                    type_: kind.into(),
                    name: name.to_owned(),
                }),
                ended => {
                    me.outcome.end(ended.map(drop).inspect_err(not_utf8));
                    destination.set_buffer(batch.into());
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        destination.set_buffer(batch.into());
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
