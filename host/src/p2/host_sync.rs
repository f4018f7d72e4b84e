//! The host functions of synchronous stores, which run on the guest's thread.

use super::bindings::sync::types::{self, HostDescriptor, HostDirectoryEntryStream};
use super::host;
use crate::OverlayCtxView;
use crate::blocking::Blocking;
use crate::descriptor::{Descriptor, DirectoryEntryStream};
use crate::error::{FsError, FsResult};
use crate::stream_io::WritePosition;
use wasi_overlay_core::Errno;
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

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
        self.input_stream(&fd, offset, Blocking::Inline)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.output_stream(&fd, WritePosition::At(offset), Blocking::Inline)
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.output_stream(&fd, WritePosition::End, Blocking::Inline)
    }

    fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
        length: types::Filesize,
        advice: types::Advice,
    ) -> FsResult<()> {
        let file = self.table.get(&fd)?.file_for("advise")?;
        Ok(file.advise(offset, length, advice.into())?)
    }

    fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        Ok(self.table.get(&fd)?.sync(true)?)
    }

    fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorFlags> {
        Ok(self.table.get(&fd)?.access().into())
    }

    fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorType> {
        Ok(self.table.get(&fd)?.kind().into())
    }

    fn set_size(&mut self, fd: Resource<Descriptor>, size: types::Filesize) -> FsResult<()> {
        Ok(self.table.get(&fd)?.file_for("set-size")?.set_size(size)?)
    }

    fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let descriptor = self.table.get(&fd)?;
        let times = types::NewTimestamp::both(accessed, modified)
            .map_err(|code| descriptor.refused("set-times", code, "a time is out of range"))?;
        Ok(descriptor.set_times(times)?)
    }

    fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: types::Filesize,
        offset: types::Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        Ok(host::read(
            self.table.get(&fd)?.file_for("read")?,
            length,
            offset,
        )?)
    }

    fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: types::Filesize,
    ) -> FsResult<types::Filesize> {
        let file = self.table.get(&fd)?.file_for("write")?;
        Ok(file.write_at(&bytes, offset)? as u64)
    }

    fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let dir = self.table.get(&fd)?.dir_for("read-directory")?;
        let listing = self.ctx.listings().list(dir)?;
        Ok(self.table.push(DirectoryEntryStream::new(listing))?)
    }

    fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        Ok(self.table.get(&fd)?.sync(false)?)
    }

    fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        Ok(self
            .table
            .get(&fd)?
            .dir_for("create-directory-at")?
            .create_directory_at(&path)?)
    }

    fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorStat> {
        Ok(self.table.get(&fd)?.stat()?.into())
    }

    fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        let dir = self.table.get(&fd)?.dir_for("stat-at")?;
        Ok(dir.stat_at(&path, flags.follow())?.into())
    }

    fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let dir = self.table.get(&fd)?.dir_for("set-times-at")?;
        let times = types::NewTimestamp::both(accessed, modified)
            .map_err(|code| dir.refused("set-times-at", code, "a time is out of range"))?;
        Ok(dir.set_times_at(&path, flags.follow(), times)?)
    }

    fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let dir = self.table.get(&fd)?.dir_for("link-at")?;
        let new_dir = self.table.get(&new_fd)?.dir_for("link-at")?;
        if flags.follow() {
            return Err(dir
                .refused(
                    "link-at",
                    Errno::Invalid,
                    "symbolic links are not followed here",
                )
                .into());
        }
        Ok(dir.link_at(&path, new_dir, &new_path)?)
    }

    fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let dir = self.table.get(&fd)?.dir_for("open-at")?;
        let opened = open_flags.open_at(dir, path_flags, &path, flags)?;
        Ok(self.table.push(opened)?)
    }

    fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        Ok(self
            .table
            .get(&fd)?
            .dir_for("readlink-at")?
            .readlink_at(&path)?)
    }

    fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        Ok(self
            .table
            .get(&fd)?
            .dir_for("remove-directory-at")?
            .remove_directory_at(&path)?)
    }

    fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let dir = self.table.get(&fd)?.dir_for("rename-at")?;
        let new_dir = self.table.get(&new_fd)?.dir_for("rename-at")?;
        Ok(dir.rename_at(&path, new_dir, &new_path)?)
    }

    fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        Ok(self
            .table
            .get(&fd)?
            .dir_for("symlink-at")?
            .symlink_at(&target, &path)?)
    }

    fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        Ok(self
            .table
            .get(&fd)?
            .dir_for("unlink-file-at")?
            .unlink_file_at(&path)?)
    }

    fn is_same_object(
        &mut self,
        a: Resource<Descriptor>,
        b: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (a, b) = (self.table.get(&a)?, self.table.get(&b)?);
        Ok(a.is_same_object(b)?)
    }

    fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<types::MetadataHashValue> {
        Ok(self.table.get(&fd)?.identity()?.into())
    }

    fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        let dir = self.table.get(&fd)?.dir_for("metadata-hash-at")?;
        Ok(dir.identity_at(&path, flags.follow())?.into())
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
