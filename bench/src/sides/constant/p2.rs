//! Constants for WASI 0.2. All but files is wasmtime-wasi's.

use super::{Asked, Descriptor, NAME, Object, PAGE, is_missing, kind_at, refuse, root, stat};
use crate::sides::stock::{Ready, State};
use anyhow::Result;
use std::sync::Arc;
use wasi_overlay::p2::bindings::sync::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
    PathFlags,
};
use wasmtime::component::{Component, Linker, Resource, ResourceType};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::p2::DynInputStream;
use wasmtime_wasi::p2::bindings::cli;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

/// What the guest imports and is not told to do.
const REFUSED: &[&str] = &[
    "append-via-stream",
    "create-directory-at",
    "rename-at",
    "unlink-file-at",
    "write",
    "write-via-stream",
];

/// A directory that is being listed: how many entries are left, and of which type.
struct Listing {
    left: u32,
    type_: DescriptorType,
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
    types.resource("descriptor", descriptor, |_, _| Ok(()))?;
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
    types.func_wrap(
        "[method]descriptor.open-at",
        move |_, how: (Fd, PathFlags, String, OpenFlags, DescriptorFlags)| -> Answer<_> {
            Ok((Ok(Object::at(&how.2, files).descriptor()),))
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
