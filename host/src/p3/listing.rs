//! [`EntryProducer`], which feeds the entries of a directory to a stream.

use super::bindings::types::DirectoryEntry;
use super::completion::Completion;
use crate::blocking::{Blocking, DetachedTask};
use crate::convert::guest_code;
use crate::descriptor::{DirectoryEntryStream, log_not_utf8};
use crate::held_listings::HeldListings;
use std::pin::Pin;
use std::task::{Context, Poll};
use wasi_overlay_core::{Dir, Errno};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

/// The most entries that are converted for the guest at a time, however many it asks for.
const BATCH_ENTRIES: usize = 256;

/// Produces the entries that the directory had when the guest asked for the stream. In addition to the
/// engine's snapshot, which all streams on a directory share while it does not change, it holds one batch
/// of entries.
pub(super) struct EntryProducer {
    state: State,
    completion: Completion,
}

enum State {
    /// The directory is being listed.
    Listing(DetachedTask<Result<DirectoryEntryStream, Errno>>),
    Listed(DirectoryEntryStream),
    Failed(Errno),
}

impl EntryProducer {
    /// Starts to list a directory. `held` counts the listings of the guest.
    pub(super) fn new(
        dir: Dir,
        held: HeldListings,
        blocking: Blocking,
        completion: Completion,
    ) -> Self {
        let list = move || match held.list(&dir) {
            Ok(listing) => Ok(DirectoryEntryStream::new(listing)),
            Err(error) => Err(guest_code(&error)),
        };
        let state = match blocking.try_inline(&list) {
            Some(listed) => State::from_result(listed),
            None => State::Listing(DetachedTask::start(list)),
        };
        Self { state, completion }
    }

    fn fail(&mut self, code: Errno) -> StreamResult {
        self.completion.send(Err(code));
        StreamResult::Dropped
    }
}

impl State {
    fn from_result(listed: Result<DirectoryEntryStream, Errno>) -> Self {
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
                Poll::Ready(listed) => {
                    me.state = State::from_result(listed.unwrap_or(Err(Errno::Io)))
                }
                // The listing is not lost: the next read returns its first entries.
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let room = destination
            .remaining(store)
            .unwrap_or(BATCH_ENTRIES)
            .min(BATCH_ENTRIES);
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
                    me.completion
                        .send(ended.map(drop).inspect_err(log_not_utf8));
                    destination.set_buffer(batch.into());
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        destination.set_buffer(batch.into());
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
