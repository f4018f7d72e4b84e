//! Removal of a directory with everything in it.

use crate::error::Result;
use crate::meta::Kind;
use crate::name::Name;
use crate::plain::Plain;
use crate::walk::{self, Visitor};
use std::ops::ControlFlow;

/// The mode bits that the owner of a directory needs to empty it.
pub(super) const OWNER_ALL: u32 = 0o700;

/// A walk that removes everything in a directory.
struct Removal<'a, P: Plain> {
    plain: &'a P,
}

/// Removes a directory and everything in it.
pub(super) fn remove<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>) -> Result<()> {
    let root = plain.open_dir(dir, name)?;
    walk::walk(&mut Removal { plain }, root)?;
    plain.remove_dir(dir, name)
}

impl<P: Plain> Visitor for Removal<'_, P> {
    type Dir = P::Dir;
    const LEAVES: bool = true;

    fn open(&self, dir: &P::Dir, name: Name<'_>) -> Result<Option<P::Dir>> {
        self.plain.open_dir(dir, name).map(Some)
    }

    fn enter(&mut self, dir: &P::Dir, names: &mut Vec<u8>) -> Result<()> {
        let plain = self.plain;
        if P::HAS_MODES
            && let Some(mode) = plain.meta(dir, None)?.mode
            && mode & OWNER_ALL != OWNER_ALL
        {
            plain.set_mode(dir, None, mode | OWNER_ALL)?;
        }
        let start = names.len();
        loop {
            names.truncate(start);
            let mut is_done = true;
            each(plain, dir, |name, kind| {
                if kind == Kind::Dir {
                    walk::push_name(names, name);
                    return Ok(());
                }
                is_done = false;
                plain.remove_file(dir, name)
            })?;
            // A listing may miss names if the directory is changed meanwhile.
            if is_done {
                return Ok(());
            }
        }
    }

    fn leave(&mut self, dir: &P::Dir, name: Name<'_>) -> Result<()> {
        self.plain.remove_dir(dir, name)
    }
}

/// Calls `act` with each name in a directory, until it fails.
pub(super) fn each<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    mut act: impl FnMut(Name<'_>, Kind) -> Result<()>,
) -> Result<()> {
    let mut done = Ok(());
    plain.list(dir, &mut |name, kind, _| {
        done = act(name, kind);
        if done.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    done
}
