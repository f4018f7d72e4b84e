//! Temporary write permission for the owner of a directory, so that internal steps succeed.
//!
//! The engine publishes a copy, and creates or removes a whiteout, even in a directory without the
//! owner's write bit: a plain directory would allow the guest's call, since that needs neither step.
//! The process owns the directories of an upper, so it sets the bit for the duration of the
//! step. After a crash in between, the bit stays set.

use crate::error::{Errno, Result};
use crate::name::Name;
use crate::plain::Plain;

const OWNER_WRITE: u32 = 0o200;

/// The mode to restore on a directory.
pub(super) struct OldMode(u32);

/// Adds the owner's write bit to `name`, or to `dir` itself if `name` is `None`. Returns `None` if it is
/// set already.
pub(super) fn add_owner_write<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Option<Name<'_>>,
) -> Result<Option<OldMode>> {
    if !P::HAS_MODES {
        return Ok(None);
    }
    match plain.meta(dir, name)?.mode {
        Some(mode) if mode & OWNER_WRITE == 0 => {
            plain.set_mode(dir, name, mode | OWNER_WRITE)?;
            Ok(Some(OldMode(mode)))
        }
        Some(_) | None => Ok(None),
    }
}

/// Restores the mode.
pub(super) fn restore_mode<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Option<Name<'_>>,
    old: Option<OldMode>,
) {
    if P::HAS_MODES
        && let Some(OldMode(mode)) = old
        && let Err(error) = plain.set_mode(dir, name, mode)
    {
        tracing::warn!(
            layer = %plain.label(), %error,
            "cannot restore the mode of a directory, to which a step added write permission"
        );
    }
}

/// Runs `step` in `dir`, and if it is denied, once more with write permission.
pub(super) fn with_owner_write<P: Plain, T>(
    plain: &P,
    dir: &P::Dir,
    step: impl Fn() -> Result<T>,
) -> Result<T> {
    match step() {
        Err(error) if P::HAS_MODES && error.errno() == Errno::Access => {
            let Some(old) = add_owner_write(plain, dir, None)? else {
                return Err(error);
            };
            let done = step();
            restore_mode(plain, dir, None, Some(old));
            done
        }
        done => done,
    }
}
