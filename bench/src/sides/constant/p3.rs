//! Constants for WASI 0.3. All but files is wasmtime-wasi's.

use super::changed::Changes;
use super::{Asked, Descriptor, NAME, Object, PAGE, is_missing, kind_at, refuse, root, stat};
use crate::sides::asynchronous;
use crate::sides::stock::State;
use anyhow::Result;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasi_overlay::p3::bindings::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
    PathFlags,
};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Component, FutureReader, Linker, Resource, ResourceType, Source, StreamConsumer, StreamReader,
    StreamResult,
};
use wasmtime_wasi::p3::{cli, clocks, random};

/// What the guest imports and is not told to do: a function that waits, and one that does not.
const REFUSED: [&str; 2] = ["create-directory-at", "write-via-stream"];

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

/// The end of a copy, as what a stream is written to.
struct Appended(Changes);

impl<D> StreamConsumer<D> for Appended {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        if !bytes.is_empty() {
            self.0.append(bytes).map_err(wasmtime::Error::from_anyhow)?;
            let count = bytes.len();
            source.mark_read(count);
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
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
    let changes = asked.changes.clone();
    types.resource("descriptor", descriptor, move |_, _| {
        changes.close();
        Ok(())
    })?;
    let [waiting, prompt] = REFUSED.map(|name| format!("[method]descriptor.{name}"));
    types.func_new_concurrent(&waiting, |_, _, _, _| Box::pin(async { refuse() }))?;
    types.func_new(&prompt, |_, _, _, _| refuse())?;
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
    let changes = asked.changes.clone();
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        move |_, how: (Fd, PathFlags, String, OpenFlags, DescriptorFlags)| {
            let opened = match how.4.contains(DescriptorFlags::WRITE) {
                true => changes.open(&how.2),
                false => Ok(()),
            };
            Box::pin(async move {
                opened.map_err(wasmtime::Error::from_anyhow)?;
                Answer::Ok((Ok(Object::at(&how.2, files).descriptor()),))
            })
        },
    )?;
    let changes = asked.changes.clone();
    types.func_wrap_concurrent(
        "[method]descriptor.unlink-file-at",
        move |_, (_, path): (Fd, String)| {
            let done = changes.unlink(&path);
            Box::pin(async {
                done.map_err(wasmtime::Error::from_anyhow)?;
                Answer::Ok((Ok(()),))
            })
        },
    )?;
    let changes = asked.changes.clone();
    types.func_wrap_concurrent(
        "[method]descriptor.rename-at",
        move |_, (_, from, _, to): (Fd, String, Fd, String)| {
            let done = changes.rename(&from, &to);
            Box::pin(async {
                done.map_err(wasmtime::Error::from_anyhow)?;
                Answer::Ok((Ok(()),))
            })
        },
    )?;
    let changes = asked.changes.clone();
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        move |mut store, (_, data): (Fd, StreamReader<u8>)| {
            data.pipe(&mut store, Appended(changes.clone()))?;
            let ended = async { wasmtime::error::Ok(Ok(())) };
            let ended: Ended = FutureReader::new(&mut store, ended)?;
            Ok((ended,))
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
