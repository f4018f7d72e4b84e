//! A descriptor of the host as a plain tree.
//!
//! One call of the host for each step. What WASI has no call for (mode, owner, extended attributes,
//! holes, locks) is left at the defaults of [`Plain`], which say that there is none.
//!
//! Descriptors are opened for reading and nothing more: hosts let names be changed through them
//! all the same, and some refuse `mutate-directory`.

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
    Advice, Errno, Kind, Meta, Name, Result, SetTime, SetTimes, Timestamp, conversions, is_there,
};

/// No link is followed: the engine does that, since a link in one layer may lead into another.
const NO_FOLLOW: PathFlags = PathFlags::empty();

/// A copy goes in steps of this size.
const STEP: u64 = 64 * 1024;

/// Most entries of one directory that a listing skips or gives a stand-in for a name. A host that
/// repeats an error forever reaches it, and the listing fails.
const MOST_ODD: u32 = u16::MAX as u32;

/// A preopen of the host.
pub(crate) struct Imported(Arc<Descriptor>);

impl Imported {
    /// `preopen` as a tree.
    ///
    /// # Errors
    /// Those of the host.
    pub(crate) fn new(preopen: &Descriptor) -> Result<Self, ErrorCode> {
        open_dir(preopen, ".").map(|root| Self(Arc::new(root)))
    }
}

/// Opens a directory. Also the preopen itself: the descriptor that the host gave out first cannot
/// be stat'ed or listed on some hosts (jco on node).
fn open_dir(dir: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    dir.open_at(NO_FOLLOW, path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
}

/// U+FFFD in UTF-8.
const REPLACEMENT: &[u8] = b"\xef\xbf\xbd";

/// Whether `name`, which the host listed, leads to the entry. Some hosts (jco on node) put U+FFFD in
/// the place of bytes that are not UTF-8, and have no file of that name.
fn leads_to_entry(dir: &Descriptor, name: &str) -> Result<bool> {
    if Name::new(name.as_bytes()).is_err() {
        return Ok(false);
    }
    let mut parts = name.as_bytes().windows(REPLACEMENT.len());
    if !parts.any(|part| part == REPLACEMENT) {
        return Ok(true);
    }
    is_there(answer(dir.stat_at(NO_FOLLOW, name)))
}

/// What an error of the host means to the engine.
fn answer<T>(result: Result<T, ErrorCode>) -> Result<T> {
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
                let stat = answer(dir.stat_at(NO_FOLLOW, name))?;
                Ok(meta(stat, answer(dir.metadata_hash_at(NO_FOLLOW, name))?))
            }
            None => whole_meta(dir),
        }
    }

    fn has_inside(&self, dir: &Arc<Descriptor>, name: Name<'_>, inner: Name<'_>) -> Result<bool> {
        let mut path = name.to_str()?.to_owned();
        path.push('/');
        path.push_str(inner.to_str()?);
        is_there(answer(dir.stat_at(NO_FOLLOW, &path)))
    }

    fn open_dir(&self, dir: &Arc<Descriptor>, name: Name<'_>) -> Result<Arc<Descriptor>> {
        answer(open_dir(dir, name.to_str()?)).map(Arc::new)
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
        answer(dir.open_at(NO_FOLLOW, name.to_str()?, OpenFlags::empty(), flags))
    }

    fn create_file(&self, dir: &Arc<Descriptor>, name: Name<'_>, _mode: u32) -> Result<Descriptor> {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        answer(dir.open_at(NO_FOLLOW, name.to_str()?, how, flags))
    }

    fn create_dir(&self, dir: &Arc<Descriptor>, name: Name<'_>, _mode: u32) -> Result<()> {
        answer(dir.create_directory_at(name.to_str()?))
    }

    fn symlink(&self, dir: &Arc<Descriptor>, name: Name<'_>, target: &[u8]) -> Result<()> {
        let target = str::from_utf8(target).map_err(|_| Errno::IllegalByteSequence)?;
        answer(dir.symlink_at(target, name.to_str()?))
    }

    fn read_link(&self, dir: &Arc<Descriptor>, name: Name<'_>) -> Result<Box<[u8]>> {
        let target = answer(dir.readlink_at(name.to_str()?))?;
        Ok(target.into_bytes().into())
    }

    fn link(
        &self,
        from: &Arc<Descriptor>,
        from_name: Name<'_>,
        to: &Arc<Descriptor>,
        to_name: Name<'_>,
    ) -> Result<()> {
        answer(from.link_at(NO_FOLLOW, from_name.to_str()?, to, to_name.to_str()?))
    }

    fn rename(
        &self,
        from: &Arc<Descriptor>,
        from_name: Name<'_>,
        to: &Arc<Descriptor>,
        to_name: Name<'_>,
    ) -> Result<()> {
        answer(from.rename_at(from_name.to_str()?, to, to_name.to_str()?))
    }

    fn remove_file(&self, dir: &Arc<Descriptor>, name: Name<'_>) -> Result<()> {
        answer(dir.unlink_file_at(name.to_str()?))
    }

    fn remove_dir(&self, dir: &Arc<Descriptor>, name: Name<'_>) -> Result<()> {
        answer(dir.remove_directory_at(name.to_str()?))
    }

    /// WASI's listings have no inode numbers.
    ///
    /// An entry whose name WASI cannot express gets a name that is not UTF-8 and that no file has.
    /// So the engine knows that the directory holds something more: a guest's listing ends with an
    /// error, and the directory can neither be removed nor, out of a lower layer, be renamed.
    fn list(
        &self,
        dir: &Arc<Descriptor>,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        let entries = answer(dir.read_directory())?;
        let mut odd = 0_u32;
        loop {
            let entry = match entries.read_directory_entry() {
                Ok(None) => return Ok(()),
                Ok(entry) => entry,
                // wasmtime stats each entry: this one was removed before that.
                Err(ErrorCode::NoEntry) if odd < MOST_ODD => {
                    odd += 1;
                    continue;
                }
                Err(ErrorCode::IllegalByteSequence) if odd < MOST_ODD => None,
                Err(code) => return answer(Err(code)),
            };
            let stand_in;
            let (name, kind) = match &entry {
                Some(entry) if entry.name == "." || entry.name == ".." => continue,
                Some(entry) if leads_to_entry(dir, &entry.name)? => {
                    (entry.name.as_bytes(), kind(entry.type_))
                }
                _ => {
                    odd += 1;
                    stand_in = [
                        0xff,
                        (odd >> 14) as u8 | 0x80,
                        (odd >> 7) as u8 | 0x80,
                        odd as u8 | 0x80,
                    ];
                    (&stand_in[..], Kind::Fifo)
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
        let (accessed, modified) = both(times)?;
        answer(dir.set_times_at(NO_FOLLOW, name.to_str()?, accessed, modified))
    }

    fn sync_dir(&self, dir: &Arc<Descriptor>) -> Result<()> {
        sync(dir)
    }

    /// WASI has no call for a whole filesystem. No guest can ask for it either.
    fn sync_all(&self) -> Result<()> {
        sync(&self.0)
    }

    /// On some hosts (jco on node) a directory's descriptor is its path.
    fn handles_follow_rename(&self) -> bool {
        false
    }
}

/// Syncs a directory. `invalid` is the answer of filesystems that have no such call (POSIX `fsync`), on
/// which a directory needs none.
fn sync(dir: &Descriptor) -> Result<()> {
    match dir.sync() {
        Ok(()) | Err(ErrorCode::Invalid) => Ok(()),
        refused => answer(refused),
    }
}

impl ReadAt for Descriptor {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let (bytes, _) = answer(self.read(buffer.len() as u64, offset))?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn meta(&self) -> Result<Meta> {
        whole_meta(self)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let size = answer(self.stat())?.size;
        Ok((offset < size).then_some(offset..size))
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        answer(Descriptor::advise(self, offset, length, advice.into()))
    }

    fn native(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl WriteAt for Descriptor {
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let written = answer(self.write(buffer, offset))?;
        Ok(usize::try_from(written).map_or(buffer.len(), |count| count.min(buffer.len())))
    }

    /// In two steps, as WASI has it. A guest that appends gets the host's own stream.
    fn append(&self, buffer: &[u8]) -> Result<usize> {
        self.write_at(buffer, answer(self.stat())?.size)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        answer(Descriptor::set_size(self, size))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        let (accessed, modified) = both(times)?;
        answer(Descriptor::set_times(self, accessed, modified))
    }

    fn set_mode(&self, _mode: u32) -> Result<()> {
        Ok(())
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        answer(match data_only {
            true => self.sync_data(),
            false => Descriptor::sync(self),
        })
    }

    /// From one descriptor of the host to another: without a buffer of the engine in between.
    fn copy_from(&self, from: &dyn ReadAt, range: Range<u64>) -> Result<u64> {
        let Some(from) = from
            .native()
            .and_then(|from| from.downcast_ref::<Descriptor>())
        else {
            return Ok(0);
        };
        let mut at = range.start;
        while at < range.end {
            let (bytes, _) = answer(from.read(STEP.min(range.end - at), at))?;
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

fn whole_meta(descriptor: &Descriptor) -> Result<Meta> {
    let stat = answer(descriptor.stat())?;
    Ok(meta(stat, answer(descriptor.metadata_hash())?))
}

/// What the host says of a file.
///
/// The lower half of the hash stands for device and inode number. wasmtime makes both halves of
/// those two; jco has the inode number in the lower half and the time of the last change in the
/// upper one, which tells nothing of who the file is.
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
    }
}

/// WASI does not tell the number of a device, so every character device is taken for the whiteout
/// that the kernel's overlayfs makes of one (0:0).
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

fn both(times: SetTimes) -> Result<(NewTimestamp, NewTimestamp)> {
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
