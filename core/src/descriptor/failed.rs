//! The log line of a call that failed, for every method of [`Dir`] and [`File`].
//!
//! A layer knows why *it* refused, and says so in the error ([`Error::because`]). That nothing has a name
//! is no refusal: there, the path is looked at a second time, slowly, once it is known that a log wants
//! the reason.

use super::{Dir, DirRepr, File, FileRepr};
use crate::at_once;
use crate::error::{Errno, Error};
use crate::log::{self, Failed, Warned};

/// What a call named besides its directory.
pub(super) enum Named<'a> {
    /// Nothing: the call is about the directory itself.
    Nothing,
    /// A path, and whether a symbolic link in the last place is followed.
    Path(&'a str, bool),
    /// Two paths, the second one from another directory.
    Two(&'a str, &'a Dir, &'a str),
}

/// Whether a log may want a line of `error`. What concerns every guest has words, whatever the level.
#[inline]
pub(super) fn is_wanted(error: &Error) -> bool {
    cfg!(feature = "native") && (error.has_details() || log::is_on()) && !at_once::gave_up()
}

impl Dir {
    /// Writes the line of a call on this directory that failed.
    #[cold]
    #[inline(never)]
    pub(super) fn log_failure(&self, call: &'static str, named: Named<'_>, error: &mut Error) {
        if !log::is_on() && error.warning().is_none() {
            return;
        }
        let (path, to) = match &named {
            Named::Nothing => (self.path_to(None), None),
            Named::Path(path, _) => (self.path_to(Some(path)), None),
            Named::Two(path, dir, to) => (self.path_to(Some(path)), Some(dir.path_to(Some(to)))),
        };
        let explained = self.explained(&named, error);
        if at_once::gave_up() {
            // Why, is found out where it may take a while; the call is made again there.
            return;
        }
        let error_logged = explained.as_ref().unwrap_or(error);
        let layer = self.layer();
        let failed = Failed {
            call,
            path: Some(&path),
            to: to.as_deref(),
            layer: layer.as_deref(),
        };
        failed.write(error_logged, self.warned());
        error.set_logged();
    }

    /// The error of a call that a host refuses before it reaches this directory; a log has it.
    #[doc(hidden)]
    #[cold]
    pub fn refused(&self, call: &'static str, code: Errno, reason: &str) -> Error {
        let mut error = Error::because(code, || reason);
        if is_wanted(&error) {
            self.log_failure(call, Named::Nothing, &mut error);
        }
        error
    }

    /// What a log calls `path` in this directory, or the directory itself.
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

    /// The layer of all that is in the directory, where there is only one.
    fn layer(&self) -> Option<String> {
        match &self.repr {
            DirRepr::Overlay(_) => None,
            #[cfg(feature = "dir")]
            DirRepr::Live(dir) => dir.host_path(),
        }
    }

    /// What the mount has warned of.
    fn warned(&self) -> Option<&Warned> {
        match &self.repr {
            DirRepr::Overlay(dir) => Some(dir.warned()),
            #[cfg(feature = "dir")]
            DirRepr::Live(_) => None,
        }
    }

    /// The error of a second look at what was named, where the first one says no more than that
    /// something is not there.
    fn explained(&self, named: &Named<'_>, error: &Error) -> Option<Error> {
        if error.errno() != Errno::NoEntry || error.has_reason() {
            return None;
        }
        let explain = |dir: &Self, path: Option<(&str, bool)>| dir.as_overlay()?.why_missing(path);
        match named {
            Named::Nothing => explain(self, None),
            Named::Path(path, follow) => explain(self, Some((path, *follow))),
            Named::Two(path, dir, to) => {
                explain(self, Some((path, false))).or_else(|| explain(dir, Some((to, false))))
            }
        }
    }
}

impl File {
    /// The error of a call that a host refuses before it reaches this file; a log has it.
    #[doc(hidden)]
    #[cold]
    pub fn refused(&self, call: &'static str, code: Errno, reason: &str) -> Error {
        let mut error = Error::because(code, || reason);
        if is_wanted(&error) {
            self.log_failure(call, Named::Nothing, &mut error);
        }
        error
    }

    /// What a log calls the file; none once it has no name.
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

    /// What the mount has warned of.
    fn warned(&self) -> Option<&Warned> {
        match &self.0 {
            FileRepr::Overlay(file) => Some(file.warned()),
            #[cfg(feature = "dir")]
            FileRepr::Live(_) => None,
        }
    }

    /// Writes the line of a call on this file that failed.
    #[cold]
    #[inline(never)]
    pub(super) fn log_failure(&self, call: &'static str, named: Named<'_>, error: &mut Error) {
        if !log::is_on() && error.warning().is_none() {
            return;
        }
        debug_assert!(matches!(named, Named::Nothing), "a file has no paths in it");
        let (path, layer) = (self.path(), self.layer());
        let failed = Failed {
            call,
            path: path.as_deref(),
            to: None,
            layer: layer.as_deref(),
        };
        failed.write(error, self.warned());
        error.set_logged();
    }
}

/// The error of a call that needs a file to be open in another way.
pub(crate) fn not_open_for(what: &str) -> Error {
    Error::because(Errno::BadDescriptor, || {
        format!("the file was not opened for {what}")
    })
}

/// The error of a call with two paths of two mounts.
pub(crate) fn other_mount() -> Error {
    let reason = || "the two paths lie in different mounts";
    Error::because(Errno::CrossDevice, reason)
        .with_remedy(|| "copy the file, and remove the old one")
}
