//! Implementation of [`Plain`] over the imported `wasi:filesystem`.
//!
//! Each step of the engine is one call to the host. Features that WASI lacks (mode, owner, extended
//! attributes, holes, locks) keep the defaults of [`Plain`], which mean that they are not supported.
//!
//! Directories are opened for reading only: hosts allow changes of names through such descriptors,
//! and some hosts refuse `mutate-directory`.

use crate::host::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use std::any::Any;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use wasi_overlay_core::layer::{ReadAt, WriteAt};
use wasi_overlay_core::plain::{Access, Plain};
use wasi_overlay_core::{
    Advice, Errno, Kind, Meta, Name, Result, SetTime, SetTimes, Timestamp, conversions,
};

/// The host must not follow links. The engine does, because a link in one layer may lead into
/// another.
const NO_FOLLOW: PathFlags = PathFlags::empty();

/// The chunk size of copies.
const COPY_CHUNK: u64 = 64 * 1024;

/// The maximum number of entries of one directory that a listing skips or replaces by a placeholder.
/// It ends the listing if a host returns errors forever.
const MAX_BAD_ENTRIES: u32 = u16::MAX as u32;

/// A preopen of the host.
pub(crate) struct Imported(Arc<Descriptor>);

impl Imported {
    /// Opens `preopen` as a tree.
    ///
    /// # Errors
    /// Any error of the host.
    pub(crate) fn new(preopen: &Descriptor) -> Result<Self, ErrorCode> {
        open_dir(preopen, ".").map(|root| Self(Arc::new(root)))
    }
}

/// Opens a directory. This includes the preopen itself, because some hosts (jco on node) can neither
/// stat nor list the descriptor that `get-directories` returns.
fn open_dir(dir: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    dir.open_at(NO_FOLLOW, path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
}

/// U+FFFD in UTF-8.
const REPLACEMENT: &[u8] = b"\xef\xbf\xbd";

/// Whether `name`, from a listing of the host, is the name of a file. Some hosts (jco on node)
/// replace bytes that are not UTF-8 by U+FFFD, and then no file has that name.
fn is_name_of_entry(dir: &Descriptor, name: &str) -> Result<bool> {
    if Name::new(name.as_bytes()).is_err() {
        return Ok(false);
    }
    let mut parts = name.as_bytes().windows(REPLACEMENT.len());
    if !parts.any(|part| part == REPLACEMENT) {
        return Ok(true);
    }
    exists(dir, name)
}

/// Whether `path` exists. Only *not found* means absence.
fn exists(dir: &Descriptor, path: &str) -> Result<bool> {
    match dir.stat_at(NO_FOLLOW, path) {
        Ok(_) => Ok(true),
        Err(ErrorCode::NoEntry) => Ok(false),
        Err(code) => Err(Errno::from(code).into()),
    }
}

/// Converts an error of the host to one of the engine.
fn map_error<T>(result: Result<T, ErrorCode>) -> Result<T> {
    result.map_err(|code| Errno::from(code).into())
}

impl Plain for Imported {
    /// Shared, so that the root is opened once.
    type Dir = Arc<Descriptor>;
    type File = Descriptor;

    const HAS_MODES: bool = false;

    fn label(&self) -> String {
        String::new()
    }

    fn root(&self) -> Result<Arc<Descriptor>> {
        Ok(Arc::clone(&self.0))
    }

    fn meta(&self, dir: &Arc<Descriptor>, name: Option<Name<'_>>) -> Result<Meta> {
        match name {
            Some(name) => {
                let name = name.to_str()?;
                let stat = map_error(dir.stat_at(NO_FOLLOW, name))?;
                Ok(meta(
                    stat,
                    map_error(dir.metadata_hash_at(NO_FOLLOW, name))?,
                ))
            }
            None => descriptor_meta(dir),
        }
    }

    fn has_inside(&self, dir: &Arc<Descriptor>, name: Name<'_>, inner: Name<'_>) -> Result<bool> {
        let mut path = name.to_str()?.to_owned();
        path.push('/');
        path.push_str(inner.to_str()?);
        exists(dir, &path)
    }

    fn open_dir(&self, dir: &Arc<Descriptor>, name: Name<'_>) -> Result<Arc<Descriptor>> {
        map_error(open_dir(dir, name.to_str()?)).map(Arc::new)
    }

    fn open_file(
        &self,
        dir: &Arc<Descriptor>,
        name: Name<'_>,
        access: Access,
    ) -> Result<Descriptor> {
        let flags = match access {
            Access::Read => DescriptorFlags::READ,
            Access::ReadWrite => DescriptorFlags::READ | DescriptorFlags::WRITE,
        };
        map_error(dir.open_at(NO_FOLLOW, name.to_str()?, OpenFlags::empty(), flags))
    }

    fn create_file(&self, dir: &Arc<Descriptor>, name: Name<'_>, _mode: u32) -> Result<Descriptor> {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        map_error(dir.open_at(NO_FOLLOW, name.to_str()?, how, flags))
    }

    fn create_dir(&self, dir: &Arc<Descriptor>, name: Name<'_>, _mode: u32) -> Result<()> {
        map_error(dir.create_directory_at(name.to_str()?))
    }

    fn symlink(&self, dir: &Arc<Descriptor>, name: Name<'_>, target: &[u8]) -> Result<()> {
        let target = str::from_utf8(target).map_err(|_| Errno::IllegalByteSequence)?;
        map_error(dir.symlink_at(target, name.to_str()?))
    }

    fn read_link(&self, dir: &Arc<Descriptor>, name: Name<'_>) -> Result<Box<[u8]>> {
        let target = map_error(dir.readlink_at(name.to_str()?))?;
        Ok(target.into_bytes().into())
    }

    fn link(
        &self,
        from: &Arc<Descriptor>,
        from_name: Name<'_>,
        to: &Arc<Descriptor>,
        to_name: Name<'_>,
    ) -> Result<()> {
        map_error(from.link_at(NO_FOLLOW, from_name.to_str()?, to, to_name.to_str()?))
    }

    fn rename(
        &self,
        from: &Arc<Descriptor>,
        from_name: Name<'_>,
        to: &Arc<Descriptor>,
        to_name: Name<'_>,
    ) -> Result<()> {
        map_error(from.rename_at(from_name.to_str()?, to, to_name.to_str()?))
    }

    fn remove_file(&self, dir: &Arc<Descriptor>, name: Name<'_>) -> Result<()> {
        map_error(dir.unlink_file_at(name.to_str()?))
    }

    fn remove_dir(&self, dir: &Arc<Descriptor>, name: Name<'_>) -> Result<()> {
        map_error(dir.remove_directory_at(name.to_str()?))
    }

    /// WASI's listings have no inode numbers.
    ///
    /// An entry whose name WASI cannot express gets a placeholder name, which is not UTF-8 and which
    /// no file has. So the engine knows about the entry: a guest's listing ends with an error, and
    /// the directory cannot be removed or, if it is in a lower, renamed.
    fn list(
        &self,
        dir: &Arc<Descriptor>,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        let entries = map_error(dir.read_directory())?;
        let mut bad_entries = 0_u32;
        loop {
            let entry = match entries.read_directory_entry() {
                Ok(None) => return Ok(()),
                Ok(entry) => entry,
                // wasmtime stats each entry. This one was removed before that.
                Err(ErrorCode::NoEntry) if bad_entries < MAX_BAD_ENTRIES => {
                    bad_entries += 1;
                    continue;
                }
                Err(ErrorCode::IllegalByteSequence) if bad_entries < MAX_BAD_ENTRIES => None,
                Err(code) => return map_error(Err(code)),
            };
            let placeholder;
            let (name, kind) = match &entry {
                Some(entry) if entry.name == "." || entry.name == ".." => continue,
                Some(entry) if is_name_of_entry(dir, &entry.name)? => {
                    (entry.name.as_bytes(), kind(entry.type_))
                }
                _ => {
                    bad_entries += 1;
                    placeholder = [
                        0xff,
                        (bad_entries >> 14) as u8 | 0x80,
                        (bad_entries >> 7) as u8 | 0x80,
                        bad_entries as u8 | 0x80,
                    ];
                    (&placeholder[..], Kind::Fifo)
                }
            };
            if each(Name::new(name)?, kind, 0).is_break() {
                return Ok(());
            }
        }
    }

    fn set_times(
        &self,
        dir: &Arc<Descriptor>,
        name: Option<Name<'_>>,
        times: SetTimes,
    ) -> Result<()> {
        let Some(name) = name else {
            return WriteAt::set_times(&**dir, times);
        };
        let (accessed, modified) = new_timestamps(times)?;
        map_error(dir.set_times_at(NO_FOLLOW, name.to_str()?, accessed, modified))
    }

    fn sync_dir(&self, dir: &Arc<Descriptor>) -> Result<()> {
        sync(dir)
    }

    /// Syncs only the root: WASI cannot sync a whole filesystem, so no guest can request it either.
    fn sync_all(&self) -> Result<()> {
        sync(&self.0)
    }

    /// On some hosts (jco on node) the descriptor of a directory is a path.
    fn handles_follow_rename(&self) -> bool {
        false
    }
}

/// Syncs a directory. Filesystems that cannot sync a directory (POSIX `fsync`) and do not need to
/// return `invalid`.
fn sync(dir: &Descriptor) -> Result<()> {
    match dir.sync() {
        Ok(()) | Err(ErrorCode::Invalid) => Ok(()),
        error => map_error(error),
    }
}

impl ReadAt for Descriptor {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let (bytes, _) = map_error(self.read(buffer.len() as u64, offset))?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn meta(&self) -> Result<Meta> {
        descriptor_meta(self)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let size = map_error(self.stat())?.size;
        Ok((offset < size).then_some(offset..size))
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        map_error(Descriptor::advise(self, offset, length, advice.into()))
    }

    fn native(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl WriteAt for Descriptor {
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let written = map_error(self.write(buffer, offset))?;
        Ok(usize::try_from(written).map_or(buffer.len(), |count| count.min(buffer.len())))
    }

    /// Takes two steps, because WASI has no append except as a stream. A guest that appends gets the
    /// host's own stream.
    fn append(&self, buffer: &[u8]) -> Result<usize> {
        self.write_at(buffer, map_error(self.stat())?.size)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        map_error(Descriptor::set_size(self, size))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        let (accessed, modified) = new_timestamps(times)?;
        map_error(Descriptor::set_times(self, accessed, modified))
    }

    fn set_mode(&self, _mode: u32) -> Result<()> {
        Ok(())
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        map_error(if data_only {
            self.sync_data()
        } else {
            Descriptor::sync(self)
        })
    }

    /// Copies from one descriptor of the host to another, without a buffer of the engine.
    fn copy_from(&self, from: &dyn ReadAt, range: Range<u64>) -> Result<u64> {
        let Some(from) = from
            .native()
            .and_then(|from| from.downcast_ref::<Descriptor>())
        else {
            return Ok(0);
        };
        let mut at = range.start;
        while at < range.end {
            let (bytes, _) = map_error(from.read(COPY_CHUNK.min(range.end - at), at))?;
            if bytes.is_empty() {
                break;
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let written = self.write_at(rest, at)?;
                if written == 0 {
                    return Err(Errno::Io.into());
                }
                rest = &rest[written..];
                at += written as u64;
            }
        }
        Ok(at - range.start)
    }
}

fn descriptor_meta(descriptor: &Descriptor) -> Result<Meta> {
    let stat = map_error(descriptor.stat())?;
    Ok(meta(stat, map_error(descriptor.metadata_hash())?))
}

/// Converts the metadata of a file.
///
/// The lower half of the hash replaces device and inode number. wasmtime computes both halves from
/// these two. jco has the inode number in the lower half and the time of the last change in the
/// upper half, which does not identify the file.
fn meta(stat: DescriptorStat, hash: MetadataHashValue) -> Meta {
    let time = |time: Option<crate::host::Datetime>| {
        let time =
            time.and_then(|time| conversions::timestamp(time.seconds, time.nanoseconds).ok());
        time.unwrap_or_default()
    };
    Meta {
        kind: kind(stat.type_),
        size: stat.size,
        allocated: None,
        links: stat.link_count,
        accessed: time(stat.data_access_timestamp),
        modified: time(stat.data_modification_timestamp),
        changed: time(stat.status_change_timestamp),
        device: 0,
        inode: hash.lower,
        mode: None,
        owner: None,
        rdev: 0,
        implied: false,
    }
}

/// WASI does not report device numbers, so every character device is treated as a whiteout of the
/// kernel's overlayfs (device 0:0).
fn kind(kind: DescriptorType) -> Kind {
    match kind {
        DescriptorType::RegularFile => Kind::File,
        DescriptorType::Directory => Kind::Dir,
        DescriptorType::SymbolicLink => Kind::Symlink,
        DescriptorType::Socket => Kind::Socket,
        DescriptorType::CharacterDevice => Kind::CharDevice,
        DescriptorType::BlockDevice => Kind::BlockDevice,
        DescriptorType::Fifo | DescriptorType::Unknown => Kind::Fifo,
    }
}

fn new_timestamps(times: SetTimes) -> Result<(NewTimestamp, NewTimestamp)> {
    Ok((
        new_timestamp(times.accessed)?,
        new_timestamp(times.modified)?,
    ))
}

fn new_timestamp(time: SetTime) -> Result<NewTimestamp> {
    Ok(match time {
        SetTime::Keep => NewTimestamp::NoChange,
        SetTime::Now => NewTimestamp::Now,
        SetTime::To(Timestamp {
            seconds,
            nanoseconds,
        }) => NewTimestamp::Timestamp(crate::host::Datetime {
            seconds: u64::try_from(seconds).map_err(|_| Errno::Overflow)?,
            nanoseconds,
        }),
    })
}
