//! Depth-first walk over a tree of directories, in bounded stack and memory.
//!
//! A guest chose the tree, so neither its depth nor its width may cost more than it has
//! directories. The walk has a stack of its own:
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

use crate::error::{Errno, Result};
use crate::name::Name;

/// What a walk does in each directory.
pub(crate) trait Visitor {
    /// An open directory, or the same directory of several trees.
    type Dir;

    /// Whether the walk calls [`leave`](Self::leave). Then no directory may go during the walk but
    /// by that call.
    const LEAVES: bool;

    /// Opens the directory `name` in `dir`; none if the walk passes it over.
    fn open(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Option<Self::Dir>>;

    /// Visits a directory before everything in it, and adds the names of those directories in it to
    /// `names` that are to be visited, a NUL after each.
    fn enter(&mut self, dir: &Self::Dir, names: &mut Vec<u8>) -> Result<()>;

    /// Visits the directory `name` in `dir` after everything in it.
    fn leave(&mut self, dir: &Self::Dir, name: Name<'_>) -> Result<()> {
        let _ = (dir, name); // Named for those who implement it.
        Ok(())
    }
}

/// Adds the name of a directory to those that are to be visited.
pub(crate) fn add(names: &mut Vec<u8>, name: Name<'_>) {
    names.extend_from_slice(name.as_bytes());
    names.push(0);
}

/// Visits `root` and each directory below it. `root` itself has no name, so it is never
/// [left](Visitor::leave).
///
/// # Errors
/// Those of `visitor`; `no-entry` if a directory that must stay is gone.
pub(crate) fn walk<V: Visitor>(visitor: &mut V, root: V::Dir) -> Result<()> {
    let mut walk = Walk {
        visitor,
        names: Vec::new(),
        starts: Vec::new(),
        open: Vec::new(),
    };
    walk.enter(root)?;
    while let Some(&start) = walk.starts.last() {
        if walk.names.len() == start {
            walk.starts.pop();
            walk.close(walk.starts.len());
            if V::LEAVES && !walk.starts.is_empty() {
                walk.leave_last()?;
            }
        } else if walk.enter_last()? {
            continue;
        }
        // What the last name stands for was visited, or was removed meanwhile.
        walk.names.truncate(last_start(&walk.names));
    }
    Ok(())
}

/// Where the walk stands.
struct Walk<'a, V: Visitor> {
    visitor: &'a mut V,
    /// Directories to visit, and at each level but the last the one that leads down. After each
    /// name stands a NUL, which no name has.
    names: Vec<u8>,
    /// Where the names of each level begin, from the root down. The end of those before is the
    /// name of the level's own directory.
    starts: Vec<usize>,
    /// Open directories and their levels, from the root down.
    open: Vec<(usize, V::Dir)>,
}

impl<V: Visitor> Walk<'_, V> {
    /// Visits a directory, and makes it the last level.
    fn enter(&mut self, dir: V::Dir) -> Result<()> {
        let level = self.starts.len();
        self.starts.push(self.names.len());
        self.visitor.enter(&dir, &mut self.names)?;
        self.keep(level, dir);
        Ok(())
    }

    /// Keeps the directory of a level open, which is below all that are.
    fn keep(&mut self, level: usize, dir: V::Dir) {
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
            let Some((level, _)) = self.open.last() else {
                return Ok(false);
            };
            let next = level + 1;
            let Some(opened) = self.open_below()? else {
                // What is below a directory went with it.
                let end = self.starts.get(next).copied();
                self.names.truncate(end.unwrap_or(self.names.len()));
                self.starts.truncate(next);
                return Ok(false);
            };
            if next == self.starts.len() {
                self.enter(opened)?;
                return Ok(true);
            }
            self.keep(next, opened);
        }
    }

    /// Leaves the directory of the last name.
    fn leave_last(&mut self) -> Result<()> {
        let above = self.starts.len() - 1;
        loop {
            let (level, dir) = self.open.last().ok_or(Errno::NoEntry)?;
            if *level == above {
                let start = last_start(&self.names);
                let name = Name::checked(&self.names[start..self.names.len() - 1]);
                return self.visitor.leave(dir, name);
            }
            let next = level + 1;
            let opened = self.open_below()?.ok_or(Errno::NoEntry)?;
            self.keep(next, opened);
        }
    }

    /// Opens the directory that leads down from the lowest that is open.
    fn open_below(&self) -> Result<Option<V::Dir>> {
        let Some((level, dir)) = self.open.last() else {
            return Ok(None);
        };
        let end = self.starts.get(level + 1).copied();
        let end = end.unwrap_or(self.names.len());
        let start = last_start(&self.names[..end]);
        let name = Name::checked(&self.names[start..end - 1]);
        self.visitor.open(dir, name)
    }
}

/// Where the last of `names` begins.
fn last_start(names: &[u8]) -> usize {
    let before = names.split_last().map_or(names, |(_nul, before)| before);
    let nul = before.iter().rposition(|&byte| byte == 0);
    nul.map_or(0, |nul| nul + 1)
}
