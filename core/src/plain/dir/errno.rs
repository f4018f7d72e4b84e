//! Conversion of the system's error numbers to the engine's codes, for layers and live mounts.

use crate::error::{Errno, Error};
use crate::log;
use rustix::io::Errno as Os;
use std::io;

/// Turns an error number of the system into an [`Error`].
///
/// Ordinary answers (a missing name, a directory where a file was expected) become bare codes and allocate
/// nothing, unless a log wants them. Faults of the storage (a full disk, a failing device) keep the system's
/// message, so that the embedder's log can name the layer.
pub(crate) fn from_errno(os: Os) -> Error {
    let (errno, fault) = to_errno(os);
    // A missing name is explained by callers that know the name and the layers.
    if fault || (log::is_on() && os != Os::NOENT) {
        Error::with_source(Error::from(errno), io::Error::from(os))
    } else {
        errno.into()
    }
}

/// For errors that a host gets from other sources, such as its standard streams.
impl From<&io::Error> for Errno {
    fn from(error: &io::Error) -> Self {
        if let Some(os) = Os::from_io_error(error) {
            return to_errno(os).0;
        }
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoEntry,
            io::ErrorKind::PermissionDenied => Self::NotPermitted,
            io::ErrorKind::AlreadyExists => Self::Exist,
            io::ErrorKind::InvalidInput => Self::Invalid,
            _ => Self::Io,
        }
    }
}

/// The code, and whether it is a fault of the storage.
///
/// Stock wasmtime returns `io` for EROFS, EXDEV, EDQUOT, ETXTBSY, EAGAIN, ENODEV, ENXIO,
/// EDEADLK and ENOLCK, though the WIT has a code for each: here each gets its own code.
fn to_errno(os: Os) -> (Errno, bool) {
    // EWOULDBLOCK is EAGAIN, EDEADLOCK is EDEADLK and ENOTSUP is EOPNOTSUPP on Linux.
    match os {
        Os::NOENT => (Errno::NoEntry, false),
        Os::EXIST => (Errno::Exist, false),
        Os::NOTDIR => (Errno::NotDirectory, false),
        Os::ISDIR => (Errno::IsDirectory, false),
        Os::NOTEMPTY => (Errno::NotEmpty, false),
        Os::LOOP => (Errno::Loop, false),
        Os::NAMETOOLONG => (Errno::NameTooLong, false),
        Os::INVAL => (Errno::Invalid, false),
        Os::BADF => (Errno::BadDescriptor, false),
        Os::XDEV => (Errno::CrossDevice, false),
        Os::FBIG => (Errno::FileTooLarge, false),
        Os::SPIPE => (Errno::InvalidSeek, false),
        Os::INTR => (Errno::Interrupted, false),
        Os::AGAIN => (Errno::WouldBlock, false),
        Os::OPNOTSUPP | Os::NOSYS => (Errno::Unsupported, false),
        Os::ILSEQ => (Errno::IllegalByteSequence, false),
        Os::OVERFLOW => (Errno::Overflow, false),
        Os::MLINK => (Errno::TooManyLinks, false),
        Os::PERM => (Errno::NotPermitted, false),
        Os::ACCESS => (Errno::Access, false),
        Os::ROFS => (Errno::ReadOnly, false),

        Os::BUSY => (Errno::Busy, true),
        Os::TXTBSY => (Errno::TextFileBusy, true),
        Os::NOSPC => (Errno::InsufficientSpace, true),
        Os::DQUOT => (Errno::Quota, true),
        Os::NOMEM => (Errno::InsufficientMemory, true),
        Os::NODEV => (Errno::NoDevice, true),
        Os::NXIO => (Errno::NoSuchDevice, true),
        Os::DEADLK => (Errno::Deadlock, true),
        Os::NOLCK => (Errno::NoLock, true),
        Os::ALREADY => (Errno::Already, true),
        Os::INPROGRESS => (Errno::InProgress, true),
        Os::MSGSIZE => (Errno::MessageSize, true),
        Os::NOTRECOVERABLE => (Errno::NotRecoverable, true),
        Os::NOTTY => (Errno::NoTty, true),
        Os::PIPE => (Errno::Pipe, true),
        Os::MFILE | Os::NFILE => (Errno::TooManyFiles, true),
        // EIO, and numbers that WASI has no code for, such as ESTALE and ENOTCONN of a network
        // filesystem. rustix's `Errno` is an integer, so the match needs this arm.
        _ => (Errno::Io, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_with_a_code_in_the_wit_get_that_code() {
        let expected = [
            (Os::ROFS, Errno::ReadOnly),
            (Os::XDEV, Errno::CrossDevice),
            (Os::DQUOT, Errno::Quota),
            (Os::TXTBSY, Errno::TextFileBusy),
            (Os::AGAIN, Errno::WouldBlock),
            (Os::WOULDBLOCK, Errno::WouldBlock),
            (Os::NODEV, Errno::NoDevice),
            (Os::NXIO, Errno::NoSuchDevice),
            (Os::DEADLK, Errno::Deadlock),
            (Os::NOLCK, Errno::NoLock),
            (Os::NOTSUP, Errno::Unsupported),
            (Os::OPNOTSUPP, Errno::Unsupported),
            (Os::NOSYS, Errno::Unsupported),
            (Os::IO, Errno::Io),
            (Os::MFILE, Errno::TooManyFiles),
            (Os::NFILE, Errno::TooManyFiles),
            (Os::STALE, Errno::Io),
        ];
        for (os, errno) in expected {
            assert_eq!(from_errno(os).errno(), errno, "{os:?}");
        }
    }

    #[test]
    fn faults_keep_the_systems_message_and_ordinary_answers_do_not() {
        use std::error::Error as _;
        assert!(from_errno(Os::NOSPC).source().is_some());
        assert!(from_errno(Os::IO).source().is_some());
        assert!(from_errno(Os::NOENT).source().is_none());
    }
}
