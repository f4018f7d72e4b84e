//! Temporary write permission for the owner of a directory, so that internal steps succeed.
//!
//! The engine publishes a copy, and creates or removes a whiteout, even in a directory without the
//! owner's write bit: a plain directory would allow the guest's call, since that needs neither step.
//! The process owns the directories of an upper, so it sets the bit for the duration of the
//! step. After a crash in between, the bit stays set.

use crate::error::{Errno, Result};
use crate::name::Name;
use crate::plain::Plain;

const OWNER_WRITES: u32 = 0o200;

/// The mode to restore on a directory.
pub(super) struct Granted(u32);

/// Adds the owner's write bit to `name`, or to `dir` itself if `name` is `None`. Returns `None` if it is
/// set already.
pub(super) fn write<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Option<Name<'_>>,
) -> Result<Option<Granted>> {
    if !P::HAS_MODES {
        return Ok(None);
    }
    match plain.meta(dir, name)?.mode {
        Some(mode) if mode & OWNER_WRITES == 0 => {
            plain.set_mode(dir, name, mode | OWNER_WRITES)?;
            Ok(Some(Granted(mode)))
        }
        Some(_) | None => Ok(None),
    }
}

/// Restores the mode.
pub(super) fn take_back<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Option<Name<'_>>,
    granted: Option<Granted>,
) {
    if P::HAS_MODES
        && let Some(Granted(mode)) = granted
        && let Err(error) = plain.set_mode(dir, name, mode)
    {
        tracing::warn!(
            layer = %plain.label(), %error,
            "cannot restore the mode of a directory, to which a step added write permission"
        );
    }
}

/// Runs `step` in `dir`, and if it is denied, once more with write permission.
pub(super) fn within<P: Plain, T>(
    plain: &P,
    dir: &P::Dir,
    step: impl Fn() -> Result<T>,
) -> Result<T> {
    match step() {
        Err(error) if P::HAS_MODES && error.errno() == Errno::Access => {
            let Some(granted) = write(plain, dir, None)? else {
                return Err(error);
            };
            let done = step();
            take_back(plain, dir, None, Some(granted));
            done
        }
        done => done,
    }
}
