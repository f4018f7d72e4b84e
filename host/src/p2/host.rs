//! Code that the host functions of synchronous and asynchronous stores share.

use super::bindings::preopens;
use super::input::FileInputStream;
use super::output::FileOutputStream;
use crate::OverlayCtxView;
use crate::blocking::Blocking;
use crate::descriptor::{Descriptor, DirectoryEntryStream, log_not_utf8};
use crate::error::FsResult;
use crate::stream_io::{STREAM_BYTES, WritePosition};
use std::io;
use wasi_overlay_core::{Errno, File, Kind, Result};
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

impl preopens::Host for OverlayCtxView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.directories()
    }
}

impl OverlayCtxView<'_> {
    pub(super) fn input_stream(
        &mut self,
        descriptor: &Resource<Descriptor>,
        offset: u64,
        blocking: Blocking,
    ) -> FsResult<Resource<DynInputStream>> {
        let file = self.table.get(descriptor)?.stream_file()?.clone();
        let stream: DynInputStream = Box::new(FileInputStream::new(file, offset, blocking));
        Ok(self.table.push(stream)?)
    }

    pub(super) fn output_stream(
        &mut self,
        descriptor: &Resource<Descriptor>,
        position: WritePosition,
        blocking: Blocking,
    ) -> FsResult<Resource<DynOutputStream>> {
        let call = match position {
            WritePosition::At(_) => "write-via-stream",
            WritePosition::End => "append-via-stream",
        };
        let file = self.table.get(descriptor)?.file_for(call)?.clone();
        let stream: DynOutputStream = Box::new(FileOutputStream::new(file, position, blocking));
        Ok(self.table.push(stream)?)
    }

    pub(super) fn next_entry(
        &mut self,
        stream: &Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<(Kind, String)>> {
        let entry = self
            .table
            .get_mut(stream)?
            .next()
            .inspect_err(log_not_utf8)?;
        Ok(entry.map(|(kind, name)| (kind, name.to_owned())))
    }

    /// The filesystem error code in a stream's error, if it has one: the error is a code of our streams,
    /// or a system error of another stream.
    pub(super) fn stream_error_code(
        &self,
        error: &Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<Errno>> {
        let error = self.table.get(error)?;
        let ours = error.downcast_ref::<Errno>().copied();
        Ok(ours.or_else(|| error.downcast_ref::<io::Error>().map(Errno::from)))
    }
}

/// Implements `read`: returns the bytes, and whether the file ends. As in wasmtime-wasi, only an answer
/// without bytes reports the end, since a short read need not be the last.
pub(super) fn read(file: &File, length: u64, offset: u64) -> Result<(Vec<u8>, bool)> {
    let length = usize::try_from(length).map_or(STREAM_BYTES, |length| length.min(STREAM_BYTES));
    let bytes = file.read_vec_at(length, offset)?;
    let is_end = bytes.is_empty();
    Ok((bytes, is_end))
}
