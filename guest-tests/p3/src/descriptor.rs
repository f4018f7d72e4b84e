//! [`Descriptor`], with borrowed paths, and with reads and writes at an offset, for which WASI 0.3 has only
//! streams.

use crate::bindings::wasi::filesystem::types::Descriptor as Handle;
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, Ended,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags, Result, StreamReader, StreamResult,
    write_at,
};

/// An open file or directory.
#[derive(Debug)]
pub struct Descriptor(pub Handle);

/// Each method is the WASI call of the same name, unless its doc says otherwise.
#[expect(missing_docs, reason = "the WIT has the documentation")]
impl Descriptor {
    pub async fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Self> {
        let opened = self
            .0
            .open_at(path_flags, path.to_owned(), open_flags, flags);
        Ok(Self(opened.await?))
    }

    pub fn read_via_stream(&self, offset: u64) -> (StreamReader<u8>, Ended) {
        self.0.read_via_stream(offset)
    }

    pub fn write_via_stream(&self, data: StreamReader<u8>, offset: u64) -> Ended {
        self.0.write_via_stream(data, offset)
    }

    pub fn append_via_stream(&self, data: StreamReader<u8>) -> Ended {
        self.0.append_via_stream(data)
    }

    pub fn read_directory(&self) -> (StreamReader<DirectoryEntry>, Ended) {
        self.0.read_directory()
    }

    pub async fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.0.advise(offset, length, advice).await
    }

    pub async fn sync(&self) -> Result<()> {
        self.0.sync().await
    }

    pub async fn sync_data(&self) -> Result<()> {
        self.0.sync_data().await
    }

    pub async fn get_flags(&self) -> Result<DescriptorFlags> {
        self.0.get_flags().await
    }

    pub async fn get_type(&self) -> Result<DescriptorType> {
        self.0.get_type().await
    }

    pub async fn set_size(&self, size: u64) -> Result<()> {
        self.0.set_size(size).await
    }

    pub async fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Result<()> {
        self.0.set_times(access, modification).await
    }

    pub async fn stat(&self) -> Result<DescriptorStat> {
        self.0.stat().await
    }

    pub async fn stat_at(&self, flags: PathFlags, path: &str) -> Result<DescriptorStat> {
        self.0.stat_at(flags, path.to_owned()).await
    }

    pub async fn set_times_at(
        &self,
        flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Result<()> {
        let path = path.to_owned();
        self.0.set_times_at(flags, path, access, modification).await
    }

    pub async fn create_directory_at(&self, path: &str) -> Result<()> {
        self.0.create_directory_at(path.to_owned()).await
    }

    pub async fn remove_directory_at(&self, path: &str) -> Result<()> {
        self.0.remove_directory_at(path.to_owned()).await
    }

    pub async fn unlink_file_at(&self, path: &str) -> Result<()> {
        self.0.unlink_file_at(path.to_owned()).await
    }

    pub async fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        self.0.symlink_at(target.to_owned(), path.to_owned()).await
    }

    pub async fn readlink_at(&self, path: &str) -> Result<String> {
        self.0.readlink_at(path.to_owned()).await
    }

    pub async fn link_at(
        &self,
        flags: PathFlags,
        path: &str,
        new_dir: &Self,
        new_path: &str,
    ) -> Result<()> {
        let (path, new_path) = (path.to_owned(), new_path.to_owned());
        self.0.link_at(flags, path, &new_dir.0, new_path).await
    }

    pub async fn rename_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        let (path, new_path) = (path.to_owned(), new_path.to_owned());
        self.0.rename_at(path, &new_dir.0, new_path).await
    }

    pub async fn is_same_object(&self, other: &Self) -> bool {
        self.0.is_same_object(&other.0).await
    }

    pub async fn metadata_hash(&self) -> Result<MetadataHashValue> {
        self.0.metadata_hash().await
    }

    pub async fn metadata_hash_at(
        &self,
        flags: PathFlags,
        path: &str,
    ) -> Result<MetadataHashValue> {
        self.0.metadata_hash_at(flags, path.to_owned()).await
    }

    /// Makes one read of a new stream; returns the bytes, and whether they end the file.
    pub async fn read(&self, length: u64, offset: u64) -> Result<(Vec<u8>, bool)> {
        // No guest has memory for more, and an empty read would not detect the end.
        let room = usize::try_from(length.clamp(1, 1 << 20)).expect("it fits");
        let (mut stream, ended) = self.0.read_via_stream(offset);
        let (result, mut data) = stream.read(Vec::with_capacity(room)).await;
        if !matches!(result, StreamResult::Complete(_)) {
            ended.await?;
        }
        if length == 0 {
            data.clear();
        }
        let end = data.is_empty();
        Ok((data, end))
    }

    /// Writes to a new stream; returns how many bytes were written.
    pub async fn write(&self, data: &[u8], offset: u64) -> Result<usize> {
        write_at(self, data, offset).await
    }
}
