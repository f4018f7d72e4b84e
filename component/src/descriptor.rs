//! The exported `descriptor`: convert, call the engine, convert.

use crate::exports::types::{self, DescriptorBorrow, GuestDescriptor};
use crate::host::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use crate::io::streams::{InputStream, OutputStream};
use crate::listing::Entries;
use std::any::Any;
use wasi_overlay_core::{Dir, Errno, Opened};

/// Most bytes of one `read`. A guest may ask for any number; these are allocated.
const READ_BYTES: u64 = 1 << 20;

/// What a descriptor of the guest stands for.
pub(crate) enum Descriptor {
    /// Something in the merged tree.
    Ours(Opened),
    /// Something below a preopen that the guest gets as it is.
    Passed(host::Descriptor),
    /// The root of what cannot be had, and why.
    Broken(ErrorCode),
}

/// Answers by the host where the descriptor passes, and gives what is ours otherwise.
macro_rules! ours {
    ($self:ident, $passed:ident => $call:expr) => {
        match $self {
            Self::Passed($passed) => return $call,
            Self::Ours(ours) => ours,
            Self::Broken(why) => return Err(*why),
        }
    };
}

/// The host's own descriptor of a file in a layer.
fn host_file(native: Option<&dyn Any>) -> Result<&host::Descriptor, ErrorCode> {
    native
        .and_then(|native| native.downcast_ref())
        .ok_or(ErrorCode::Io)
}

impl GuestDescriptor for Descriptor {
    fn read_via_stream(&self, offset: u64) -> Result<InputStream, ErrorCode> {
        let ours = ours!(self, passed => passed.read_via_stream(offset));
        host_file(ours.stream_file()?.native_reader()?)?.read_via_stream(offset)
    }

    fn write_via_stream(&self, offset: u64) -> Result<OutputStream, ErrorCode> {
        let ours = ours!(self, passed => passed.write_via_stream(offset));
        host_file(ours.file()?.native_writer()?)?.write_via_stream(offset)
    }

    fn append_via_stream(&self) -> Result<OutputStream, ErrorCode> {
        let ours = ours!(self, passed => passed.append_via_stream());
        host_file(ours.file()?.native_writer()?)?.append_via_stream()
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.advise(offset, length, advice));
        Ok(ours.file()?.advise(offset, length, advice.into())?)
    }

    fn sync_data(&self) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.sync_data());
        Ok(ours.sync(true)?)
    }

    fn get_flags(&self) -> Result<DescriptorFlags, ErrorCode> {
        let ours = ours!(self, passed => passed.get_flags());
        Ok(ours.access().into())
    }

    /// Also of a tree that cannot be made: preview 1 adapters stop the program if a preopen has no
    /// type.
    fn get_type(&self) -> Result<DescriptorType, ErrorCode> {
        match self {
            Self::Ours(ours) => Ok(ours.kind().into()),
            Self::Passed(passed) => passed.get_type(),
            Self::Broken(_) => Ok(DescriptorType::Directory),
        }
    }

    fn set_size(&self, size: u64) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.set_size(size));
        Ok(ours.file()?.set_size(size)?)
    }

    fn set_times(&self, accessed: NewTimestamp, modified: NewTimestamp) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.set_times(accessed, modified));
        Ok(ours.set_times(NewTimestamp::both(accessed, modified)?)?)
    }

    fn read(&self, length: u64, offset: u64) -> Result<(Vec<u8>, bool), ErrorCode> {
        let length = length.min(READ_BYTES);
        let ours = ours!(self, passed => passed.read(length, offset));
        // The host's answer as it is, not copied into a buffer first.
        host_file(ours.file()?.native_reader()?)?.read(length, offset)
    }

    fn write(&self, buffer: Vec<u8>, offset: u64) -> Result<u64, ErrorCode> {
        let ours = ours!(self, passed => passed.write(&buffer, offset));
        Ok(ours.file()?.write_at(&buffer, offset)? as u64)
    }

    fn read_directory(&self) -> Result<types::DirectoryEntryStream, ErrorCode> {
        let ours = ours!(self, passed => passed.read_directory().map(|entries| {
            types::DirectoryEntryStream::new(Entries::Passed(entries))
        }));
        let entries = Entries::merged(ours.dir()?.list()?);
        Ok(types::DirectoryEntryStream::new(entries))
    }

    fn sync(&self) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.sync());
        Ok(ours.sync(false)?)
    }

    fn create_directory_at(&self, path: String) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.create_directory_at(&path));
        Ok(ours.dir()?.create_directory_at(&path)?)
    }

    fn stat(&self) -> Result<DescriptorStat, ErrorCode> {
        let ours = ours!(self, passed => passed.stat());
        Ok(ours.stat()?.into())
    }

    fn stat_at(&self, flags: PathFlags, path: String) -> Result<DescriptorStat, ErrorCode> {
        let ours = ours!(self, passed => passed.stat_at(flags, &path));
        Ok(ours.dir()?.stat_at(&path, flags.follow())?.into())
    }

    fn set_times_at(
        &self,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.set_times_at(flags, &path, accessed, modified));
        let dir = ours.dir()?;
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
        match Two::of(self, new_descriptor.get())? {
            Two::Passed(old, new) => old.link_at(flags, &path, new, &new_path),
            Two::Ours(_, _) if flags.follow() => Err(ErrorCode::Invalid),
            Two::Ours(old, new) => Ok(old.link_at(&path, new, &new_path)?),
        }
    }

    fn open_at(
        &self,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<types::Descriptor, ErrorCode> {
        let ours = ours!(self, passed => passed
            .open_at(path_flags, &path, open_flags, flags)
            .map(|opened| types::Descriptor::new(Self::Passed(opened))));
        let dir = ours.dir()?;
        let opened = open_flags.open_at(dir, path_flags, &path, flags)?;
        Ok(types::Descriptor::new(Self::Ours(opened)))
    }

    fn readlink_at(&self, path: String) -> Result<String, ErrorCode> {
        let ours = ours!(self, passed => passed.readlink_at(&path));
        Ok(ours.dir()?.readlink_at(&path)?)
    }

    fn remove_directory_at(&self, path: String) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.remove_directory_at(&path));
        Ok(ours.dir()?.remove_directory_at(&path)?)
    }

    fn rename_at(
        &self,
        path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> Result<(), ErrorCode> {
        match Two::of(self, new_descriptor.get())? {
            Two::Passed(old, new) => old.rename_at(&path, new, &new_path),
            Two::Ours(old, new) => Ok(old.rename_at(&path, new, &new_path)?),
        }
    }

    fn symlink_at(&self, target: String, path: String) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.symlink_at(&target, &path));
        Ok(ours.dir()?.symlink_at(&target, &path)?)
    }

    fn unlink_file_at(&self, path: String) -> Result<(), ErrorCode> {
        let ours = ours!(self, passed => passed.unlink_file_at(&path));
        Ok(ours.dir()?.unlink_file_at(&path)?)
    }

    fn is_same_object(&self, other: DescriptorBorrow<'_>) -> bool {
        match (self, other.get()) {
            (Self::Ours(one), Self::Ours(other)) => one.is_same_object(other).unwrap_or(false),
            (Self::Passed(one), Self::Passed(other)) => one.is_same_object(other),
            // No call can tell more of what is not there than which descriptor was given.
            (Self::Broken(_), other @ Self::Broken(_)) => std::ptr::eq(self, other),
            (Self::Ours(_) | Self::Passed(_) | Self::Broken(_), _) => false,
        }
    }

    fn metadata_hash(&self) -> Result<MetadataHashValue, ErrorCode> {
        let ours = ours!(self, passed => passed.metadata_hash());
        Ok(ours.identity()?.into())
    }

    fn metadata_hash_at(
        &self,
        flags: PathFlags,
        path: String,
    ) -> Result<MetadataHashValue, ErrorCode> {
        let ours = ours!(self, passed => passed.metadata_hash_at(flags, &path));
        Ok(ours.dir()?.identity_at(&path, flags.follow())?.into())
    }
}

/// The two directories of a link or a rename.
enum Two<'a> {
    Ours(&'a Dir, &'a Dir),
    Passed(&'a host::Descriptor, &'a host::Descriptor),
}

impl<'a> Two<'a> {
    /// # Errors
    /// `not-directory`; `cross-device` where one is ours and the other is not.
    fn of(old: &'a Descriptor, new: &'a Descriptor) -> Result<Self, ErrorCode> {
        use Descriptor::{Broken, Ours, Passed};
        match (old, new) {
            (Ours(old), Ours(new)) => Ok(Self::Ours(old.dir()?, new.dir()?)),
            (Passed(old), Passed(new)) => Ok(Self::Passed(old, new)),
            (Broken(why), _) | (_, Broken(why)) => Err(*why),
            (Ours(_), Passed(_)) | (Passed(_), Ours(_)) => Err(Errno::CrossDevice.into()),
        }
    }
}
