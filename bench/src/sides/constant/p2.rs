//! Constants for WASI 0.2. All but files is wasmtime-wasi's.

use super::changed::Changes;
use super::{Asked, Descriptor, NAME, Object, PAGE, is_missing, kind_at, refuse, root, stat};
use crate::sides::stock::{Ready, State};
use crate::trees::SMALL;
use anyhow::Result;
use std::sync::Arc;
use wasi_overlay::p2::bindings::sync::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
    PathFlags,
};
use wasmtime::component::{Component, Linker, Resource, ResourceType};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::p2::bindings::cli;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wasmtime_wasi_io::bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

/// What the guest imports and is not told to do.
const REFUSED: &[&str] = &["create-directory-at", "write", "write-via-stream"];

/// A directory that is being listed: how many entries are left, and of which type.
struct Listing {
    left: u32,
    type_: DescriptorType,
}

/// The end of a copy, as what a guest writes to.
struct Appended(Changes);

#[async_trait::async_trait]
impl Pollable for Appended {
    async fn ready(&mut self) {}
}

impl OutputStream for Appended {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let appended = self.0.append(&bytes);
        appended.map_err(|error| StreamError::Trap(wasmtime::Error::from_anyhow(error)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(SMALL)
    }
}

/// Runs a component, in a tree of so many files to walk; returns what it printed.
pub(crate) fn run(
    component: &Component,
    arguments: &[String],
    files: u32,
    asked: Asked,
) -> Result<Vec<u8>> {
    let mut linker: Linker<State> = Linker::new(component.engine());
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_sync(&mut linker)?;
    cli::environment::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    add_to_linker(&mut linker, files, &Arc::new(asked))?;
    Ready::linked(&linker, component, Vec::new())?.run(arguments)
}

fn add_to_linker(linker: &mut Linker<State>, files: u32, asked: &Arc<Asked>) -> Result<()> {
    type Fd = Resource<Descriptor>;
    type Answer<T> = wasmtime::Result<(std::result::Result<T, ErrorCode>,)>;
    let mut preopens = linker.instance("wasi:filesystem/preopens@0.2.12")?;
    preopens.func_wrap("get-directories", |_, (): ()| Ok((root(),)))?;
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    let descriptor = ResourceType::host::<Descriptor>();
    let changes = asked.changes.clone();
    types.resource("descriptor", descriptor, move |_, _| {
        changes.close();
        Ok(())
    })?;
    let stream = ResourceType::host::<Listing>();
    types.resource("directory-entry-stream", stream, |mut store, number| {
        let listing = Resource::<Listing>::new_own(number);
        store.data_mut().table.delete(listing)?;
        Ok(())
    })?;
    for name in REFUSED {
        let name = format!("[method]descriptor.{name}");
        types.func_new(&name, |_, _, _, _| refuse())?;
    }
    types.func_wrap(
        "[method]descriptor.get-type",
        |_, (fd,): (Fd,)| -> Answer<DescriptorType> { Ok((Ok(Object::of(&fd).kind().into()),)) },
    )?;
    types.func_wrap(
        "[method]descriptor.stat",
        |_, (fd,): (Fd,)| -> Answer<DescriptorStat> {
            Ok((Ok(stat(Object::of(&fd).kind()).into()),))
        },
    )?;
    let facts = Arc::clone(asked);
    types.func_wrap(
        "[method]descriptor.stat-at",
        move |_, (_, _, path): (Fd, PathFlags, String)| -> Answer<DescriptorStat> {
            facts.stat()?;
            if is_missing(&path) {
                return Ok((Err(ErrorCode::NoEntry),));
            }
            Ok((Ok(stat(kind_at(&path)).into()),))
        },
    )?;
    let changes = asked.changes.clone();
    types.func_wrap(
        "[method]descriptor.open-at",
        move |_, how: (Fd, PathFlags, String, OpenFlags, DescriptorFlags)| -> Answer<_> {
            if how.4.contains(DescriptorFlags::WRITE) {
                changes.open(&how.2).map_err(wasmtime::Error::from_anyhow)?;
            }
            Ok((Ok(Object::at(&how.2, files).descriptor()),))
        },
    )?;
    let changes = asked.changes.clone();
    types.func_wrap(
        "[method]descriptor.unlink-file-at",
        move |_, (_, path): (Fd, String)| -> Answer<()> {
            changes
                .unlink(&path)
                .map_err(wasmtime::Error::from_anyhow)?;
            Ok((Ok(()),))
        },
    )?;
    let changes = asked.changes.clone();
    types.func_wrap(
        "[method]descriptor.rename-at",
        move |_, (_, from, _, to): (Fd, String, Fd, String)| -> Answer<()> {
            changes
                .rename(&from, &to)
                .map_err(wasmtime::Error::from_anyhow)?;
            Ok((Ok(()),))
        },
    )?;
    let changes = asked.changes.clone();
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        move |mut store, _: (Fd,)| -> Answer<Resource<DynOutputStream>> {
            let stream: DynOutputStream = Box::new(Appended(changes.clone()));
            Ok((Ok(store.data_mut().table.push(stream)?),))
        },
    )?;
    let pages = Arc::clone(asked);
    types.func_wrap(
        "[method]descriptor.read",
        move |_, (_, _, offset): (Fd, u64, u64)| -> Answer<(Vec<u8>, bool)> {
            Ok((Ok((pages.page(offset)?, false)),))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store, _: (Fd, u64)| -> Answer<Resource<DynInputStream>> {
            let stream: DynInputStream = Box::new(MemoryInputPipe::new(&PAGE[..]));
            Ok((Ok(store.data_mut().table.push(stream)?),))
        },
    )?;
    let names = Arc::clone(asked);
    types.func_wrap(
        "[method]descriptor.read-directory",
        move |mut store, (fd,): (Fd,)| -> Answer<Resource<Listing>> {
            names.list()?;
            let dir = Object::of(&fd);
            let listing = Listing {
                left: dir.entries(),
                type_: dir.kind_of_entries().into(),
            };
            Ok((Ok(store.data_mut().table.push(listing)?),))
        },
    )?;
    types.func_wrap(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store, (stream,): (Resource<Listing>,)| -> Answer<Option<DirectoryEntry>> {
            let listing = store.data_mut().table.get_mut(&stream)?;
            let Some(left) = listing.left.checked_sub(1) else {
                return Ok((Ok(None),));
            };
            listing.left = left;
            let entry = DirectoryEntry {
                type_: listing.type_,
                name: NAME.to_owned(),
            };
            Ok((Ok(Some(entry)),))
        },
    )?;
    Ok(())
}
