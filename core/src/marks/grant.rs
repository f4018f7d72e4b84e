//! What nobody is to notice is done even where nobody may write.
//!
//! A copy gets to its name, and a mark into or out of its directory, in directories without the
//! owner's write bit too: a plain directory would allow the guest's call, since it needs neither.
//! Our own user owns the directories of an upper; it grants itself the bit for the time of the
//! step. Cut in between, the bit stays set.

use crate::error::{Errno, Result};
use crate::name::Name;
use crate::plain::Plain;

const OWNER_WRITES: u32 = 0o200;

/// The mode that a directory has to go back to.
pub(super) struct Granted(u32);

/// Lets the owner write in `name`, or in `dir` itself where that is none; none where it may.
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

/// Takes it back.
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
            "cannot take back the permission to write in a directory, which a step needed"
        );
    }
}

/// Does `step` in `dir`, and if that is forbidden, once more with permission.
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
