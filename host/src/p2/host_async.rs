//! The host functions of asynchronous stores. Each looks up its descriptor, converts the arguments, calls
//! the engine, and converts the answer.
//!
//! A call that may wait for a disk runs where the context allows it to block. In the pool it works on a
//! clone of the descriptor, since the table stays with the guest's thread.

use super::bindings::types::{self, HostDescriptor, HostDirectoryEntryStream};
use super::host;
use crate::OverlayCtxView;
use crate::descriptor::{Descriptor, DirectoryEntryStream};
use crate::error::{FsError, FsResult};
use crate::stream_io::WritePosition;
use wasi_overlay_core::{Dir, Errno, File, Result};
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

impl OverlayCtxView<'_> {
    async fn on_any<R: Send + 'static>(
        &mut self,
        fd: &Resource<Descriptor>,
        call: impl Fn(&Descriptor) -> Result<R> + Send + 'static,
    ) -> FsResult<R> {
        let descriptor = self.table.get(fd)?;
        Ok(self.ctx.blocking().run_on(descriptor, call).await?)
    }

    async fn on_file<R: Send + 'static>(
        &mut self,
        fd: &Resource<Descriptor>,
        name: &'static str,
        call: impl Fn(&File) -> Result<R> + Send + 'static,
    ) -> FsResult<R> {
        let file = self.table.get(fd)?.file_for(name)?;
        Ok(self.ctx.blocking().run_on(file, call).await?)
    }

    async fn on_dir<R: Send + 'static>(
        &mut self,
        fd: &Resource<Descriptor>,
        name: &'static str,
        call: impl Fn(&Dir) -> Result<R> + Send + 'static,
    ) -> FsResult<R> {
        let dir = self.table.get(fd)?.dir_for(name)?;
        Ok(self.ctx.blocking().run_on(dir, call).await?)
    }
}

impl types::Host for OverlayCtxView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<types::ErrorCode> {
        error.code().map(Into::into)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<types::ErrorCode>> {
        Ok(self.stream_error_code(&error)?.map(Into::into))
    }
}

impl HostDescriptor for OverlayCtxView<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        self.input_stream(&fd, offset, self.ctx.blocking())
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.output_stream(&fd, WritePosition::At(offset), self.ctx.blocking())
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.output_stream(&fd, WritePosition::End, self.ctx.blocking())
    }

    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
        length: types::Filesize,
        advice: types::Advice,
    ) -> FsResult<()> {
        self.on_file(&fd, "advise", move |file| {
            file.advise(offset, length, advice.into())
        })
        .await
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.on_any(&fd, |descriptor| descriptor.sync(true)).await
    }

    fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorFlags> {
        Ok(self.table.get(&fd)?.access().into())
    }

    fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorType> {
        Ok(self.table.get(&fd)?.kind().into())
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: types::Filesize) -> FsResult<()> {
        self.on_file(&fd, "set-size", move |file| file.set_size(size))
            .await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        self.on_any(&fd, move |descriptor| {
            descriptor.set_times(
                types::NewTimestamp::both(accessed, modified).map_err(|code| {
                    descriptor.refused("set-times", code, "a time is out of range")
                })?,
            )
        })
        .await
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: types::Filesize,
        offset: types::Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.on_file(&fd, "read", move |file| host::read(file, length, offset))
            .await
    }

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: types::Filesize,
    ) -> FsResult<types::Filesize> {
        let write = move |file: &File| file.write_at(&bytes, offset);
        Ok(self.on_file(&fd, "write", write).await? as u64)
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let held = self.ctx.listings().clone();
        let list = move |dir: &Dir| held.list(dir);
        let listing = self.on_dir(&fd, "read-directory", list).await?;
        Ok(self.table.push(DirectoryEntryStream::new(listing))?)
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.on_any(&fd, |descriptor| descriptor.sync(false)).await
    }

    async fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        self.on_dir(&fd, "create-directory-at", move |dir| {
            dir.create_directory_at(&path)
        })
        .await
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorStat> {
        Ok(self.on_any(&fd, Descriptor::stat).await?.into())
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        let stat = move |dir: &Dir| dir.stat_at(&path, flags.follow());
        Ok(self.on_dir(&fd, "stat-at", stat).await?.into())
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        self.on_dir(&fd, "set-times-at", move |dir| {
            let times = types::NewTimestamp::both(accessed, modified)
                .map_err(|code| dir.refused("set-times-at", code, "a time is out of range"))?;
            dir.set_times_at(&path, flags.follow(), times)
        })
        .await
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let dir = self.table.get(&fd)?.dir_for("link-at")?.clone();
        let new_dir = self.table.get(&new_fd)?.dir_for("link-at")?.clone();
        if flags.follow() {
            return Err(dir
                .refused(
                    "link-at",
                    Errno::Invalid,
                    "symbolic links are not followed here",
                )
                .into());
        }
        let link = move || dir.link_at(&path, &new_dir, &new_path);
        Ok(self.ctx.blocking().run(link).await?)
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let open = move |dir: &Dir| open_flags.open_at(dir, path_flags, &path, flags);
        let opened = self.on_dir(&fd, "open-at", open).await?;
        Ok(self.table.push(opened)?)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.on_dir(&fd, "readlink-at", move |dir| dir.readlink_at(&path))
            .await
    }

    async fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        self.on_dir(&fd, "remove-directory-at", move |dir| {
            dir.remove_directory_at(&path)
        })
        .await
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let dir = self.table.get(&fd)?.dir_for("rename-at")?.clone();
        let new_dir = self.table.get(&new_fd)?.dir_for("rename-at")?.clone();
        let rename = move || dir.rename_at(&path, &new_dir, &new_path);
        Ok(self.ctx.blocking().run(rename).await?)
    }

    async fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        self.on_dir(&fd, "symlink-at", move |dir| dir.symlink_at(&target, &path))
            .await
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.on_dir(&fd, "unlink-file-at", move |dir| dir.unlink_file_at(&path))
            .await
    }

    async fn is_same_object(
        &mut self,
        a: Resource<Descriptor>,
        b: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (a, b) = (self.table.get(&a)?.clone(), self.table.get(&b)?.clone());
        let same = move || a.is_same_object(&b);
        Ok(self.ctx.blocking().run(same).await?)
    }

    async fn metadata_hash(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<types::MetadataHashValue> {
        Ok(self.on_any(&fd, Descriptor::identity).await?.into())
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        let identity = move |dir: &Dir| dir.identity_at(&path, flags.follow());
        Ok(self.on_dir(&fd, "metadata-hash-at", identity).await?.into())
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

impl HostDirectoryEntryStream for OverlayCtxView<'_> {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        let entry = self.next_entry(&stream)?;
        Ok(entry.map(|(kind, name)| types::DirectoryEntry {
            type_: kind.into(),
            name,
        }))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
