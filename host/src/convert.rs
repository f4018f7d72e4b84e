//! From the engine's types to those of WASI and back. Every match is exhaustive: a code or a kind
//! that is added to the engine has to be given its meaning here.

use crate::descriptor::Access;
use crate::p2::bindings;
use wasi_overlay_core::{
    Advice, Errno, Error, Identity, Kind, OpenHow, SetTime, SetTimes, Stat, Timestamp,
};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

/// The code that a guest is told. The rest of the error is for the embedder: it goes to the log.
pub(crate) fn guest_code(error: &Error) -> Errno {
    if error.has_details() {
        tracing::debug!(%error, "a filesystem call failed");
    }
    error.errno()
}

/// A time as WASI 0.2 has it: seconds without sign. None where it does not fit, which is what
/// wasmtime-wasi answers for a file older than 1970.
fn datetime(time: Timestamp) -> Option<Datetime> {
    Some(Datetime {
        seconds: u64::try_from(time.seconds).ok()?,
        nanoseconds: time.nanoseconds,
    })
}

/// A time that a guest gave: nanoseconds past the second are carried over, as in wasmtime-wasi.
fn timestamp(time: Datetime) -> Result<Timestamp, Errno> {
    const NANOSECONDS: u32 = 1_000_000_000;
    let carry = u64::from(time.nanoseconds / NANOSECONDS);
    let seconds = time.seconds.checked_add(carry).ok_or(Errno::Overflow)?;
    Ok(Timestamp {
        seconds: i64::try_from(seconds).map_err(|_| Errno::Overflow)?,
        nanoseconds: time.nanoseconds % NANOSECONDS,
    })
}

/// The conversions for one generated module of types. The two of WASI 0.2 differ in nothing but
/// their path.
macro_rules! conversions {
    ($($types:ident)::+) => {
        const _: () = {
            use $($types)::+ as types;

            impl From<Errno> for types::ErrorCode {
                fn from(code: Errno) -> Self {
                    match code {
                        Errno::Access => Self::Access,
                        Errno::WouldBlock => Self::WouldBlock,
                        Errno::Already => Self::Already,
                        Errno::BadDescriptor => Self::BadDescriptor,
                        Errno::Busy => Self::Busy,
                        Errno::Deadlock => Self::Deadlock,
                        Errno::Quota => Self::Quota,
                        Errno::Exist => Self::Exist,
                        Errno::FileTooLarge => Self::FileTooLarge,
                        Errno::IllegalByteSequence => Self::IllegalByteSequence,
                        Errno::InProgress => Self::InProgress,
                        Errno::Interrupted => Self::Interrupted,
                        Errno::Invalid => Self::Invalid,
                        Errno::Io => Self::Io,
                        Errno::IsDirectory => Self::IsDirectory,
                        Errno::Loop => Self::Loop,
                        Errno::TooManyLinks => Self::TooManyLinks,
                        Errno::MessageSize => Self::MessageSize,
                        Errno::NameTooLong => Self::NameTooLong,
                        Errno::NoDevice => Self::NoDevice,
                        Errno::NoEntry => Self::NoEntry,
                        Errno::NoLock => Self::NoLock,
                        Errno::InsufficientMemory => Self::InsufficientMemory,
                        Errno::InsufficientSpace => Self::InsufficientSpace,
                        Errno::NotDirectory => Self::NotDirectory,
                        Errno::NotEmpty => Self::NotEmpty,
                        Errno::NotRecoverable => Self::NotRecoverable,
                        Errno::Unsupported => Self::Unsupported,
                        Errno::NoTty => Self::NoTty,
                        Errno::NoSuchDevice => Self::NoSuchDevice,
                        Errno::Overflow => Self::Overflow,
                        Errno::NotPermitted => Self::NotPermitted,
                        Errno::Pipe => Self::Pipe,
                        Errno::ReadOnly => Self::ReadOnly,
                        Errno::InvalidSeek => Self::InvalidSeek,
                        Errno::TextFileBusy => Self::TextFileBusy,
                        Errno::CrossDevice => Self::CrossDevice,
                    }
                }
            }

            impl From<Kind> for types::DescriptorType {
                fn from(kind: Kind) -> Self {
                    match kind {
                        Kind::File => Self::RegularFile,
                        Kind::Dir => Self::Directory,
                        Kind::Symlink => Self::SymbolicLink,
                        Kind::Fifo => Self::Fifo,
                        Kind::Socket => Self::Socket,
                        Kind::CharDevice => Self::CharacterDevice,
                        Kind::BlockDevice => Self::BlockDevice,
                    }
                }
            }

            impl From<Stat> for types::DescriptorStat {
                fn from(stat: Stat) -> Self {
                    Self {
                        type_: stat.kind.into(),
                        link_count: stat.links,
                        size: stat.size,
                        data_access_timestamp: datetime(stat.accessed),
                        data_modification_timestamp: datetime(stat.modified),
                        status_change_timestamp: datetime(stat.changed),
                    }
                }
            }

            impl From<Identity> for types::MetadataHashValue {
                fn from(identity: Identity) -> Self {
                    Self {
                        lower: identity.lower,
                        upper: identity.upper,
                    }
                }
            }

            impl From<Access> for types::DescriptorFlags {
                fn from(access: Access) -> Self {
                    let mut flags = Self::empty();
                    if access.read {
                        flags |= Self::READ;
                    }
                    if access.write {
                        flags |= Self::WRITE;
                    }
                    if access.mutate_directory {
                        flags |= Self::MUTATE_DIRECTORY;
                    }
                    flags
                }
            }

            impl From<types::Advice> for Advice {
                fn from(advice: types::Advice) -> Self {
                    match advice {
                        types::Advice::Normal => Self::Normal,
                        types::Advice::Sequential => Self::Sequential,
                        types::Advice::Random => Self::Random,
                        types::Advice::WillNeed => Self::WillNeed,
                        types::Advice::DontNeed => Self::DontNeed,
                        types::Advice::NoReuse => Self::NoReuse,
                    }
                }
            }

            impl types::NewTimestamp {
                /// The two arguments of `set-times`.
                pub(crate) fn both(accessed: Self, modified: Self) -> Result<SetTimes, Errno> {
                    Ok(SetTimes {
                        accessed: accessed.one()?,
                        modified: modified.one()?,
                    })
                }

                fn one(self) -> Result<SetTime, Errno> {
                    Ok(match self {
                        Self::NoChange => SetTime::Keep,
                        Self::Now => SetTime::Now,
                        Self::Timestamp(time) => SetTime::To(timestamp(time)?),
                    })
                }
            }

            impl types::PathFlags {
                pub(crate) fn follow(self) -> bool {
                    self.contains(Self::SYMLINK_FOLLOW)
                }
            }

            impl types::OpenFlags {
                /// The three arguments of `open-at` that say how.
                ///
                /// As in wasmtime-wasi, no sync flag is accepted, and no `mutate-directory` is
                /// enforced.
                pub(crate) fn how(
                    self,
                    path: types::PathFlags,
                    access: types::DescriptorFlags,
                ) -> Result<OpenHow, Errno> {
                    let sync = types::DescriptorFlags::FILE_INTEGRITY_SYNC
                        | types::DescriptorFlags::DATA_INTEGRITY_SYNC
                        | types::DescriptorFlags::REQUESTED_WRITE_SYNC;
                    if access.intersects(sync) {
                        return Err(Errno::Unsupported);
                    }
                    Ok(OpenHow {
                        follow: path.follow(),
                        create: self.contains(Self::CREATE),
                        directory: self.contains(Self::DIRECTORY),
                        exclusive: self.contains(Self::EXCLUSIVE),
                        truncate: self.contains(Self::TRUNCATE),
                        read: access.contains(types::DescriptorFlags::READ),
                        write: access.contains(types::DescriptorFlags::WRITE),
                    })
                }
            }
        };
    };
}

conversions!(bindings::types);
conversions!(bindings::sync::types);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_1970_is_no_time_in_0_2() {
        let old = Timestamp {
            seconds: -1,
            nanoseconds: 5,
        };
        assert!(datetime(old).is_none());
        let zero = datetime(Timestamp::default()).unwrap();
        assert_eq!((zero.seconds, zero.nanoseconds), (0, 0));
    }

    #[test]
    fn a_guests_time_is_carried_or_refused_but_never_wraps() {
        let time = |seconds, nanoseconds| {
            timestamp(Datetime {
                seconds,
                nanoseconds,
            })
        };
        let carried = time(7, u32::MAX).unwrap();
        assert_eq!((carried.seconds, carried.nanoseconds), (11, 294_967_295));
        assert_eq!(time(u64::MAX, 1_000_000_000), Err(Errno::Overflow));
        assert_eq!(time(u64::MAX, 0), Err(Errno::Overflow));
        assert_eq!(time(i64::MAX as u64, 0).unwrap().seconds, i64::MAX);
    }

    #[test]
    fn every_sync_flag_is_unsupported() {
        use bindings::types::{DescriptorFlags, OpenFlags, PathFlags};
        let how = |flags| OpenFlags::empty().how(PathFlags::empty(), flags);
        for flag in [
            DescriptorFlags::FILE_INTEGRITY_SYNC,
            DescriptorFlags::DATA_INTEGRITY_SYNC,
            DescriptorFlags::REQUESTED_WRITE_SYNC,
        ] {
            assert_eq!(how(flag | DescriptorFlags::READ), Err(Errno::Unsupported));
        }
        assert!(how(DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY).is_ok());
    }
}
