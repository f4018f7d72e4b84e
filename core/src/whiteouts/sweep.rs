//! Repair of an upper whose last mount was interrupted by a crash.
//!
//! At worst, a crash leaves an entry and a whiteout of one name. This program reads them correctly,
//! but others do not, so the sweep reduces them to the steady state: it removes the whiteout beside a
//! file, and the whiteout beside a directory once the directory has an opaque whiteout inside.
//!
//! [`walk`](crate::walk) describes the cost.

use super::kernel;
use super::oci::{self, NameKind, WhiteoutName};
use crate::error::{Errno, Result};
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use crate::plain::Plain;
use crate::walk::{self, Visitor};
use std::ops::ControlFlow;

/// Reduces the whole upper to the steady state. An interrupted sweep can be run again.
///
/// Where the storage does not keep the order of changes (`is_unordered`), the sweep syncs each step before
/// one that relies on it. The upper must have been synced before.
///
/// # Errors
/// `unsupported` if the upper contains whiteouts in the kernel's format; any error returned by the tree.
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
            // A mount point contains nothing of the upper.
            Err(error) if error.is_not_found() || error.errno() == Errno::CrossDevice => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn enter(&mut self, dir: &P::Dir, names: &mut Vec<u8>) -> Result<()> {
        repair(self.plain, dir, names, self.is_unordered)
    }
}

/// Reduces the names in one directory to the steady state, and appends those of its directories to
/// `dirs`, each followed by a NUL.
fn repair<P: Plain>(plain: &P, dir: &P::Dir, dirs: &mut Vec<u8>, is_unordered: bool) -> Result<()> {
    // Collected first: a change during the listing could make it miss other names.
    let mut superfluous = Vec::new();
    let mut examined = Ok(());
    plain.list(dir, &mut |name, kind, _| {
        examined = examine(plain, dir, (name, kind), dirs, &mut superfluous);
        if examined.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    examined?;
    if superfluous.is_empty() {
        return Ok(());
    }
    for (name, kind) in superfluous {
        let name = name.as_name();
        if kind == Kind::Dir {
            let inside = match plain.open_dir(dir, name) {
                Ok(inside) => inside,
                // A mount point keeps its whiteout as long as it is mounted.
                Err(error) if error.errno() == Errno::CrossDevice => continue,
                Err(error) => return Err(error),
            };
            oci::create_whiteout(plain, &inside, oci::opaque_name())?;
            if is_unordered {
                plain.sync_dir(&inside)?;
            }
        }
        oci::remove_whiteout(plain, dir, WhiteoutName::of(name)?.name())?;
    }
    if is_unordered {
        // The work folder is removed next; without it, the next mount does not repair anything.
        plain.sync_dir(dir)?;
    }
    Ok(())
}

/// Examines a listed name: appends a directory to `dirs`, and for a whiteout whose hidden name has an entry,
/// that name and the kind of the entry to `superfluous`.
fn examine<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    (name, kind): (Name<'_>, Kind),
    dirs: &mut Vec<u8>,
    superfluous: &mut Vec<(NameBuf, Kind)>,
) -> Result<()> {
    match oci::classify(name) {
        NameKind::Entry if kind == Kind::Dir => {
            walk::push_name(dirs, name);
        }
        NameKind::Entry if kind == Kind::CharDevice => {
            if kernel::is_whiteout_device(&plain.meta(dir, Some(name))?) {
                return Err(kernel::foreign_upper(plain, name));
            }
        }
        NameKind::Whiteout(hidden) => match plain.meta(dir, Some(hidden)) {
            Ok(meta) => superfluous.push((hidden.to_owned(), meta.kind)),
            // The steady state of a removed name.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        },
        NameKind::Broken => return Err(oci::malformed(plain, name)),
        NameKind::Entry | NameKind::Opaque | NameKind::Reserved => {}
    }
    Ok(())
}
