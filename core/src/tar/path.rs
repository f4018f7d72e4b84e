//! Paths of entries.

use crate::error::{Errno, Error, Result};
use crate::name::NAME_MAX;

/// The names of a [checked](check_path) path. Empty names and `.` are left out.
pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
}

/// Checks that a path stays in the layer.
///
/// # Errors
/// `not-permitted` for `..`; `name-too-long` for a name that no filesystem could hold; `invalid` for a NUL.
pub(super) fn check_path(path: &[u8]) -> Result<()> {
    if path.split(|byte| *byte == b'/').any(|name| name == b"..") {
        return Err(Error::new(
            Errno::NotPermitted,
            "a path contains `..`, so it could lead out of the layer",
        ));
    }
    if components(path).any(|name| name.len() > NAME_MAX) {
        return Err(Error::new(
            Errno::NameTooLong,
            format_args!("a path has a name that is longer than {NAME_MAX} bytes"),
        ));
    }
    if path.contains(&0) {
        return Err(Error::new(Errno::Invalid, "a path contains a NUL"));
    }
    Ok(())
}

/// Splits off the last name of a path, which is empty for the root.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let mut path = path;
    loop {
        path = match path {
            [before @ .., b'/'] => before,
            [before @ .., b'/', b'.'] => before,
            b"." => b"",
            _ => break,
        };
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
