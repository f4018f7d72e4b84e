//! Conversions between the engine's types and those of preview 1.

use super::types::{self, Errno, Error, Fdflags, Filetype, Rights};
use wasi_overlay_core::{
    self as core, Advice, File, Identity, Kind, OpenHow, SetTime, SetTimes, Stat, Timestamp,
};

const NANOS: u64 = 1_000_000_000;

/// The error code for the guest.
pub(super) fn error(error: core::Error) -> Error {
    errno(crate::convert::guest_code(&error)).into()
}

pub(super) fn errno(errno: core::Errno) -> Errno {
    use wasi_overlay_core::Errno as E;
    match errno {
        E::Access => Errno::Acces,
        E::WouldBlock => Errno::Again,
        E::Already => Errno::Already,
        E::BadDescriptor => Errno::Badf,
        E::Busy => Errno::Busy,
        E::Deadlock => Errno::Deadlk,
        E::Quota => Errno::Dquot,
        E::Exist => Errno::Exist,
        E::FileTooLarge => Errno::Fbig,
        E::IllegalByteSequence => Errno::Ilseq,
        E::InProgress => Errno::Inprogress,
        E::Interrupted => Errno::Intr,
        E::Invalid => Errno::Inval,
        E::Io => Errno::Io,
        E::IsDirectory => Errno::Isdir,
        E::Loop => Errno::Loop,
        E::TooManyLinks => Errno::Mlink,
        E::MessageSize => Errno::Msgsize,
        E::NameTooLong => Errno::Nametoolong,
        E::NoDevice => Errno::Nodev,
        E::NoEntry => Errno::Noent,
        E::NoLock => Errno::Nolck,
        E::InsufficientMemory => Errno::Nomem,
        E::InsufficientSpace => Errno::Nospc,
        E::NotDirectory => Errno::Notdir,
        E::NotEmpty => Errno::Notempty,
        E::NotRecoverable => Errno::Notrecoverable,
        E::Unsupported => Errno::Notsup,
        E::NoTty => Errno::Notty,
        E::NoSuchDevice => Errno::Nxio,
        E::Overflow => Errno::Overflow,
        E::NotPermitted => Errno::Perm,
        E::Pipe => Errno::Pipe,
        E::ReadOnly => Errno::Rofs,
        E::InvalidSeek => Errno::Spipe,
        E::TextFileBusy => Errno::Txtbsy,
        E::TooManyFiles => Errno::Mfile,
        E::CrossDevice => Errno::Xdev,
    }
}

/// Preview 1 has no type for a fifo, and distinguishes kinds of sockets that a name on disk does not show.
pub(super) fn filetype(kind: Kind) -> Filetype {
    match kind {
        Kind::File => Filetype::RegularFile,
        Kind::Dir => Filetype::Directory,
        Kind::Symlink => Filetype::SymbolicLink,
        Kind::CharDevice => Filetype::CharacterDevice,
        Kind::BlockDevice => Filetype::BlockDevice,
        Kind::Fifo | Kind::Socket => Filetype::Unknown,
    }
}

/// A time before 1970 becomes 0, as in wasmtime-wasi; a time after 2554 does not fit and is `overflow`.
fn timestamp(time: Timestamp) -> Result<types::Timestamp, Error> {
    let Ok(seconds) = u64::try_from(time.seconds) else {
        return Ok(0);
    };
    let nanos = seconds.checked_mul(NANOS);
    nanos
        .and_then(|nanos| nanos.checked_add(time.nanoseconds.into()))
        .ok_or_else(|| Errno::Overflow.into())
}

/// All files of a guest are on device 1, as in wasmtime-wasi; only the inode number distinguishes them.
pub(super) fn filestat((stat, identity): (Stat, Identity)) -> Result<types::Filestat, Error> {
    Ok(types::Filestat {
        dev: 1,
        ino: identity.lower,
        filetype: filetype(stat.kind),
        nlink: stat.links,
        size: stat.size,
        atim: timestamp(stat.accessed)?,
        mtim: timestamp(stat.modified)?,
        ctim: timestamp(stat.changed)?,
    })
}

/// The times to set.
///
/// # Errors
/// `inval` if the flags ask for both the given time and the current time.
pub(super) fn set_times(
    accessed: types::Timestamp,
    modified: types::Timestamp,
    flags: types::Fstflags,
) -> Result<SetTimes, Error> {
    use types::Fstflags as F;
    let one = |time: types::Timestamp, given: F, now: F| {
        match (flags.contains(given), flags.contains(now)) {
            (true, true) => Err(Error::from(Errno::Inval)),
            (false, false) => Ok(SetTime::Keep),
            (false, true) => Ok(SetTime::Now),
            (true, false) => Ok(SetTime::To(Timestamp {
                // 2^64 nanoseconds are less than 2^63 seconds.
                seconds: (time / NANOS) as i64,
                nanoseconds: (time % NANOS) as u32,
            })),
        }
    };
    Ok(SetTimes {
        accessed: one(accessed, F::ATIM, F::ATIM_NOW)?,
        modified: one(modified, F::MTIM, F::MTIM_NOW)?,
    })
}

pub(super) fn advice(advice: types::Advice) -> Advice {
    match advice {
        types::Advice::Normal => Advice::Normal,
        types::Advice::Sequential => Advice::Sequential,
        types::Advice::Random => Advice::Random,
        types::Advice::Willneed => Advice::WillNeed,
        types::Advice::Dontneed => Advice::DontNeed,
        types::Advice::Noreuse => Advice::NoReuse,
    }
}

pub(super) fn follows(flags: types::Lookupflags) -> bool {
    flags.contains(types::Lookupflags::SYMLINK_FOLLOW)
}

/// Of the rights that a guest requests, only those to read and write have an effect.
pub(super) fn open_how(
    lookup: types::Lookupflags,
    oflags: types::Oflags,
    rights: Rights,
) -> OpenHow {
    OpenHow {
        follow: follows(lookup),
        create: oflags.contains(types::Oflags::CREAT),
        directory: oflags.contains(types::Oflags::DIRECTORY),
        exclusive: oflags.contains(types::Oflags::EXCL),
        truncate: oflags.contains(types::Oflags::TRUNC),
        read: rights.contains(Rights::FD_READ),
        write: rights.contains(Rights::FD_WRITE),
    }
}

/// Whether the flags ask for each write to reach the disk before it returns.
pub(super) fn is_synchronous(flags: Fdflags) -> bool {
    flags.intersects(Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC)
}

fn fdstat(
    fs_filetype: Filetype,
    fs_flags: Fdflags,
    base: Rights,
    inheriting: Rights,
) -> types::Fdstat {
    types::Fdstat {
        fs_filetype,
        fs_flags,
        fs_rights_base: base,
        fs_rights_inheriting: inheriting,
    }
}

/// The answer of `fd_fdstat_get` for a preopened directory: fixed rights, which many C libraries check
/// before they use the directory, and which are the same as in wasmtime-wasi.
pub(super) fn preopen_fdstat() -> types::Fdstat {
    let base = Rights::PATH_CREATE_DIRECTORY
        | Rights::PATH_CREATE_FILE
        | Rights::PATH_LINK_SOURCE
        | Rights::PATH_LINK_TARGET
        | Rights::PATH_OPEN
        | Rights::FD_READDIR
        | Rights::PATH_READLINK
        | Rights::PATH_RENAME_SOURCE
        | Rights::PATH_RENAME_TARGET
        | Rights::PATH_SYMLINK
        | Rights::PATH_REMOVE_DIRECTORY
        | Rights::PATH_UNLINK_FILE
        | Rights::PATH_FILESTAT_GET
        | Rights::PATH_FILESTAT_SET_TIMES
        | Rights::FD_FILESTAT_GET
        | Rights::FD_FILESTAT_SET_TIMES;
    let inheriting = base
        | Rights::FD_DATASYNC
        | Rights::FD_READ
        | Rights::FD_SEEK
        | Rights::FD_FDSTAT_SET_FLAGS
        | Rights::FD_SYNC
        | Rights::FD_TELL
        | Rights::FD_WRITE
        | Rights::FD_ADVISE
        | Rights::FD_ALLOCATE
        | Rights::FD_FILESTAT_SET_SIZE
        | Rights::POLL_FD_READWRITE;
    fdstat(Filetype::Directory, Fdflags::empty(), base, inheriting)
}

/// The answer of `fd_fdstat_get` for any other directory.
pub(super) fn dir_fdstat() -> types::Fdstat {
    let without = Rights::FD_SEEK
        | Rights::FD_FILESTAT_SET_SIZE
        | Rights::PATH_FILESTAT_SET_SIZE
        | Rights::FD_WRITE;
    let rights = Rights::all() & !without;
    fdstat(Filetype::Directory, Fdflags::empty(), rights, rights)
}

/// The answer of `fd_fdstat_get` for a file.
pub(super) fn file_fdstat(file: &File, append: bool, nonblock: bool) -> types::Fdstat {
    let mut rights = Rights::all();
    if !file.is_readable() {
        rights &= !(Rights::FD_READ | Rights::FD_READDIR);
    }
    if !file.is_writable() {
        rights &= !Rights::FD_WRITE;
    }
    let mut flags = Fdflags::empty();
    if append {
        flags |= Fdflags::APPEND;
    }
    if nonblock {
        flags |= Fdflags::NONBLOCK;
    }
    fdstat(Filetype::RegularFile, flags, rights, rights)
}
