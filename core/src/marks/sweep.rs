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
//! Of a directory that waits there is its name and nothing else. Of the directories on the way
//! down [`MOST_OPEN`] are open, most of them near its end. One that was closed is opened anew,
//! from the nearest above it that is open, when the walk comes back to it for another child.
//!
//! So a tree of up to [`MOST_OPEN`] levels takes one open for each directory. In a deeper one the
//! walk has to come back a long way before it meets a long gap between open directories, and has
//! to go down a long way before it makes one. At 100,000 levels, each with a child to come back
//! for, that is fewer than five opens for each directory.

use super::kernel;
use super::oci::{self, MarkName, Spelled};
use crate::error::Result;
use crate::meta::Kind;
use crate::name::Name;
use crate::plain::Plain;
use std::ops::ControlFlow;

/// Directories that are open at once, the one that is listed included. Few, since the embedder may
/// have little room for descriptors.
const MOST_OPEN: usize = 16;

/// Reduces the whole upper to the steady state. A sweep that is cut itself can be run again.
///
/// # Errors
/// `unsupported` if the upper holds marks of the kernel's form; those of the tree.
pub(super) fn sweep<P: Plain>(plain: &P, root: P::Dir) -> Result<()> {
    let mut walk = Walk {
        plain,
        names: Vec::new(),
        starts: Vec::new(),
        open: Vec::new(),
    };
    walk.visit(root)?;
    while let Some(&start) = walk.starts.last() {
        if walk.names.len() == start {
            walk.leave();
        } else if !walk.enter_last()? {
            // It was removed meanwhile.
            walk.drop_name();
        }
    }
    Ok(())
}

/// Where the sweep stands.
struct Walk<'a, P: Plain> {
    plain: &'a P,
    /// Directories to visit, and at each level but the last the one that leads down. After each
    /// name stands a NUL, which no name has.
    names: Vec<u8>,
    /// Where the names of each level begin, from the root down. The end of those before is the
    /// name of the level's own directory.
    starts: Vec<usize>,
    /// Levels whose directories are open, the root first.
    open: Vec<(usize, P::Dir)>,
}

impl<P: Plain> Walk<'_, P> {
    /// Repairs a directory, and makes it the last level.
    fn visit(&mut self, dir: P::Dir) -> Result<()> {
        self.starts.push(self.names.len());
        repair(self.plain, &dir, &mut self.names)?;
        self.keep(self.starts.len() - 1, dir);
        Ok(())
    }

    /// Goes back up from the last level.
    fn leave(&mut self) {
        self.starts.pop();
        self.open.pop_if(|(level, _)| *level == self.starts.len());
        self.drop_name();
    }

    fn drop_name(&mut self) {
        self.names.truncate(last_start(&self.names));
    }

    /// Visits the directory of the last name; returns whether it was there.
    fn enter_last(&mut self) -> Result<bool> {
        // Down to the last level, by the names of the levels, and then by the last name.
        loop {
            let Some((level, dir)) = self.open.last() else {
                return Ok(false); // The root is open until it is left.
            };
            let next = level + 1;
            let end = self.starts.get(next).copied().unwrap_or(self.names.len());
            let start = last_start(&self.names[..end]);
            let name = Name::checked(&self.names[start..end - 1]);
            let opened = match self.plain.open_dir(dir, name) {
                Ok(opened) => opened,
                Err(error) if error.is_not_found() => {
                    // Whatever is below went with it.
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

    /// Keeps the directory of a level open, below all that are. If those are too many, closes the
    /// one that leaves the shortest gap for its distance from this.
    fn keep(&mut self, level: usize, dir: P::Dir) {
        self.open.push((level, dir));
        if self.open.len() <= MOST_OPEN {
            return;
        }
        let gap = |index: usize| {
            let at = |index: usize| self.open[index].0 as u64;
            ((at(index + 1) - at(index - 1)) << 16) / (level as u64 - at(index))
        };
        if let Some(index) = (1..MOST_OPEN).min_by_key(|index| gap(*index)) {
            self.open.remove(index);
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
fn repair<P: Plain>(plain: &P, dir: &P::Dir, dirs: &mut Vec<u8>) -> Result<()> {
    // Only names with an entry and a mark are kept: a change during the listing could make it
    // miss others.
    let mut doubled = Vec::new();
    let mut looked = Ok(());
    plain.list(dir, &mut |name, kind, _| {
        let mut look = || -> Result<()> {
            match oci::spelled(name) {
                Spelled::Entry if kind == Kind::Dir => {
                    dirs.extend_from_slice(name.as_bytes());
                    dirs.push(0);
                }
                Spelled::Entry if kind == Kind::CharDevice => {
                    if kernel::is_mark(&plain.meta(dir, Some(name))?) {
                        return Err(kernel::foreign_upper(plain, name));
                    }
                }
                Spelled::Mark(hidden) => {
                    if oci::exists(plain, dir, hidden)? {
                        doubled.push(hidden.to_owned());
                    }
                }
                Spelled::Broken => return Err(oci::refused(plain, name)),
                Spelled::Entry | Spelled::Opaque | Spelled::Reserved => {}
            }
            Ok(())
        };
        looked = look();
        match looked {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    looked?;
    for name in doubled {
        reduce(plain, dir, name.as_name())?;
    }
    Ok(())
}

fn reduce<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>) -> Result<()> {
    let meta = match plain.meta(dir, Some(name)) {
        Ok(meta) => meta,
        // The steady state of a removed name.
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    if meta.kind == Kind::Dir {
        oci::make(plain, &plain.open_dir(dir, name)?, oci::opaque())?;
    }
    oci::clear(plain, dir, MarkName::of(name)?.name())
}
