//! Metadata of files: type, times, size and identity.

use crate::error::{Errno, Error, Result};
use std::time::{Duration, SystemTime};

/// The set-user-id and set-group-id bits of a mode.
pub(crate) const SET_ID: u32 = 0o6000;

/// The extended attribute that gives a program capabilities when it is executed, as set-user-id gives it a
/// user (`capabilities(7)`).
pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A fifo. It can be listed and stat'ed, never opened.
    Fifo,
    /// A socket. It can be listed and stat'ed, never opened.
    Socket,
    /// A character device. It can be listed and stat'ed, never opened.
    CharDevice,
    /// A block device. It can be listed and stat'ed, never opened.
    BlockDevice,
}

/// A point in time: seconds since 1970-01-01T00:00:00Z, and nanoseconds after that second.
///
/// The range is wider than that of WASI's timestamps (unsigned seconds in 0.2, unsigned nanoseconds in
/// 0.1), since a file on a host may be older than 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000, always counted forwards.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// The time of the system's clock; 1970 where there is no clock (wasm32-unknown-unknown).
    pub fn now() -> Self {
        if cfg!(all(target_family = "wasm", target_os = "unknown")) {
            return Self::default();
        }
        SystemTime::now().into()
    }
}

/// A time that the platform cannot represent becomes 1970.
impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = if time.seconds < 0 {
            Self::UNIX_EPOCH.checked_sub(seconds)
        } else {
            Self::UNIX_EPOCH.checked_add(seconds)
        };
        let nanoseconds = Duration::from_nanos(time.nanoseconds.into());
        whole
            .and_then(|whole| whole.checked_add(nanoseconds))
            .unwrap_or(Self::UNIX_EPOCH)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: since.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let whole = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
                match before.subsec_nanos() {
                    0 => Self {
                        seconds: whole,
                        nanoseconds: 0,
                    },
                    nanoseconds => Self {
                        seconds: whole.saturating_sub(1),
                        nanoseconds: 1_000_000_000 - nanoseconds,
                    },
                }
            }
        }
    }
}

/// A change of one timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SetTime {
    /// Leave it unchanged.
    #[default]
    Keep,
    /// Set it to the time of the call, by the clock of the storage.
    Now,
    /// Set it to this time.
    To(Timestamp),
}

/// A change of a file's times. If both are `Keep`, it changes nothing and causes no copy-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SetTimes {
    /// When the data was last read.
    pub accessed: SetTime,
    /// When the data was last changed.
    pub modified: SetTime,
}

impl SetTimes {
    /// Whether it changes nothing.
    pub fn is_noop(&self) -> bool {
        *self == Self::default()
    }

    /// Rejects an invalid time before any change, as the system does.
    ///
    /// # Errors
    /// `invalid` for 1,000,000,000 nanoseconds or more.
    pub(crate) fn check(&self) -> Result<()> {
        let is_bad = |time| matches!(time, SetTime::To(time) if time.nanoseconds >= 1_000_000_000);
        if is_bad(self.accessed) || is_bad(self.modified) {
            return Err(Error::because(
                Errno::Invalid,
                || "a time has 1,000,000,000 nanoseconds or more",
            ));
        }
        Ok(())
    }

    /// A change of both times to those of `meta`.
    pub fn of(meta: &Meta) -> Self {
        Self {
            accessed: SetTime::To(meta.accessed),
            modified: SetTime::To(meta.modified),
        }
    }
}

/// The metadata of a file in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The type.
    pub kind: Kind,
    /// Bytes of data; of a symbolic link, of its target.
    pub size: u64,
    /// Bytes of storage in use, if the layer knows them. Less than `size` in a file with holes.
    pub allocated: Option<u64>,
    /// Number of names.
    pub links: u64,
    /// When the data was last read (`atime`).
    pub accessed: Timestamp,
    /// When the data was last changed (`mtime`).
    pub modified: Timestamp,
    /// When data or metadata was last changed (`ctime`).
    pub changed: Timestamp,
    /// The device. Together with `inode` it is unique in the layer while the file exists.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// Permission bits (`07777`); `None` if the layer has no modes.
    pub mode: Option<u32>,
    /// User and group; `None` if the layer has no owners.
    pub owner: Option<(u32, u32)>,
    /// The number of a device (`st_rdev`); 0 for any other file.
    pub rdev: u64,
    /// Whether the layer has no attributes of this directory: an archive may have names in a directory
    /// without an entry of the directory itself. The engine then takes mode, owner, times and
    /// extended attributes of the same directory in the next layer below that has some, and those of this
    /// layer only if none has. Never set in the metadata of a merged tree.
    pub implied: bool,
}

impl Meta {
    /// Whether it is [implied](Self::implied). Always false in a component build without archives, to save
    /// code size.
    pub(crate) fn is_implied(&self) -> bool {
        cfg!(any(feature = "native", feature = "tar")) && self.implied
    }
}

/// The identity of a file for the life of a mount: 128 bits, keyed per mount.
///
/// It is stable across copy-up and rename, and equal for two names of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The lower 64 bits. WASI 0.1 shows them as the inode number.
    pub lower: u64,
    /// The upper 64 bits.
    pub upper: u64,
}

/// The metadata that a guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The type.
    pub kind: Kind,
    /// Bytes of data; of a symbolic link, of its target.
    pub size: u64,
    /// Number of names in the layer that holds the file; 1 for every directory of an overlay,
    /// since merged counts mislead `find`.
    pub links: u64,
    /// When the data was last read.
    pub accessed: Timestamp,
    /// When the data was last changed.
    pub modified: Timestamp,
    /// When data or metadata was last changed.
    pub changed: Timestamp,
}
