//! The host functions of WASI 0.3. Each looks up its descriptor, converts the arguments, calls the engine,
//! and converts the answer.
//!
//! A call that may wait for a disk runs where the context allows it to block. In the pool it works on a
//! clone of the descriptor, since the table stays with the store.

use super::bindings::{preopens, types};
use super::completion::CompletionFuture;
use super::streams;
use crate::blocking::StartedCall;
use crate::descriptor::Descriptor;
use crate::error::{FsError, FsResult};
use crate::stream_io::WritePosition;
use crate::{OverlayCtxView, WasiOverlay};
use wasi_overlay_core::{Dir, Errno, File, Result};
use wasmtime::component::{Access, Accessor, Resource, StreamReader};

/// Access to the store for a host function, which may use it only between two steps of the guest.
type Store<U> = Accessor<U, WasiOverlay>;

fn start_call<U, R: Send + 'static>(
    store: &Store<U>,
    fd: &Resource<Descriptor>,
    call: impl Fn(&Descriptor) -> Result<R> + Send + 'static,
) -> FsResult<StartedCall<Result<R>>> {
    store.with(|mut store| {
        let view = store.get();
        let descriptor = view.table.get(fd)?;
        Ok(view.ctx.blocking().run_on(descriptor, call))
    })
}

fn on_any<U, R: Send + 'static>(
    store: &Store<U>,
    fd: &Resource<Descriptor>,
    call: impl Fn(&Descriptor) -> Result<R> + Send + 'static,
) -> impl Future<Output = FsResult<R>> + Send {
    let started = start_call(store, fd, call);
    async { Ok(started?.await?) }
}

fn on_file<U, R: Send + 'static>(
    store: &Store<U>,
    fd: &Resource<Descriptor>,
    name: &'static str,
    call: impl Fn(&File) -> Result<R> + Send + 'static,
) -> impl Future<Output = FsResult<R>> + Send {
    on_any(store, fd, move |descriptor| {
        call(descriptor.file_for(name)?)
    })
}

fn on_dir<U, R: Send + 'static>(
    store: &Store<U>,
    fd: &Resource<Descriptor>,
    name: &'static str,
    call: impl Fn(&Dir) -> Result<R> + Send + 'static,
) -> impl Future<Output = FsResult<R>> + Send {
    on_any(store, fd, move |descriptor| call(descriptor.dir_for(name)?))
}

async fn on_two<U, R: Send + 'static>(
    store: &Store<U>,
    one: &Resource<Descriptor>,
    other: &Resource<Descriptor>,
    call: impl Fn(&Descriptor, &Descriptor) -> Result<R> + Send + 'static,
) -> FsResult<R> {
    let other = store.with(|mut store| FsResult::Ok(store.get().table.get(other)?.clone()))?;
    on_any(store, one, move |one| call(one, &other)).await
}

impl types::Host for OverlayCtxView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<types::ErrorCode> {
        error.code().map(Into::into)
    }
}

impl types::HostDescriptor for OverlayCtxView<'_> {
    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

impl preopens::Host for OverlayCtxView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.directories()
    }
}

impl<U> types::HostDescriptorWithStore<U> for WasiOverlay {
    fn read_via_stream(
        store: Access<'_, U, Self>,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
    ) -> wasmtime::Result<(StreamReader<u8>, CompletionFuture)> {
        streams::read(store, &fd, offset)
    }

    fn write_via_stream(
        store: Access<'_, U, Self>,
        fd: Resource<Descriptor>,
        data: StreamReader<u8>,
        offset: types::Filesize,
    ) -> wasmtime::Result<CompletionFuture> {
        streams::write(store, &fd, data, WritePosition::At(offset))
    }

    fn append_via_stream(
        store: Access<'_, U, Self>,
        fd: Resource<Descriptor>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<CompletionFuture> {
        streams::write(store, &fd, data, WritePosition::End)
    }

    fn read_directory(
        store: Access<'_, U, Self>,
        fd: Resource<Descriptor>,
    ) -> wasmtime::Result<(StreamReader<types::DirectoryEntry>, CompletionFuture)> {
        streams::list(store, &fd)
    }

    async fn advise(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
        length: types::Filesize,
        advice: types::Advice,
    ) -> FsResult<()> {
        let advise = move |file: &File| file.advise(offset, length, advice.into());
        on_file(store, &fd, "advise", advise).await
    }

    async fn sync_data(store: &Store<U>, fd: Resource<Descriptor>) -> FsResult<()> {
        on_any(store, &fd, |descriptor| descriptor.sync(true)).await
    }

    async fn get_flags(
        store: &Store<U>,
        fd: Resource<Descriptor>,
    ) -> FsResult<types::DescriptorFlags> {
        store.with(|mut store| Ok(store.get().table.get(&fd)?.access().into()))
    }

    async fn get_type(
        store: &Store<U>,
        fd: Resource<Descriptor>,
    ) -> FsResult<types::DescriptorType> {
        store.with(|mut store| Ok(store.get().table.get(&fd)?.kind().into()))
    }

    async fn set_size(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        size: types::Filesize,
    ) -> FsResult<()> {
        on_file(store, &fd, "set-size", move |file| file.set_size(size)).await
    }

    async fn set_times(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        on_any(store, &fd, move |descriptor| {
            descriptor.set_times(
                types::NewTimestamp::both(accessed, modified).map_err(|code| {
                    descriptor.refused("set-times", code, "a time is out of range")
                })?,
            )
        })
        .await
    }

    async fn sync(store: &Store<U>, fd: Resource<Descriptor>) -> FsResult<()> {
        on_any(store, &fd, |descriptor| descriptor.sync(false)).await
    }

    async fn create_directory_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        on_dir(store, &fd, "create-directory-at", move |dir| {
            dir.create_directory_at(&path)
        })
        .await
    }

    async fn stat(store: &Store<U>, fd: Resource<Descriptor>) -> FsResult<types::DescriptorStat> {
        // Not `on_any`, whose future would have to hold so large an answer: see `StartedCall::into_answer`.
        let task = match start_call(store, &fd, Descriptor::stat)?.into_answer() {
            Ok(stat) => return Ok(stat?.into()),
            Err(task) => task,
        };
        Ok(task.await?.into())
    }

    async fn stat_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        let stat = move |descriptor: &Descriptor| {
            descriptor
                .dir_for("stat-at")?
                .stat_at(&path, flags.follow())
        };
        let task = match start_call(store, &fd, stat)?.into_answer() {
            Ok(stat) => return Ok(stat?.into()),
            Err(task) => task,
        };
        Ok(task.await?.into())
    }

    async fn set_times_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        on_dir(store, &fd, "set-times-at", move |dir| {
            let times = types::NewTimestamp::both(accessed, modified)
                .map_err(|code| dir.refused("set-times-at", code, "a time is out of range"))?;
            dir.set_times_at(&path, flags.follow(), times)
        })
        .await
    }

    async fn link_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        on_two(store, &fd, &new_fd, move |old, new| {
            let (dir, new_dir) = (old.dir_for("link-at")?, new.dir_for("link-at")?);
            if flags.follow() {
                return Err(dir.refused(
                    "link-at",
                    Errno::Invalid,
                    "symbolic links are not followed here",
                ));
            }
            dir.link_at(&path, new_dir, &new_path)
        })
        .await
    }

    async fn open_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let open = move |dir: &Dir| open_flags.open_at(dir, path_flags, &path, flags);
        let opened = on_dir(store, &fd, "open-at", open).await?;
        store.with(|mut store| Ok(store.get().table.push(opened)?))
    }

    async fn readlink_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<String> {
        on_dir(store, &fd, "readlink-at", move |dir| dir.readlink_at(&path)).await
    }

    async fn remove_directory_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        on_dir(store, &fd, "remove-directory-at", move |dir| {
            dir.remove_directory_at(&path)
        })
        .await
    }

    async fn rename_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        on_two(store, &fd, &new_fd, move |old, new| {
            old.dir_for("rename-at")?
                .rename_at(&path, new.dir_for("rename-at")?, &new_path)
        })
        .await
    }

    async fn symlink_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        on_dir(store, &fd, "symlink-at", move |dir| {
            dir.symlink_at(&target, &path)
        })
        .await
    }

    async fn unlink_file_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        on_dir(store, &fd, "unlink-file-at", move |dir| {
            dir.unlink_file_at(&path)
        })
        .await
    }

    async fn is_same_object(
        store: &Store<U>,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        match on_two(store, &one, &other, |one, other| one.is_same_object(other)).await {
            Ok(same) => Ok(same),
            Err(FsError::Code(code)) => Err(code.into()),
            Err(FsError::Trap(error)) => Err(error),
        }
    }

    async fn metadata_hash(
        store: &Store<U>,
        fd: Resource<Descriptor>,
    ) -> FsResult<types::MetadataHashValue> {
        Ok(on_any(store, &fd, Descriptor::identity).await?.into())
    }

    async fn metadata_hash_at(
        store: &Store<U>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        let identity = move |dir: &Dir| dir.identity_at(&path, flags.follow());
        Ok(on_dir(store, &fd, "metadata-hash-at", identity)
            .await?
            .into())
    }
}
