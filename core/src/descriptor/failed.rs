//! Log lines of failed calls, for every method of [`Dir`] and [`File`].
//!
//! A layer that refuses a call puts the reason into the error ([`Error::because`]). A missing name is an
//! ordinary answer, for which no layer has a reason. There the engine resolves the path a second time,
//! slowly, and only if a log wants the reason.

use super::{Dir, DirRepr, File, FileRepr};
use crate::at_once;
use crate::error::{Errno, Error};
use crate::log::{self, FailedCall, Warned};

/// The paths that a call names besides its directory.
pub(super) enum Named<'a> {
    /// None: the call concerns the directory or file itself.
    Nothing,
    /// A path, and whether a symbolic link as its last component is followed.
    Path(&'a str, bool),
    /// Two paths, the second relative to another directory.
    TwoPaths(&'a str, &'a Dir, &'a str),
}

/// Whether a log may want a line for `error`. An error that concerns every guest has details at any
/// level.
#[inline]
pub(super) fn is_wanted(error: &Error) -> bool {
    cfg!(feature = "native") && (error.has_details() || log::is_on()) && !at_once::gave_up()
}

impl Dir {
    /// Writes the log line of a failed call on this directory.
    #[cold]
    #[inline(never)]
    pub(super) fn log_failure(&self, call: &'static str, named: Named<'_>, error: &mut Error) {
        if !log::is_on() && error.warning().is_none() {
            return;
        }
        let (path, to) = match &named {
            Named::Nothing => (self.path_to(None), None),
            Named::Path(path, _) => (self.path_to(Some(path)), None),
            Named::TwoPaths(path, dir, to) => {
                (self.path_to(Some(path)), Some(dir.path_to(Some(to))))
            }
        };
        let explained = self.explain(&named, error);
        if at_once::gave_up() {
            // The host repeats the call on a thread that may block, where the reason can be found.
            return;
        }
        let error_logged = explained.as_ref().unwrap_or(error);
        let layer = self.layer();
        let failed = FailedCall {
            call,
            path: Some(&path),
            to: to.as_deref(),
            layer: layer.as_deref(),
        };
        failed.write(error_logged, self.warned());
        error.set_logged();
    }

    /// The error of a call that the host refuses before it reaches this directory. It is logged like
    /// the engine's own.
    #[doc(hidden)]
    #[cold]
    pub fn refused(&self, call: &'static str, code: Errno, reason: &str) -> Error {
        let mut error = Error::because(code, || reason);
        if is_wanted(&error) {
            self.log_failure(call, Named::Nothing, &mut error);
        }
        error
    }

    /// The path that a log line shows for `path` in this directory, or for the directory itself.
    fn path_to(&self, path: Option<&str>) -> Vec<u8> {
        let mut whole = match &self.repr {
            DirRepr::Overlay(dir) => dir.path().unwrap_or_else(|| b"(removed)".to_vec()),
            #[cfg(feature = "dir")]
            DirRepr::Live(_) => Vec::new(),
        };
        match path {
            Some(path) if !whole.is_empty() && !path.starts_with('/') => {
                whole.push(b'/');
                whole.extend_from_slice(path.as_bytes());
            }
            Some(path) => whole = path.into(),
            None if whole.is_empty() => whole.push(b'.'),
            None => {}
        }
        whole
    }

    /// The layer that holds everything in the directory, if there is only one.
    fn layer(&self) -> Option<String> {
        match &self.repr {
            DirRepr::Overlay(_) => None,
            #[cfg(feature = "dir")]
            DirRepr::Live(dir) => dir.host_path(),
        }
    }

    /// The warnings that the mount has given.
    fn warned(&self) -> Option<&Warned> {
        match &self.repr {
            DirRepr::Overlay(dir) => Some(dir.warned()),
            #[cfg(feature = "dir")]
            DirRepr::Live(_) => None,
        }
    }

    /// Resolves the named paths again to find the reason of a bare `no-entry`. `None` for any other
    /// error, or if no reason is found.
    fn explain(&self, named: &Named<'_>, error: &Error) -> Option<Error> {
        if error.errno() != Errno::NoEntry || error.has_reason() {
            return None;
        }
        let explain = |dir: &Self, path: Option<(&str, bool)>| dir.as_overlay()?.why_missing(path);
        match named {
            Named::Nothing => explain(self, None),
            Named::Path(path, follow) => explain(self, Some((path, *follow))),
            Named::TwoPaths(path, dir, to) => {
                explain(self, Some((path, false))).or_else(|| explain(dir, Some((to, false))))
            }
        }
    }
}

impl File {
    /// The error of a call that the host refuses before it reaches this file. It is logged like the
    /// engine's own.
    #[doc(hidden)]
    #[cold]
    pub fn refused(&self, call: &'static str, code: Errno, reason: &str) -> Error {
        let mut error = Error::because(code, || reason);
        if is_wanted(&error) {
            self.log_failure(call, Named::Nothing, &mut error);
        }
        error
    }

    /// The path that a log line shows for the file. `None` once the file has no name.
    fn path(&self) -> Option<Vec<u8>> {
        match &self.0 {
            FileRepr::Overlay(file) => file.path(),
            #[cfg(feature = "dir")]
            FileRepr::Live(file) => file.host_path().map(String::into_bytes),
        }
    }

    fn layer(&self) -> Option<String> {
        match &self.0 {
            FileRepr::Overlay(file) => file.layer(),
            #[cfg(feature = "dir")]
            FileRepr::Live(_) => None,
        }
    }

    /// The warnings that the mount has given.
    fn warned(&self) -> Option<&Warned> {
        match &self.0 {
            FileRepr::Overlay(file) => Some(file.warned()),
            #[cfg(feature = "dir")]
            FileRepr::Live(_) => None,
        }
    }

    /// Writes the log line of a failed call on this file.
    #[cold]
    #[inline(never)]
    pub(super) fn log_failure(&self, call: &'static str, named: Named<'_>, error: &mut Error) {
        if !log::is_on() && error.warning().is_none() {
            return;
        }
        debug_assert!(matches!(named, Named::Nothing), "a file has no paths in it");
        let (path, layer) = (self.path(), self.layer());
        let failed = FailedCall {
            call,
            path: path.as_deref(),
            to: None,
            layer: layer.as_deref(),
        };
        failed.write(error, self.warned());
        error.set_logged();
    }
}
