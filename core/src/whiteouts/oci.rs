//! The whiteout format of the OCI image spec: files beside the hidden name and inside opaque directories.

use super::grant;
use crate::error::{Errno, Error, Result, is_there};
use crate::layer::Found;
use crate::log::{Escaped, Warning};
use crate::meta::SetTimes;
use crate::name::{NAME_MAX, Name};
use crate::plain::Plain;

/// The prefix of every reserved name.
const PREFIX: &[u8] = b".wh.";
/// The prefix of reserved names that hide nothing: aufs and its successors store their own state under
/// such names.
const SPECIAL: &[u8] = b".wh..wh.";
/// The name of the opaque whiteout inside an opaque directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The name of the opaque whiteout inside an opaque directory.
pub(super) fn opaque_name() -> Name<'static> {
    Name::checked(OPAQUE)
}

/// The meaning of a name on disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NameKind<'a> {
    /// An entry of the layer.
    Entry,
    /// The whiteout of this name.
    Whiteout(Name<'a>),
    /// The opaque whiteout of its directory.
    Opaque,
    /// State of some tool: neither shown nor hiding anything.
    Reserved,
    /// A whiteout that would hide a directory's own `.` or `..`. No tool writes one, and some
    /// delete the whole tree when they read one.
    Broken,
}

pub(crate) fn classify(name: Name<'_>) -> NameKind<'_> {
    let bytes = name.as_bytes();
    let Some(hidden) = bytes.strip_prefix(PREFIX) else {
        return NameKind::Entry;
    };
    if bytes == OPAQUE {
        NameKind::Opaque
    } else if bytes.starts_with(SPECIAL) {
        NameKind::Reserved
    } else {
        match Name::new(hidden) {
            Ok(hidden) => NameKind::Whiteout(hidden),
            Err(_) => NameKind::Broken,
        }
    }
}

/// Whether the name is reserved for whiteouts, so that no guest may use it.
pub(super) fn is_reserved(name: Name<'_>) -> bool {
    name.is_reserved()
}

/// Checks a name for a lookup: a reserved name does not exist.
pub(super) fn check_lookup(name: Name<'_>) -> Result<()> {
    if is_reserved(name) {
        return Err(Errno::NoEntry.into());
    }
    Ok(())
}

/// Checks a name for creation: a reserved name cannot be created.
pub(super) fn check_creation(name: Name<'_>) -> Result<()> {
    if is_reserved(name) {
        return Err(Errno::NotPermitted.into());
    }
    Ok(())
}

/// The name of the whiteout that hides a name.
pub(super) struct WhiteoutName {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl WhiteoutName {
    /// The name of the whiteout of `name`.
    ///
    /// # Errors
    /// `name-too-long` if `name` is longer than 251 bytes, so that no filesystem could store the whiteout.
    pub(super) fn of(name: Name<'_>) -> Result<Self> {
        let name = name.as_bytes();
        let length = PREFIX.len() + name.len();
        let mut bytes = [0; NAME_MAX];
        let Some(whole) = bytes.get_mut(..length) else {
            return Err(Error::because(Errno::NameTooLong, || {
                format!(
                    "the whiteout of `{}` would have a name of over 255 bytes",
                    Escaped::new(name)
                )
            }));
        };
        let (prefix, rest) = whole.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX);
        rest.copy_from_slice(name);
        Ok(Self { bytes, length })
    }

    pub(super) fn name(&self) -> Name<'_> {
        Name::checked(&self.bytes[..self.length])
    }
}

/// Whether `name` has a whiteout beside it. A name that is too long for a whiteout has none.
pub(super) fn has_whiteout<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>) -> Result<bool> {
    match WhiteoutName::of(name) {
        Ok(whiteout) => exists(plain, dir, whiteout.name()),
        Err(_) => Ok(false),
    }
}

/// The result of `find` for a name that has no entry.
pub(super) fn hidden_or_absent<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>) -> Result<Found> {
    Ok(if has_whiteout(plain, dir, name)? {
        Found::Hidden
    } else {
        Found::Absent
    })
}

/// Whether the directory `name` is opaque.
pub(super) fn is_opaque<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>) -> Result<bool> {
    if has_whiteout(plain, dir, name)? {
        return Ok(true);
    }
    unsearchable_is_opaque(plain.has_inside(dir, name, opaque_name()))
}

/// Whether a directory contains an opaque whiteout, or may not be searched.
pub(super) fn has_opaque_whiteout<P: Plain>(plain: &P, dir: &P::Dir) -> Result<bool> {
    unsearchable_is_opaque(exists(plain, dir, opaque_name()))
}

/// Treats a directory without search permission as opaque: no lookup can pass it to the layers below, which
/// is what opaque means. An example is a directory of a root filesystem that only root may search, on which
/// other users can still call `stat`. The same holds for a mount point, which is not entered.
fn unsearchable_is_opaque(has_opaque_whiteout: Result<bool>) -> Result<bool> {
    match has_opaque_whiteout {
        Err(error) if matches!(error.errno(), Errno::Access | Errno::CrossDevice) => Ok(true),
        other => other,
    }
}

/// Whether the name exists, of whatever type.
pub(super) fn exists<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>) -> Result<bool> {
    is_there(plain.meta(dir, Some(name)))
}

/// Creates a whiteout, an empty file. Returns false if it exists already.
pub(super) fn create_whiteout<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    whiteout: Name<'_>,
) -> Result<bool> {
    match plain.create_empty(dir, whiteout, 0o644) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Errno::Exist => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates the opaque whiteout in a directory without changing its times. Returns false if it exists
/// already.
pub(super) fn make_opaque<P: Plain>(plain: &P, dir: &P::Dir) -> Result<bool> {
    if exists(plain, dir, opaque_name())? {
        return Ok(false);
    }
    let times = SetTimes::of(&plain.meta(dir, None)?);
    let is_new =
        grant::with_owner_write(plain, dir, || create_whiteout(plain, dir, opaque_name()))?;
    if let Err(error) = plain.set_times(dir, None, times) {
        // The directory is opaque already: a failure to restore its time must not fail the call.
        tracing::warn!(layer = %plain.label(), %error, "cannot restore the time of a directory");
    }
    Ok(is_new)
}

/// Removes a whiteout, if it exists.
pub(super) fn remove_whiteout<P: Plain>(plain: &P, dir: &P::Dir, whiteout: Name<'_>) -> Result<()> {
    match grant::with_owner_write(plain, dir, || plain.remove_file(dir, whiteout)) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// The error that refuses a layer for a [`NameKind::Broken`] name.
pub(super) fn malformed<P: Plain>(plain: &P, name: Name<'_>) -> Error {
    Error::new(
        Errno::Unsupported,
        format_args!(
            "the whiteout `{name}` would hide a directory's own `.` or `..`: no tool writes one, so the \
             layer is broken"
        ),
    )
    .with_remedy(|| "remove the file, or create the layer again")
    .with_warning(Warning::BrokenWhiteout)
    .in_layer(|| plain.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &str) -> NameKind<'_> {
        classify(Name::new(bytes.as_bytes()).unwrap())
    }

    #[test]
    fn names_are_read_as_the_image_spec_defines() {
        let name = |bytes: &'static str| Name::new(bytes.as_bytes()).unwrap();
        assert_eq!(read("a"), NameKind::Entry);
        assert_eq!(read(".wh"), NameKind::Entry);
        assert_eq!(read(".why"), NameKind::Entry);
        assert_eq!(read(".wh.a"), NameKind::Whiteout(name("a")));
        assert_eq!(read(".wh..a"), NameKind::Whiteout(name(".a")));
        assert_eq!(read(".wh....."), NameKind::Whiteout(name("....")));
        assert_eq!(read(".wh..opq"), NameKind::Whiteout(name(".opq")));
        assert_eq!(read(".wh..wh..opq"), NameKind::Opaque);
        assert_eq!(read(".wh..wh.work"), NameKind::Reserved);
        assert_eq!(read(".wh..wh..opq2"), NameKind::Reserved);
        for broken in [".wh.", ".wh..", ".wh..."] {
            assert_eq!(read(broken), NameKind::Broken, "{broken}");
        }
    }

    #[test]
    fn the_longest_name_with_a_whiteout_has_251_bytes() {
        let bytes = [b'x'; 252];
        let long = Name::new(&bytes[..251]).unwrap();
        let whiteout = WhiteoutName::of(long).ok().unwrap();
        assert_eq!(whiteout.name().as_bytes().len(), 255);
        assert_eq!(classify(whiteout.name()), NameKind::Whiteout(long));
        let error = WhiteoutName::of(Name::new(&bytes).unwrap()).err().unwrap();
        assert_eq!(error.errno(), Errno::NameTooLong);
    }
}
