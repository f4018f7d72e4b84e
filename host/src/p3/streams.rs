//! The host functions that give a stream or take one. They return at once; what goes wrong, even
//! before the first byte, the guest learns from the future beside the stream.

use super::bindings::types::DirectoryEntry;
use super::listing::EntryProducer;
use super::outcome::{Ended, Outcome};
use super::reader::FileProducer;
use super::writer::FileConsumer;
use crate::blocking::Blocking;
use crate::data::Place;
use crate::descriptor::Descriptor;
use crate::error::{FsError, FsResult};
use crate::{OverlayCtxView, WasiOverlay};
use std::iter;
use wasi_overlay_core::{Errno, Result};
use wasmtime::component::{Access, Resource, StreamReader};

/// What a stream is to be of, and where its calls may block; or the code that its future is to
/// say. What is not in the table is a trap.
fn get<T: Clone>(
    view: OverlayCtxView<'_>,
    fd: &Resource<Descriptor>,
    what: impl FnOnce(&Descriptor) -> Result<&T>,
) -> wasmtime::Result<std::result::Result<(T, Blocking), Errno>> {
    let blocking = view.ctx.blocking();
    let find = || -> FsResult<T> { Ok(what(view.table.get(fd)?)?.clone()) };
    match find() {
        Ok(found) => Ok(Ok((found, blocking))),
        Err(FsError::Code(code)) => Ok(Err(code)),
        Err(FsError::Trap(error)) => Err(error),
    }
}

pub(super) fn read<U>(
    mut store: Access<'_, U, WasiOverlay>,
    fd: &Resource<Descriptor>,
    offset: u64,
) -> wasmtime::Result<(StreamReader<u8>, Ended)> {
    let found = get(store.get(), fd, Descriptor::stream_file)?;
    let (mut outcome, ended) = Outcome::new(&mut store)?;
    let stream = match found {
        Ok((file, blocking)) => {
            let producer = FileProducer::new(file, offset, blocking, outcome);
            StreamReader::new(&mut store, producer)?
        }
        Err(code) => {
            outcome.end(Err(code));
            StreamReader::new(&mut store, iter::empty())?
        }
    };
    Ok((stream, ended))
}

pub(super) fn write<U>(
    mut store: Access<'_, U, WasiOverlay>,
    fd: &Resource<Descriptor>,
    mut data: StreamReader<u8>,
    place: Place,
) -> wasmtime::Result<Ended> {
    let call = match place {
        Place::At(_) => "write-via-stream",
        Place::End => "append-via-stream",
    };
    let found = get(store.get(), fd, |descriptor| descriptor.file_for(call))?;
    let (mut outcome, ended) = Outcome::new(&mut store)?;
    match found {
        Ok((file, blocking)) => {
            let consumer = FileConsumer::new(file, place, blocking, outcome);
            data.pipe(&mut store, consumer)?;
        }
        Err(code) => {
            outcome.end(Err(code));
            data.close(&mut store)?;
        }
    }
    Ok(ended)
}

pub(super) fn list<U>(
    mut store: Access<'_, U, WasiOverlay>,
    fd: &Resource<Descriptor>,
) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Ended)> {
    let found = get(store.get(), fd, |descriptor| {
        descriptor.dir_for("read-directory")
    })?;
    let held = store.get().ctx.listings().clone();
    let (mut outcome, ended) = Outcome::new(&mut store)?;
    let stream = match found {
        Ok((dir, blocking)) => {
            let producer = EntryProducer::new(dir, held, blocking, outcome);
            StreamReader::new(&mut store, producer)?
        }
        Err(code) => {
            outcome.end(Err(code));
            StreamReader::new(&mut store, iter::empty())?
        }
    };
    Ok((stream, ended))
}
