//! The exported `descriptor`. Each method converts its arguments, calls the engine, and converts
//! the result.

use crate::exports::types::{self, DescriptorBorrow, GuestDescriptor};
use crate::host::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use crate::io::streams::{InputStream, OutputStream};
use crate::listing::Entries;
use std::any::Any;
use wasi_overlay_core::{Dir, Errno, Opened};

/// The maximum size of one `read`. Bounds the allocation for a size that the guest chooses.
const MAX_READ: u64 = 1 << 20;

/// A descriptor of the guest.
pub(crate) enum Descriptor {
    /// A file or directory of the merged tree.
    Merged(Opened),
    /// A file or directory of a preopen that is passed to the guest.
    Passed(host::Descriptor),
    /// The root of a tree that is not available, and the error that every call on it returns.
    Unavailable(ErrorCode),
}

/// Evaluates to the merged file or directory. For a passed descriptor, returns the result of
/// `$call` from the function; for an unavailable one, its error.
macro_rules! merged_or_return {
    ($self:ident, $passed:ident => $call:expr) => {
        match $self {
            Self::Passed($passed) => return $call,
            Self::Merged(merged) => merged,
            Self::Unavailable(why) => return Err(*why),
        }
    };
}

/// Returns the host's descriptor of a file in a layer.
fn host_file(native: Option<&dyn Any>) -> Result<&host::Descriptor, ErrorCode> {
    native
        .and_then(|native| native.downcast_ref())
        .ok_or(ErrorCode::Io)
}

impl GuestDescriptor for Descriptor {
    fn read_via_stream(&self, offset: u64) -> Result<InputStream, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.read_via_stream(offset));
        host_file(merged.stream_file()?.native_reader()?)?.read_via_stream(offset)
    }

    fn write_via_stream(&self, offset: u64) -> Result<OutputStream, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.write_via_stream(offset));
        host_file(merged.file()?.native_writer()?)?.write_via_stream(offset)
    }

    fn append_via_stream(&self) -> Result<OutputStream, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.append_via_stream());
        host_file(merged.file()?.native_writer()?)?.append_via_stream()
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.advise(offset, length, advice));
        Ok(merged.file()?.advise(offset, length, advice.into())?)
    }

    fn sync_data(&self) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.sync_data());
        Ok(merged.sync(true)?)
    }

    fn get_flags(&self) -> Result<DescriptorFlags, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.get_flags());
        Ok(merged.access().into())
    }

    /// Succeeds for an unavailable tree too: preview 1 adapters stop the program if `get-type` of a
    /// preopen fails.
    fn get_type(&self) -> Result<DescriptorType, ErrorCode> {
        match self {
            Self::Merged(merged) => Ok(merged.kind().into()),
            Self::Passed(passed) => passed.get_type(),
            Self::Unavailable(_) => Ok(DescriptorType::Directory),
        }
    }

    fn set_size(&self, size: u64) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.set_size(size));
        Ok(merged.file()?.set_size(size)?)
    }

    fn set_times(&self, accessed: NewTimestamp, modified: NewTimestamp) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.set_times(accessed, modified));
        Ok(merged.set_times(NewTimestamp::both(accessed, modified)?)?)
    }

    fn read(&self, length: u64, offset: u64) -> Result<(Vec<u8>, bool), ErrorCode> {
        let length = length.min(MAX_READ);
        let merged = merged_or_return!(self, passed => passed.read(length, offset));
        // Returns the host's buffer without a copy.
        host_file(merged.file()?.native_reader()?)?.read(length, offset)
    }

    fn write(&self, buffer: Vec<u8>, offset: u64) -> Result<u64, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.write(&buffer, offset));
        Ok(merged.file()?.write_at(&buffer, offset)? as u64)
    }

    fn read_directory(&self) -> Result<types::DirectoryEntryStream, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.read_directory().map(|entries| {
            types::DirectoryEntryStream::new(Entries::Passed(entries))
        }));
        let entries = Entries::merged(merged.dir()?.list()?);
        Ok(types::DirectoryEntryStream::new(entries))
    }

    fn sync(&self) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.sync());
        Ok(merged.sync(false)?)
    }

    fn create_directory_at(&self, path: String) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.create_directory_at(&path));
        Ok(merged.dir()?.create_directory_at(&path)?)
    }

    fn stat(&self) -> Result<DescriptorStat, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.stat());
        Ok(merged.stat()?.into())
    }

    fn stat_at(&self, flags: PathFlags, path: String) -> Result<DescriptorStat, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.stat_at(flags, &path));
        Ok(merged.dir()?.stat_at(&path, flags.follow())?.into())
    }

    fn set_times_at(
        &self,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.set_times_at(flags, &path, accessed, modified));
        let dir = merged.dir()?;
        let times = NewTimestamp::both(accessed, modified)?;
        Ok(dir.set_times_at(&path, flags.follow(), times)?)
    }

    fn link_at(
        &self,
        flags: PathFlags,
        path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> Result<(), ErrorCode> {
        match DirPair::of(self, new_descriptor.get())? {
            DirPair::Passed(old, new) => old.link_at(flags, &path, new, &new_path),
            DirPair::Merged(_, _) if flags.follow() => Err(ErrorCode::Invalid),
            DirPair::Merged(old, new) => Ok(old.link_at(&path, new, &new_path)?),
        }
    }

    fn open_at(
        &self,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<types::Descriptor, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed
            .open_at(path_flags, &path, open_flags, flags)
            .map(|opened| types::Descriptor::new(Self::Passed(opened))));
        let dir = merged.dir()?;
        let opened = open_flags.open_at(dir, path_flags, &path, flags)?;
        Ok(types::Descriptor::new(Self::Merged(opened)))
    }

    fn readlink_at(&self, path: String) -> Result<String, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.readlink_at(&path));
        Ok(merged.dir()?.readlink_at(&path)?)
    }

    fn remove_directory_at(&self, path: String) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.remove_directory_at(&path));
        Ok(merged.dir()?.remove_directory_at(&path)?)
    }

    fn rename_at(
        &self,
        path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> Result<(), ErrorCode> {
        match DirPair::of(self, new_descriptor.get())? {
            DirPair::Passed(old, new) => old.rename_at(&path, new, &new_path),
            DirPair::Merged(old, new) => Ok(old.rename_at(&path, new, &new_path)?),
        }
    }

    fn symlink_at(&self, target: String, path: String) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.symlink_at(&target, &path));
        Ok(merged.dir()?.symlink_at(&target, &path)?)
    }

    fn unlink_file_at(&self, path: String) -> Result<(), ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.unlink_file_at(&path));
        Ok(merged.dir()?.unlink_file_at(&path)?)
    }

    fn is_same_object(&self, other: DescriptorBorrow<'_>) -> bool {
        match (self, other.get()) {
            (Self::Merged(one), Self::Merged(other)) => one.is_same_object(other).unwrap_or(false),
            (Self::Passed(one), Self::Passed(other)) => one.is_same_object(other),
            // Unavailable trees have no other identity than the descriptor.
            (Self::Unavailable(_), other @ Self::Unavailable(_)) => std::ptr::eq(self, other),
            (Self::Merged(_) | Self::Passed(_) | Self::Unavailable(_), _) => false,
        }
    }

    fn metadata_hash(&self) -> Result<MetadataHashValue, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.metadata_hash());
        Ok(merged.identity()?.into())
    }

    fn metadata_hash_at(
        &self,
        flags: PathFlags,
        path: String,
    ) -> Result<MetadataHashValue, ErrorCode> {
        let merged = merged_or_return!(self, passed => passed.metadata_hash_at(flags, &path));
        Ok(merged.dir()?.identity_at(&path, flags.follow())?.into())
    }
}

/// The source and target directories of a link or rename.
enum DirPair<'a> {
    Merged(&'a Dir, &'a Dir),
    Passed(&'a host::Descriptor, &'a host::Descriptor),
}

impl<'a> DirPair<'a> {
    /// # Errors
    /// `not-directory`; `cross-device` if only one of them is merged.
    fn of(old: &'a Descriptor, new: &'a Descriptor) -> Result<Self, ErrorCode> {
        use Descriptor::{Merged, Passed, Unavailable};
        match (old, new) {
            (Merged(old), Merged(new)) => Ok(Self::Merged(old.dir()?, new.dir()?)),
            (Passed(old), Passed(new)) => Ok(Self::Passed(old, new)),
            (Unavailable(why), _) | (_, Unavailable(why)) => Err(*why),
            (Merged(_), Passed(_)) | (Passed(_), Merged(_)) => Err(Errno::CrossDevice.into()),
        }
    }
}
