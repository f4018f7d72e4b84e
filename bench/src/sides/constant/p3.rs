//! Constants for WASI 0.3. All but files is wasmtime-wasi's.

use super::{Asked, Descriptor, NAME, Object, PAGE, is_missing, kind_at, refuse, root, stat};
use crate::sides::asynchronous;
use crate::sides::stock::State;
use anyhow::Result;
use std::sync::Arc;
use wasi_overlay::p3::bindings::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
    PathFlags,
};
use wasmtime::StoreContextMut;
use wasmtime::component::{Component, FutureReader, Linker, Resource, ResourceType, StreamReader};
use wasmtime_wasi::p3::{cli, clocks, random};

/// What the guest imports and is not told to do: functions that wait, and those that do not.
const REFUSED: [&[&str]; 2] = [
    &["create-directory-at", "rename-at", "unlink-file-at"],
    &["append-via-stream", "write-via-stream"],
];

/// Runs a component, in a tree of so many files to walk; returns what it printed.
pub(crate) fn run(
    component: &Component,
    arguments: &[String],
    files: u32,
    asked: Asked,
) -> Result<Vec<u8>> {
    let mut linker: Linker<State> = Linker::new(component.engine());
    cli::add_to_linker(&mut linker)?;
    clocks::add_to_linker(&mut linker)?;
    random::add_to_linker(&mut linker)?;
    add_to_linker(&mut linker, files, &Arc::new(asked))?;
    asynchronous::linked(component, &linker, arguments, &Vec::new())
}

type Ended = FutureReader<std::result::Result<(), ErrorCode>>;

/// A stream and how it ends: well.
fn stream<T>(
    mut store: StoreContextMut<'_, State>,
    items: Vec<T>,
) -> wasmtime::Result<((StreamReader<T>, Ended),)>
where
    T: wasmtime::component::Lower + wasmtime::component::Lift + Unpin + Send + Sync + 'static,
{
    let stream = StreamReader::new(&mut store, items)?;
    let ended = async { wasmtime::error::Ok(Ok(())) };
    Ok(((stream, FutureReader::new(&mut store, ended)?),))
}

fn add_to_linker(linker: &mut Linker<State>, files: u32, asked: &Arc<Asked>) -> Result<()> {
    type Fd = Resource<Descriptor>;
    type Answer<T> = wasmtime::Result<(std::result::Result<T, ErrorCode>,)>;
    let mut preopens = linker.instance("wasi:filesystem/preopens@0.3.0")?;
    preopens.func_wrap("get-directories", |_, (): ()| Ok((root(),)))?;
    let mut types = linker.instance("wasi:filesystem/types@0.3.0")?;
    let descriptor = ResourceType::host::<Descriptor>();
    types.resource("descriptor", descriptor, |_, _| Ok(()))?;
    let [waiting, prompt] = REFUSED;
    for name in waiting {
        let name = format!("[method]descriptor.{name}");
        types.func_new_concurrent(&name, |_, _, _, _| Box::pin(async { refuse() }))?;
    }
    for name in prompt {
        let name = format!("[method]descriptor.{name}");
        types.func_new(&name, |_, _, _, _| refuse())?;
    }
    types.func_wrap_concurrent("[method]descriptor.get-type", |_, (fd,): (Fd,)| {
        let type_ = DescriptorType::from(Object::of(&fd).kind());
        Box::pin(async move { Answer::Ok((Ok(type_),)) })
    })?;
    types.func_wrap_concurrent("[method]descriptor.stat", |_, (fd,): (Fd,)| {
        Box::pin(
            async move { Answer::Ok((Ok(DescriptorStat::from(stat(Object::of(&fd).kind()))),)) },
        )
    })?;
    let facts = Arc::clone(asked);
    types.func_wrap_concurrent(
        "[method]descriptor.stat-at",
        move |_, (_, _, path): (Fd, PathFlags, String)| {
            let told = facts.stat();
            Box::pin(async move {
                told?;
                if is_missing(&path) {
                    return Answer::Ok((Err(ErrorCode::NoEntry),));
                }
                Ok((Ok(DescriptorStat::from(stat(kind_at(&path)))),))
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        move |_, how: (Fd, PathFlags, String, OpenFlags, DescriptorFlags)| {
            Box::pin(async move { Answer::Ok((Ok(Object::at(&how.2, files).descriptor()),)) })
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |store, _: (Fd, u64)| stream(store, PAGE.to_vec()),
    )?;
    let names = Arc::clone(asked);
    types.func_wrap(
        "[method]descriptor.read-directory",
        move |store, (fd,): (Fd,)| {
            names.list()?;
            let dir = Object::of(&fd);
            let entry = || DirectoryEntry {
                type_: dir.kind_of_entries().into(),
                name: NAME.to_owned(),
            };
            stream(store, (0..dir.entries()).map(|_| entry()).collect())
        },
    )?;
    Ok(())
}
