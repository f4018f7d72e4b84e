//! The error type of the engine: a code for the guest, and details for the embedder only.

use crate::log::{self, Warning};
use std::borrow::Cow;
use std::fmt;
use std::io;

/// The result of every engine call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error code that a guest gets: one variant for each `error-code` of `wasi:filesystem/types@0.2`,
/// and one that only WASI 0.1 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Errno {
    /// `access`: permission denied (`EACCES`).
    Access,
    /// `would-block` (`EAGAIN`).
    WouldBlock,
    /// `already` (`EALREADY`).
    Already,
    /// `bad-descriptor` (`EBADF`).
    BadDescriptor,
    /// `busy` (`EBUSY`).
    Busy,
    /// `deadlock` (`EDEADLK`).
    Deadlock,
    /// `quota` (`EDQUOT`).
    Quota,
    /// `exist` (`EEXIST`).
    Exist,
    /// `file-too-large` (`EFBIG`).
    FileTooLarge,
    /// `illegal-byte-sequence` (`EILSEQ`).
    IllegalByteSequence,
    /// `in-progress` (`EINPROGRESS`).
    InProgress,
    /// `interrupted` (`EINTR`).
    Interrupted,
    /// `invalid` (`EINVAL`).
    Invalid,
    /// `io` (`EIO`).
    Io,
    /// `is-directory` (`EISDIR`).
    IsDirectory,
    /// `loop`: too many symbolic links (`ELOOP`).
    Loop,
    /// `too-many-links` (`EMLINK`).
    TooManyLinks,
    /// `message-size` (`EMSGSIZE`).
    MessageSize,
    /// `name-too-long` (`ENAMETOOLONG`).
    NameTooLong,
    /// `no-device` (`ENODEV`).
    NoDevice,
    /// `no-entry` (`ENOENT`).
    NoEntry,
    /// `no-lock` (`ENOLCK`).
    NoLock,
    /// `insufficient-memory` (`ENOMEM`).
    InsufficientMemory,
    /// `insufficient-space` (`ENOSPC`).
    InsufficientSpace,
    /// `not-directory` (`ENOTDIR`).
    NotDirectory,
    /// `not-empty` (`ENOTEMPTY`).
    NotEmpty,
    /// `not-recoverable` (`ENOTRECOVERABLE`).
    NotRecoverable,
    /// `unsupported` (`ENOTSUP`, `ENOSYS`).
    Unsupported,
    /// `no-tty` (`ENOTTY`).
    NoTty,
    /// `no-such-device` (`ENXIO`).
    NoSuchDevice,
    /// `overflow` (`EOVERFLOW`).
    Overflow,
    /// `not-permitted` (`EPERM`).
    NotPermitted,
    /// `pipe` (`EPIPE`).
    Pipe,
    /// `read-only` (`EROFS`).
    ReadOnly,
    /// `invalid-seek` (`ESPIPE`).
    InvalidSeek,
    /// `text-file-busy` (`ETXTBSY`).
    TextFileBusy,
    /// `mfile` of WASI 0.1: too many open files (`EMFILE`, `ENFILE`). WASI 0.2 and 0.3 have no such
    /// code: there it becomes `io`, as in wasmtime-wasi.
    TooManyFiles,
    /// `cross-device` (`EXDEV`).
    CrossDevice,
}

/// The details besides the code. A component has no log to write them to: there the type is empty, and
/// an error is one byte.
#[cfg(feature = "native")]
type Details = Box<Detail>;
#[cfg(not(feature = "native"))]
type Details = std::convert::Infallible;

/// Why a call failed.
///
/// A guest gets [`Error::errno`] and nothing else. `Display` and `source` add the operation, the layer
/// and the system's own message for the embedder's log: they may name host paths.
///
/// An error without details takes two machine words and allocates nothing, since a missing name is an
/// ordinary answer.
pub struct Error {
    errno: Errno,
    details: Option<Details>,
}

#[derive(Debug, Default)]
struct Detail {
    message: Option<String>,
    layer: Option<String>,
    source: Option<io::Error>,
    remedy: Option<String>,
    warning: Option<Warning>,
    /// Whether a log line was written for it.
    is_logged: bool,
}

impl Error {
    /// The code for the guest.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// An error with a message for the embedder: what happened, and what to do about it.
    pub fn new(errno: Errno, message: impl fmt::Display) -> Self {
        Self::from(errno).context(message)
    }

    /// An ordinary answer: the code, with the `reason` only if a log wants it (level `DEBUG`). Otherwise
    /// `reason` is not called and nothing is allocated.
    #[inline]
    pub fn because<R: fmt::Display>(errno: Errno, reason: impl FnOnce() -> R) -> Self {
        if log::is_on() {
            return Self::new(errno, reason());
        }
        errno.into()
    }

    /// The error of a call for which the file was not opened.
    pub(crate) fn not_open_for(what: &str) -> Self {
        Self::because(Errno::BadDescriptor, || {
            format!("the file was not opened for {what}")
        })
    }

    /// The error of a call whose two paths lie in different mounts.
    pub(crate) fn different_mounts() -> Self {
        let reason = || "the two paths lie in different mounts";
        Self::because(Errno::CrossDevice, reason)
            .with_remedy(|| "copy the file, and remove the old one")
    }

    /// Adds what to do about the error, if it has details at all.
    #[must_use]
    pub fn with_remedy<R: fmt::Display>(mut self, remedy: impl FnOnce() -> R) -> Self {
        if self.has_details()
            && let Some(detail) = self.detail_mut()
        {
            detail.remedy.get_or_insert_with(|| remedy().to_string());
        }
        self
    }

    /// Marks an error that concerns every guest of the mount.
    #[must_use]
    pub(crate) fn with_warning(mut self, warning: Warning) -> Self {
        if let Some(detail) = self.detail_mut() {
            detail.warning = Some(warning);
        }
        self
    }

    /// The details, created if there are none yet. `None` where errors have no details.
    #[cfg(feature = "native")]
    fn detail_mut(&mut self) -> Option<&mut Detail> {
        Some(self.details.get_or_insert_default())
    }

    #[cfg(not(feature = "native"))]
    fn detail_mut(&mut self) -> Option<&mut Detail> {
        None
    }

    /// The details, if there are any.
    #[cfg(feature = "native")]
    fn detail(&self) -> Option<&Detail> {
        self.details.as_deref()
    }

    #[cfg(not(feature = "native"))]
    fn detail(&self) -> Option<&Detail> {
        None
    }

    /// Adds the system's own error.
    #[must_use]
    pub fn with_source(mut self, source: io::Error) -> Self {
        if let Some(detail) = self.detail_mut() {
            detail.source = Some(source);
        }
        self
    }

    /// Adds the layer in which the error occurred, unless it has one already.
    #[must_use]
    pub fn in_layer(mut self, layer: impl FnOnce() -> String) -> Self {
        // A bare code is an ordinary answer: it needs no layer, unless a log wants it.
        if (self.has_details() || log::is_on())
            && let Some(detail) = self.detail_mut()
        {
            detail.layer.get_or_insert_with(layer);
        }
        self
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        if let Some(detail) = self.detail_mut() {
            detail.message = Some(match detail.message.take() {
                Some(message) => format!("{doing}: {message}"),
                None => doing.to_string(),
            });
        }
        self
    }

    /// Whether there is more than the code.
    pub fn has_details(&self) -> bool {
        self.details.is_some()
    }

    /// Whether the error of a listing leaves lookups possible: the mode of the directory allows search
    /// but not reading (0311), or the layer cannot express some of the names.
    pub(crate) fn allows_lookups(&self) -> bool {
        matches!(self.errno, Errno::Access | Errno::IllegalByteSequence)
    }

    /// Whether a log line was written for the error.
    pub fn is_logged(&self) -> bool {
        self.detail().is_some_and(|detail| detail.is_logged)
    }

    pub(crate) fn set_logged(&mut self) {
        if self.has_details()
            && let Some(detail) = self.detail_mut()
        {
            detail.is_logged = true;
        }
    }

    /// Whether it has a message or a source besides its code and the layer.
    pub(crate) fn has_reason(&self) -> bool {
        self.detail()
            .is_some_and(|detail| detail.message.is_some() || detail.source.is_some())
    }

    /// The layer in which the error occurred.
    pub(crate) fn layer(&self) -> Option<&str> {
        self.detail()?.layer.as_deref()
    }

    /// The message, without the layer and the remedy.
    pub(crate) fn reason(&self) -> Cow<'_, str> {
        let detail = self.detail();
        match detail.map(|detail| (&detail.message, &detail.source)) {
            Some((Some(message), Some(source))) => format!("{message}: {source}").into(),
            Some((Some(message), None)) => message.into(),
            Some((None, Some(source))) => source.to_string().into(),
            Some((None, None)) | None => self.errno.to_string().into(),
        }
    }

    /// What to do about the error.
    pub(crate) fn remedy(&self) -> Option<&str> {
        self.detail()?.remedy.as_deref()
    }

    pub(crate) fn warning(&self) -> Option<Warning> {
        self.detail()?.warning
    }

    /// Whether the name does not exist. No other error means absence.
    pub fn is_not_found(&self) -> bool {
        self.errno == Errno::NoEntry
    }
}

/// Turns the result of a lookup into whether the name exists. Only *not found* means absence.
///
/// # Errors
/// Any other error of the lookup.
pub(crate) fn is_there<T>(answer: Result<T>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            details: None,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("errno", &self.errno)
            .field("detail", &self.detail())
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer() {
            write!(f, "{layer}: ")?;
        }
        f.write_str(&self.reason())?;
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.detail()
            .and_then(|detail| detail.source.as_ref())
            .map(|source| source as _)
    }
}

impl std::error::Error for Errno {}

/// The error is the source of the result, whose kind follows from the code.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.errno().into(), error)
    }
}

impl From<Errno> for io::ErrorKind {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::Access | Errno::NotPermitted => Self::PermissionDenied,
            Errno::WouldBlock => Self::WouldBlock,
            Errno::Busy => Self::ResourceBusy,
            Errno::Deadlock => Self::Deadlock,
            Errno::Quota => Self::QuotaExceeded,
            Errno::Exist => Self::AlreadyExists,
            Errno::FileTooLarge => Self::FileTooLarge,
            Errno::Interrupted => Self::Interrupted,
            Errno::BadDescriptor | Errno::Invalid => Self::InvalidInput,
            Errno::IllegalByteSequence => Self::InvalidData,
            Errno::IsDirectory => Self::IsADirectory,
            Errno::TooManyLinks => Self::TooManyLinks,
            Errno::NameTooLong => Self::InvalidFilename,
            Errno::NoEntry => Self::NotFound,
            Errno::InsufficientMemory => Self::OutOfMemory,
            Errno::InsufficientSpace => Self::StorageFull,
            Errno::NotDirectory => Self::NotADirectory,
            Errno::NotEmpty => Self::DirectoryNotEmpty,
            Errno::Unsupported => Self::Unsupported,
            Errno::Pipe => Self::BrokenPipe,
            Errno::ReadOnly => Self::ReadOnlyFilesystem,
            Errno::InvalidSeek => Self::NotSeekable,
            Errno::TextFileBusy => Self::ExecutableFileBusy,
            Errno::CrossDevice => Self::CrossesDevices,
            Errno::Already
            | Errno::InProgress
            | Errno::Io
            | Errno::Loop
            | Errno::MessageSize
            | Errno::NoDevice
            | Errno::NoLock
            | Errno::NotRecoverable
            | Errno::NoTty
            | Errno::NoSuchDevice
            | Errno::Overflow
            | Errno::TooManyFiles => Self::Other,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Access => "permission denied",
            Self::WouldBlock => "resource temporarily unavailable",
            Self::Already => "operation already in progress",
            Self::BadDescriptor => "bad descriptor",
            Self::Busy => "device or resource busy",
            Self::Deadlock => "resource deadlock would occur",
            Self::Quota => "quota exceeded",
            Self::Exist => "file exists",
            Self::FileTooLarge => "file too large",
            Self::IllegalByteSequence => "illegal byte sequence",
            Self::InProgress => "operation in progress",
            Self::Interrupted => "interrupted",
            Self::Invalid => "invalid argument",
            Self::Io => "input/output error",
            Self::IsDirectory => "is a directory",
            Self::Loop => "too many levels of symbolic links",
            Self::TooManyLinks => "too many links",
            Self::MessageSize => "message too long",
            Self::NameTooLong => "file name too long",
            Self::NoDevice => "no such device",
            Self::NoEntry => "no such file or directory",
            Self::NoLock => "no locks available",
            Self::InsufficientMemory => "not enough memory",
            Self::InsufficientSpace => "no space left on device",
            Self::NotDirectory => "not a directory",
            Self::NotEmpty => "directory not empty",
            Self::NotRecoverable => "state not recoverable",
            Self::Unsupported => "not supported",
            Self::NoTty => "not a terminal",
            Self::NoSuchDevice => "no such device or address",
            Self::Overflow => "value too large",
            Self::NotPermitted => "operation not permitted",
            Self::Pipe => "broken pipe",
            Self::ReadOnly => "read-only file system",
            Self::InvalidSeek => "illegal seek",
            Self::TextFileBusy => "text file busy",
            Self::TooManyFiles => "too many open files",
            Self::CrossDevice => "cross-device link",
        })
    }
}
