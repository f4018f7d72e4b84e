//! The host functions that return or take a stream. They return immediately, and report every error,
//! even one before the first byte, through the future that belongs to the stream.

use super::bindings::types::DirectoryEntry;
use super::completion::{Completion, CompletionFuture};
use super::listing::EntryProducer;
use super::reader::FileProducer;
use super::writer::FileConsumer;
use crate::blocking::Blocking;
use crate::descriptor::Descriptor;
use crate::error::{FsError, FsResult};
use crate::stream_io::WritePosition;
use crate::{OverlayCtxView, WasiOverlay};
use std::iter;
use wasi_overlay_core::{Errno, Result};
use wasmtime::component::{Access, Resource, StreamReader};

/// The file or directory for a stream, and where its calls run; or the error code for its future.
///
/// # Errors
/// A trap if the descriptor is not in the table.
fn find_source<T: Clone>(
    view: OverlayCtxView<'_>,
    fd: &Resource<Descriptor>,
    source: impl FnOnce(&Descriptor) -> Result<&T>,
) -> wasmtime::Result<std::result::Result<(T, Blocking), Errno>> {
    let blocking = view.ctx.blocking();
    let find = || -> FsResult<T> { Ok(source(view.table.get(fd)?)?.clone()) };
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
) -> wasmtime::Result<(StreamReader<u8>, CompletionFuture)> {
    let found = find_source(store.get(), fd, Descriptor::stream_file)?;
    let (mut completion, future) = Completion::new(&mut store)?;
    let stream = match found {
        Ok((file, blocking)) => {
            let producer = FileProducer::new(file, offset, blocking, completion);
            StreamReader::new(&mut store, producer)?
        }
        Err(code) => {
            completion.send(Err(code));
            StreamReader::new(&mut store, iter::empty())?
        }
    };
    Ok((stream, future))
}

pub(super) fn write<U>(
    mut store: Access<'_, U, WasiOverlay>,
    fd: &Resource<Descriptor>,
    mut data: StreamReader<u8>,
    position: WritePosition,
) -> wasmtime::Result<CompletionFuture> {
    let call = match position {
        WritePosition::At(_) => "write-via-stream",
        WritePosition::End => "append-via-stream",
    };
    let found = find_source(store.get(), fd, |descriptor| descriptor.file_for(call))?;
    let (mut completion, future) = Completion::new(&mut store)?;
    match found {
        Ok((file, blocking)) => {
            let consumer = FileConsumer::new(file, position, blocking, completion);
            data.pipe(&mut store, consumer)?;
        }
        Err(code) => {
            completion.send(Err(code));
            data.close(&mut store)?;
        }
    }
    Ok(future)
}

pub(super) fn list<U>(
    mut store: Access<'_, U, WasiOverlay>,
    fd: &Resource<Descriptor>,
) -> wasmtime::Result<(StreamReader<DirectoryEntry>, CompletionFuture)> {
    let found = find_source(store.get(), fd, |descriptor| {
        descriptor.dir_for("read-directory")
    })?;
    let held = store.get().ctx.listings().clone();
    let (mut completion, future) = Completion::new(&mut store)?;
    let stream = match found {
        Ok((dir, blocking)) => {
            let producer = EntryProducer::new(dir, held, blocking, completion);
            StreamReader::new(&mut store, producer)?
        }
        Err(code) => {
            completion.send(Err(code));
            StreamReader::new(&mut store, iter::empty())?
        }
    };
    Ok((stream, future))
}
