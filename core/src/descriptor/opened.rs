//! What a descriptor stands for, whether it is a file or a directory.

use super::{Dir, File, Opened};
use crate::conversions::DescriptorAccess;
use crate::error::{Errno, Error, Result};
use crate::meta::{Identity, Kind, SetTimes, Stat};

impl From<Dir> for Opened {
    fn from(dir: Dir) -> Self {
        Self::Dir(dir)
    }
}

impl Opened {
    /// The file.
    ///
    /// # Errors
    /// `bad-descriptor` for a directory.
    pub fn file(&self) -> Result<&File> {
        match self {
            Self::File(file) => Ok(file),
            Self::Dir(_) => Err(Errno::BadDescriptor.into()),
        }
    }

    /// The file, for reading it as a stream.
    ///
    /// # Errors
    /// `is-directory` for a directory.
    pub fn stream_file(&self) -> Result<&File> {
        match self {
            Self::File(file) => Ok(file),
            Self::Dir(dir) => {
                let reason = "a directory has no bytes to read";
                Err(dir.refused("read-via-stream", Errno::IsDirectory, reason))
            }
        }
    }

    /// The directory.
    ///
    /// # Errors
    /// `not-directory` for a file.
    pub fn dir(&self) -> Result<&Dir> {
        match self {
            Self::Dir(dir) => Ok(dir),
            Self::File(_) => Err(Errno::NotDirectory.into()),
        }
    }

    /// As [`file`](Self::file), for the log too: `call` is what WASI calls the call.
    ///
    /// # Errors
    /// `bad-descriptor` for a directory.
    pub fn file_for(&self, call: &'static str) -> Result<&File> {
        self.file()
            .map_err(|error| self.refused(call, error.errno(), "the descriptor is a directory"))
    }

    /// As [`dir`](Self::dir), for the log too: `call` is what WASI calls the call.
    ///
    /// # Errors
    /// `not-directory` for a file.
    pub fn dir_for(&self, call: &'static str) -> Result<&Dir> {
        self.dir()
            .map_err(|error| self.refused(call, error.errno(), "the descriptor is a file"))
    }

    /// The error of a call that a host refuses before it reaches the file or directory; a log has it.
    #[doc(hidden)]
    #[cold]
    pub fn refused(&self, call: &'static str, code: Errno, reason: &str) -> Error {
        match self {
            Self::File(file) => file.refused(call, code, reason),
            Self::Dir(dir) => dir.refused(call, code, reason),
        }
    }

    /// The type. Nothing but files and directories can be opened.
    pub fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::File,
            Self::Dir(_) => Kind::Dir,
        }
    }

    /// Takes note of whether it was opened with `mutate-directory`, which means something to a directory
    /// alone. It is reported and not enforced: as in wasmtime-wasi, names can be changed through any
    /// directory of a writable mount.
    pub fn set_mutate_directory(&mut self, asked: bool) {
        if let Self::Dir(dir) = self {
            dir.mutate_directory = asked;
        }
    }

    /// What may be done through it: `get-flags`.
    pub fn access(&self) -> DescriptorAccess {
        match self {
            Self::File(file) => DescriptorAccess {
                read: file.is_readable(),
                write: file.is_writable(),
                mutate_directory: false,
            },
            Self::Dir(dir) => DescriptorAccess {
                read: true,
                write: false,
                mutate_directory: dir.reports_mutable(),
            },
        }
    }

    /// `stat`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn stat(&self) -> Result<Stat> {
        match self {
            Self::File(file) => file.stat(),
            Self::Dir(dir) => dir.stat(),
        }
    }

    /// `metadata-hash`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn identity(&self) -> Result<Identity> {
        match self {
            Self::File(file) => file.identity(),
            Self::Dir(dir) => dir.identity(),
        }
    }

    /// `is-same-object`. Identities are keyed by mount, so objects of two mounts are never the
    /// same.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn is_same_object(&self, other: &Self) -> Result<bool> {
        Ok(self.identity()? == other.identity()?)
    }

    /// `set-times`.
    ///
    /// # Errors
    /// Those of POSIX `futimens`; `read-only`.
    pub fn set_times(&self, times: SetTimes) -> Result<()> {
        match self {
            Self::File(file) => file.set_times(times),
            Self::Dir(dir) => dir.set_times(times),
        }
    }

    /// `sync`, and with `data_only` `sync-data`.
    ///
    /// # Errors
    /// Those of POSIX `fsync`.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        match self {
            Self::File(file) => file.sync(data_only),
            Self::Dir(dir) => dir.sync(data_only),
        }
    }
}
