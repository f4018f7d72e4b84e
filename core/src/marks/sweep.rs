//! Mending an upper whose last mount was cut.
//!
//! A cut leaves an entry and a mark of one name at worst. To this program that reads as it
//! should; to others it does not, so it is reduced to the steady state: beside a file the mark
//! goes; beside a directory it goes once the directory has the mark inside.

use super::kernel;
use super::oci::{self, MarkName, Spelled};
use crate::error::{Errno, Result};
use crate::meta::Kind;
use crate::name::NameBuf;
use crate::plain::Plain;
use std::ops::ControlFlow;

/// Reduces the whole upper to the steady state. A sweep that is cut itself can be run again.
///
/// # Errors
/// `unsupported` if the upper holds marks of the kernel's form; those of the tree.
pub(super) fn sweep<P: Plain>(plain: &P, root: P::Dir, is_unordered: bool) -> Result<()> {
    // Directories yet to do, by the names that lead there: handles would be as many descriptors.
    let mut pending = Vec::new();
    directory(plain, &root, &[], &mut pending, is_unordered)?;
    while let Some(path) = pending.pop() {
        let Some(dir) = open(plain, &path)? else {
            continue;
        };
        directory(plain, &dir, &path, &mut pending, is_unordered)?;
    }
    Ok(())
}

fn open<P: Plain>(plain: &P, path: &[NameBuf]) -> Result<Option<P::Dir>> {
    let mut dir = plain.root()?;
    for name in path {
        dir = match plain.open_dir(&dir, name.as_name()) {
            Ok(next) => next,
            // A mount point holds nothing of the upper.
            Err(error) if error.is_not_found() || error.errno() == Errno::CrossDevice => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
    }
    Ok(Some(dir))
}

fn directory<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    path: &[NameBuf],
    pending: &mut Vec<Vec<NameBuf>>,
    is_unordered: bool,
) -> Result<()> {
    let mut marked = Vec::new();
    let mut devices = Vec::new();
    let mut broken = None;
    plain.list(dir, &mut |name, kind, _| {
        match oci::spelled(name) {
            Spelled::Entry if kind == Kind::Dir => {
                let mut below = path.to_vec();
                below.push(name.to_owned());
                pending.push(below);
            }
            Spelled::Entry if kind == Kind::CharDevice => devices.push(name.to_owned()),
            Spelled::Entry | Spelled::Opaque | Spelled::Reserved => {}
            Spelled::Mark(hidden) => marked.push(hidden.to_owned()),
            Spelled::Broken => {
                broken = Some(name.to_owned());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    if let Some(name) = broken {
        return Err(oci::refused(plain, name.as_name()));
    }
    for device in devices {
        if kernel::is_mark(&plain.meta(dir, Some(device.as_name()))?) {
            return Err(kernel::foreign_upper(plain, device.as_name()));
        }
    }
    let mut both = Vec::new();
    for name in marked {
        match plain.meta(dir, Some(name.as_name())) {
            Ok(meta) => both.push((name, meta.kind)),
            // The steady state of a removed name.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    if both.is_empty() {
        return Ok(());
    }
    // The process was cut, not the machine: an entry may not be on disk yet.
    let sync = |dir: &P::Dir| -> Result<()> {
        if is_unordered {
            plain.sync_dir(dir)?;
        }
        Ok(())
    };
    sync(dir)?;
    for (name, kind) in both {
        if kind == Kind::Dir {
            let inside = match plain.open_dir(dir, name.as_name()) {
                Ok(inside) => inside,
                // A mount point keeps its mark, until nothing is mounted there.
                Err(error) if error.errno() == Errno::CrossDevice => continue,
                Err(error) => return Err(error),
            };
            oci::make(plain, &inside, oci::opaque())?;
            sync(&inside)?;
        }
        oci::clear(plain, dir, MarkName::of(name.as_name())?.name())?;
    }
    // The work folder goes next, and with it what tells the next mount to look here.
    sync(dir)
}
