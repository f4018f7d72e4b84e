//! Conversions between the engine's types and the types that bindings of `wasi:filesystem` generate.
//!
//! Each crate that serves WASI generates its own bindings, which differ only in their path, so the
//! conversions are macros. [`wasi_conversions!`](crate::wasi_conversions) is for 0.2 and
//! [`wasi_conversions_p3!`](crate::wasi_conversions_p3) for 0.3; each adds what its version has of its own
//! (times, and an error code or two) to the conversions that both share. Every match is exhaustive: a code
//! or a kind added to the engine needs its conversion here.

use crate::error::Errno;
use crate::meta::Timestamp;

/// The access that a descriptor gives: `descriptor-flags` without the sync flags, which no open accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorAccess {
    /// Data can be read, or a directory listed.
    pub read: bool,
    /// Data can be written.
    pub write: bool,
    /// Names can be changed.
    pub mutate_directory: bool,
}

/// The seconds of a time for WASI 0.2, which has unsigned seconds. `None` before 1970, as in
/// wasmtime-wasi.
#[doc(hidden)]
pub fn unsigned_seconds(time: Timestamp) -> Option<u64> {
    u64::try_from(time.seconds).ok()
}

/// A time that a guest passed. Nanoseconds past the second are carried over, as in wasmtime-wasi.
#[doc(hidden)]
pub fn timestamp(seconds: u64, nanoseconds: u32) -> Result<Timestamp, Errno> {
    signed_timestamp(
        i64::try_from(seconds).map_err(|_| Errno::Overflow)?,
        nanoseconds,
    )
}

/// The same for WASI 0.3: signed seconds, and nanoseconds that count forwards in time before 1970 too, as
/// the WIT says. wasmtime-wasi counts them backwards there.
#[doc(hidden)]
pub fn signed_timestamp(seconds: i64, nanoseconds: u32) -> Result<Timestamp, Errno> {
    const NANOSECONDS: u32 = 1_000_000_000;
    let carry = i64::from(nanoseconds / NANOSECONDS);
    Ok(Timestamp {
        seconds: seconds.checked_add(carry).ok_or(Errno::Overflow)?,
        nanoseconds: nanoseconds % NANOSECONDS,
    })
}

/// Implements the conversion from [`Errno`] to a generated `error-code`, with another code in place of each
/// missing one. With `both` it also implements the conversion back.
#[doc(hidden)]
#[macro_export]
macro_rules! wasi_error_codes {
    ($types:ident: $($code:ident)*; $($missing:ident => $instead:ident),*) => {
        impl From<$crate::Errno> for $types::ErrorCode {
            fn from(code: $crate::Errno) -> Self {
                match code {
                    $($crate::Errno::$code => Self::$code,)*
                    $($crate::Errno::$missing => Self::$instead,)*
                }
            }
        }
    };
    (both $types:ident: $($code:ident)*; $($missing:ident => $instead:ident),*) => {
        $crate::wasi_error_codes! { $types: $($code)*; $($missing => $instead),* }

        impl From<$types::ErrorCode> for $crate::Errno {
            fn from(code: $types::ErrorCode) -> Self {
                match code {
                    $($types::ErrorCode::$code => Self::$code,)*
                }
            }
        }
    };
}

/// Implements the conversions for one generated module of types of 0.2.
#[doc(hidden)]
#[macro_export]
macro_rules! wasi_conversions {
    ($($types:ident)::+) => {
        const _: () = {
            use $($types)::+ as types;
            use $crate::{Errno, Timestamp};

            fn time_of(time: Timestamp) -> Option<types::Datetime> {
                Some(types::Datetime {
                    seconds: $crate::conversions::unsigned_seconds(time)?,
                    nanoseconds: time.nanoseconds,
                })
            }

            fn given_time(time: types::Datetime) -> Result<Timestamp, Errno> {
                $crate::conversions::timestamp(time.seconds, time.nanoseconds)
            }

            $crate::wasi_error_codes! { both types:
                Access WouldBlock Already BadDescriptor Busy Deadlock Quota Exist
                FileTooLarge IllegalByteSequence InProgress Interrupted Invalid Io
                IsDirectory Loop TooManyLinks MessageSize NameTooLong NoDevice NoEntry
                NoLock InsufficientMemory InsufficientSpace NotDirectory NotEmpty
                NotRecoverable Unsupported NoTty NoSuchDevice Overflow NotPermitted Pipe
                ReadOnly InvalidSeek TextFileBusy CrossDevice;
                TooManyFiles => Io
            }

            $crate::wasi_conversions_alike!(types time_of given_time);
        };
    };
}

/// Implements the conversions for one generated module of types of 0.3.
#[doc(hidden)]
#[macro_export]
macro_rules! wasi_conversions_p3 {
    ($($types:ident)::+) => {
        const _: () = {
            use $($types)::+ as types;
            use $crate::{Errno, Timestamp};

            fn time_of(time: Timestamp) -> Option<types::Instant> {
                Some(types::Instant {
                    seconds: time.seconds,
                    nanoseconds: time.nanoseconds,
                })
            }

            fn given_time(time: types::Instant) -> Result<Timestamp, Errno> {
                $crate::conversions::signed_timestamp(time.seconds, time.nanoseconds)
            }

            // 0.3 has no `would-block`, since no call there is non-blocking. If a system returns it for
            // another reason, that is a failure.
            $crate::wasi_error_codes! { types:
                Access Already BadDescriptor Busy Deadlock Quota Exist
                FileTooLarge IllegalByteSequence InProgress Interrupted Invalid Io
                IsDirectory Loop TooManyLinks MessageSize NameTooLong NoDevice NoEntry
                NoLock InsufficientMemory InsufficientSpace NotDirectory NotEmpty
                NotRecoverable Unsupported NoTty NoSuchDevice Overflow NotPermitted Pipe
                ReadOnly InvalidSeek TextFileBusy CrossDevice;
                WouldBlock => Io, TooManyFiles => Io
            }

            $crate::wasi_conversions_alike!(types time_of given_time);
        };
    };
}

/// Implements the conversions that both versions share.
#[doc(hidden)]
#[macro_export]
macro_rules! wasi_conversions_alike {
    ($types:ident $time_of:ident $given_time:ident) => {
        use $crate::conversions::DescriptorAccess;
        use $crate::{Advice, Dir, Identity, Kind, OpenHow, Opened, SetTime, SetTimes, Stat};

        impl From<Kind> for $types::DescriptorType {
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

        impl From<Stat> for $types::DescriptorStat {
            fn from(stat: Stat) -> Self {
                Self {
                    type_: stat.kind.into(),
                    link_count: stat.links,
                    size: stat.size,
                    data_access_timestamp: $time_of(stat.accessed),
                    data_modification_timestamp: $time_of(stat.modified),
                    status_change_timestamp: $time_of(stat.changed),
                }
            }
        }

        impl From<Identity> for $types::MetadataHashValue {
            fn from(identity: Identity) -> Self {
                Self {
                    lower: identity.lower,
                    upper: identity.upper,
                }
            }
        }

        impl From<DescriptorAccess> for $types::DescriptorFlags {
            fn from(access: DescriptorAccess) -> Self {
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

        impl From<$types::Advice> for Advice {
            fn from(advice: $types::Advice) -> Self {
                match advice {
                    $types::Advice::Normal => Self::Normal,
                    $types::Advice::Sequential => Self::Sequential,
                    $types::Advice::Random => Self::Random,
                    $types::Advice::WillNeed => Self::WillNeed,
                    $types::Advice::DontNeed => Self::DontNeed,
                    $types::Advice::NoReuse => Self::NoReuse,
                }
            }
        }

        impl From<Advice> for $types::Advice {
            fn from(advice: Advice) -> Self {
                match advice {
                    Advice::Normal => Self::Normal,
                    Advice::Sequential => Self::Sequential,
                    Advice::Random => Self::Random,
                    Advice::WillNeed => Self::WillNeed,
                    Advice::DontNeed => Self::DontNeed,
                    Advice::NoReuse => Self::NoReuse,
                }
            }
        }

        impl $types::NewTimestamp {
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
                    Self::Timestamp(time) => SetTime::To($given_time(time)?),
                })
            }
        }

        impl $types::PathFlags {
            pub(crate) fn follow(self) -> bool {
                self.contains(Self::SYMLINK_FOLLOW)
            }
        }

        impl $types::OpenFlags {
            /// The flags of `open-at` from its three arguments.
            ///
            /// As in wasmtime-wasi, no sync flag is accepted, and `mutate-directory` is reported but
            /// not enforced.
            pub(crate) fn how(
                self,
                path: $types::PathFlags,
                access: $types::DescriptorFlags,
            ) -> Result<OpenHow, Errno> {
                let sync = $types::DescriptorFlags::FILE_INTEGRITY_SYNC
                    | $types::DescriptorFlags::DATA_INTEGRITY_SYNC
                    | $types::DescriptorFlags::REQUESTED_WRITE_SYNC;
                if access.intersects(sync) {
                    return Err(Errno::Unsupported);
                }
                Ok(OpenHow {
                    follow: path.follow(),
                    create: self.contains(Self::CREATE),
                    directory: self.contains(Self::DIRECTORY),
                    exclusive: self.contains(Self::EXCLUSIVE),
                    truncate: self.contains(Self::TRUNCATE),
                    read: access.contains($types::DescriptorFlags::READ),
                    write: access.contains($types::DescriptorFlags::WRITE),
                })
            }

            /// `open-at`.
            pub(crate) fn open_at(
                self,
                dir: &Dir,
                path_flags: $types::PathFlags,
                path: &str,
                access: $types::DescriptorFlags,
            ) -> $crate::Result<Opened> {
                let how = self.how(path_flags, access).map_err(|code| {
                    dir.refused(
                        "open-at",
                        code,
                        "flags for synchronous writes are not supported",
                    )
                })?;
                let mut opened = dir.open_at(path, how)?;
                let mutate = $types::DescriptorFlags::MUTATE_DIRECTORY;
                opened.set_mutate_directory(access.contains(mutate));
                Ok(opened)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_1970_has_no_value_in_0_2() {
        let old = Timestamp {
            seconds: -1,
            nanoseconds: 5,
        };
        assert_eq!(unsigned_seconds(old), None);
        assert_eq!(unsigned_seconds(Timestamp::default()), Some(0));
    }

    #[test]
    fn guest_times_are_carried_or_refused_but_never_wrap() {
        let carried = timestamp(7, u32::MAX).unwrap();
        assert_eq!((carried.seconds, carried.nanoseconds), (11, 294_967_295));
        assert_eq!(timestamp(u64::MAX, 1_000_000_000), Err(Errno::Overflow));
        assert_eq!(timestamp(u64::MAX, 0), Err(Errno::Overflow));
        assert_eq!(timestamp(i64::MAX as u64, 0).unwrap().seconds, i64::MAX);
        assert_eq!(signed_timestamp(i64::MAX, u32::MAX), Err(Errno::Overflow));
        let before_1970 = signed_timestamp(-2, 1_000_000_007).unwrap();
        assert_eq!((before_1970.seconds, before_1970.nanoseconds), (-1, 7));
    }
}
