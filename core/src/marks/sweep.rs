//! Repair of an upper whose last mount was cut.
//!
//! A cut leaves an entry and a mark of one name at worst. To this program that reads as it
//! should; to others it does not, so it is reduced to the steady state: beside a file the mark
//! goes; beside a directory it goes once the directory has the mark inside.
//!
//! A guest chose the tree, so neither its depth nor its width may cost more than it has
//! directories. The walk goes depth first, with a stack of its own:
//!
//! ```text
//!   names    … b\0 c\0 │ e\0 f\0 │ h\0     c and f lie on the way down, h is visited next
//!   starts   0 ────────┘─────────┘
//! ```
//! Of a directory that waits there is its name and nothing else. Of the directories on the way down a
//! few are open: of the levels whose number is divisible by 2, but not by 4, the one that was entered
//! last, and likewise for each power of two. When the walk comes back to a directory that was closed,
//! it is opened anew, from the nearest above it that is open. That is `n` levels away only after the
//! walk went down, or came back up, by `n / 2` levels or more, so each level takes as many opens as it
//! has powers of two, at worst. At 100,000 levels, each with a child to come back for, it is fewer than
//! five opens and 18 open directories; in the trees of programs it is hardly more than one.

use super::kernel;
use super::oci::{self, MarkName, Spelled};
use crate::error::{Errno, Result};
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use crate::plain::Plain;
use std::ops::ControlFlow;

/// Reduces the whole upper to the steady state. A sweep that is cut itself can be run again.
///
/// Where the storage keeps no order (`is_unordered`), a crash of the machine keeps no step of the
/// sweep without those that it relies on. What was in the upper before has to be on disk already.
///
/// # Errors
/// `unsupported` if the upper holds marks of the kernel's form; those of the tree.
pub(super) fn sweep<P: Plain>(plain: &P, root: P::Dir, is_unordered: bool) -> Result<()> {
    let mut walk = Walk {
        plain,
        is_unordered,
        names: Vec::new(),
        starts: Vec::new(),
        open: Vec::new(),
    };
    walk.visit(root)?;
    while let Some(&start) = walk.starts.last() {
        if walk.names.len() == start {
            walk.starts.pop();
            walk.close(walk.starts.len());
        } else if walk.enter_last()? {
            continue;
        }
        // What the last name stands for was visited, or was removed meanwhile.
        walk.names.truncate(last_start(&walk.names));
    }
    Ok(())
}

/// Where the sweep stands.
struct Walk<'a, P: Plain> {
    plain: &'a P,
    is_unordered: bool,
    /// Directories to visit, and at each level but the last the one that leads down. After each
    /// name stands a NUL, which no name has.
    names: Vec<u8>,
    /// Where the names of each level begin, from the root down. The end of those before is the
    /// name of the level's own directory.
    starts: Vec<usize>,
    /// Open directories and their levels, from the root down.
    open: Vec<(usize, P::Dir)>,
}

impl<P: Plain> Walk<'_, P> {
    /// Repairs a directory, and makes it the last level.
    fn visit(&mut self, dir: P::Dir) -> Result<()> {
        let level = self.starts.len();
        self.starts.push(self.names.len());
        repair(self.plain, &dir, &mut self.names, self.is_unordered)?;
        self.keep(level, dir);
        Ok(())
    }

    /// Keeps the directory of a level open, which is below all that are.
    fn keep(&mut self, level: usize, dir: P::Dir) {
        self.close(level);
        self.open.push((level, dir));
    }

    /// Closes the directory of a level, or the one that is open in its place.
    fn close(&mut self, level: usize) {
        let zeros = level.trailing_zeros();
        let kept = |(level, _): &(usize, _)| level.trailing_zeros() == zeros;
        if let Some(index) = self.open.iter().position(kept) {
            self.open.remove(index);
        }
    }

    /// Visits the directory of the last name; returns whether it was there.
    fn enter_last(&mut self) -> Result<bool> {
        loop {
            // The root is open as long as there are names.
            let Some((level, dir)) = self.open.last() else {
                return Ok(false);
            };
            let next = level + 1;
            let end = self.starts.get(next).copied().unwrap_or(self.names.len());
            let start = last_start(&self.names[..end]);
            let name = Name::checked(&self.names[start..end - 1]);
            let opened = match self.plain.open_dir(dir, name) {
                Ok(opened) => opened,
                // A mount point holds nothing of the upper.
                Err(error) if error.is_not_found() || error.errno() == Errno::CrossDevice => {
                    // What is below a directory went with it.
                    self.names.truncate(end);
                    self.starts.truncate(next);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            if next == self.starts.len() {
                self.visit(opened)?;
                return Ok(true);
            }
            self.keep(next, opened);
        }
    }
}

/// Where the last of `names` begins.
fn last_start(names: &[u8]) -> usize {
    let before = names.split_last().map_or(names, |(_nul, before)| before);
    let nul = before.iter().rposition(|&byte| byte == 0);
    nul.map_or(0, |nul| nul + 1)
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
            dirs.extend_from_slice(name.as_bytes());
            dirs.extend_from_slice(b"\0");
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
