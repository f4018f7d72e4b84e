//! Repair of an upper whose last mount was cut.
//!
//! A cut leaves an entry and a mark of one name at worst. To this program that reads as it
//! should; to others it does not, so it is reduced to the steady state: beside a file the mark
//! goes; beside a directory it goes once the directory has the mark inside.
//!
//! [`walk`](crate::walk) says what that costs.

use super::kernel;
use super::oci::{self, MarkName, Spelled};
use crate::error::{Errno, Result};
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use crate::plain::Plain;
use crate::walk::{self, Visitor};
use std::ops::ControlFlow;

/// Reduces the whole upper to the steady state. A sweep that is cut itself can be run again.
///
/// Where the storage keeps no order (`is_unordered`), a crash of the machine keeps no step of the
/// sweep without those that it relies on. What was in the upper before has to be on disk already.
///
/// # Errors
/// `unsupported` if the upper holds marks of the kernel's form; those of the tree.
pub(super) fn sweep<P: Plain>(plain: &P, root: P::Dir, is_unordered: bool) -> Result<()> {
    let mut sweep = Sweep {
        plain,
        is_unordered,
    };
    walk::walk(&mut sweep, root)
}

struct Sweep<'a, P: Plain> {
    plain: &'a P,
    is_unordered: bool,
}

impl<P: Plain> Visitor for Sweep<'_, P> {
    type Dir = P::Dir;
    const LEAVES: bool = false;

    fn open(&self, dir: &P::Dir, name: Name<'_>) -> Result<Option<P::Dir>> {
        match self.plain.open_dir(dir, name) {
            Ok(opened) => Ok(Some(opened)),
            // A mount point holds nothing of the upper.
            Err(error) if error.is_not_found() || error.errno() == Errno::CrossDevice => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn enter(&mut self, dir: &P::Dir, names: &mut Vec<u8>) -> Result<()> {
        repair(self.plain, dir, names, self.is_unordered)
    }
}

/// Reduces the names in one directory to the steady state, and adds those of its directories to
/// `dirs`, a NUL after each.
fn repair<P: Plain>(plain: &P, dir: &P::Dir, dirs: &mut Vec<u8>, is_unordered: bool) -> Result<()> {
    // Kept until all are listed: a change during the listing could make it miss others.
    let mut doubled = Vec::new();
    let mut looked = Ok(());
    plain.list(dir, &mut |name, kind, _| {
        looked = look(plain, dir, (name, kind), dirs, &mut doubled);
        if looked.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    looked?;
    if doubled.is_empty() {
        return Ok(());
    }
    for (name, kind) in doubled {
        let name = name.as_name();
        if kind == Kind::Dir {
            let inside = match plain.open_dir(dir, name) {
                Ok(inside) => inside,
                // A mount point keeps its mark, until nothing is mounted there.
                Err(error) if error.errno() == Errno::CrossDevice => continue,
                Err(error) => return Err(error),
            };
            oci::make(plain, &inside, oci::opaque())?;
            if is_unordered {
                plain.sync_dir(&inside)?;
            }
        }
        oci::clear(plain, dir, MarkName::of(name)?.name())?;
    }
    if is_unordered {
        // The work folder goes next, and with it what tells the next mount to look here.
        plain.sync_dir(dir)?;
    }
    Ok(())
}

/// Adds a listed name to `dirs` if it is a directory's, and the name that it hides to `doubled`, with
/// the kind of its entry, if there is one.
fn look<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    (name, kind): (Name<'_>, Kind),
    dirs: &mut Vec<u8>,
    doubled: &mut Vec<(NameBuf, Kind)>,
) -> Result<()> {
    match oci::spelled(name) {
        Spelled::Entry if kind == Kind::Dir => {
            walk::add(dirs, name);
        }
        Spelled::Entry if kind == Kind::CharDevice => {
            if kernel::is_mark(&plain.meta(dir, Some(name))?) {
                return Err(kernel::foreign_upper(plain, name));
            }
        }
        Spelled::Mark(hidden) => match plain.meta(dir, Some(hidden)) {
            Ok(meta) => doubled.push((hidden.to_owned(), meta.kind)),
            // The steady state of a removed name.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        },
        Spelled::Broken => return Err(oci::refused(plain, name)),
        Spelled::Entry | Spelled::Opaque | Spelled::Reserved => {}
    }
    Ok(())
}
