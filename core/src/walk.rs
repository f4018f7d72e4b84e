//! Depth-first walk over a tree of directories, without recursion and with few open directories.
//!
//! A guest chose the tree, so the cost of its depth and width must not exceed the number of its
//! directories. The walk has its own stack:
//!
//! ```text
//!   names    … b\0 c\0 │ e\0 f\0 │ h\0     c and f lie on the way down, h is visited next
//!   starts   0 ────────┘─────────┘
//! ```
//! For a directory not yet visited, the stack holds its name and nothing else. Of the directories on the
//! way down a few are open: of the levels whose number is divisible by 2 but not by 4, the one that was
//! entered last, and likewise for each power of two. When the walk comes back to a directory that was
//! closed, it reopens the directory from the nearest open directory above it. That one is `n` levels away
//! only after the walk went down, or came back up, by `n / 2` levels or more, so in the worst case each
//! level takes one open for each power of two up to the depth. At 100,000 levels, each with a child to come
//! back for, that is fewer than five opens for each level and 18 open directories; in the trees of programs
//! it is hardly more than one open.

use crate::error::{Errno, Result};
use crate::name::Name;

/// The actions of a walk in each directory.
pub(crate) trait Visitor {
    /// An open directory, or the same directory of several trees.
    type Dir;

    /// Whether the walk calls [`leave`](Self::leave). Then only that call may remove directories during
    /// the walk.
    const LEAVES: bool;

    /// Opens the directory `name` in `dir`. `None` makes the walk skip it.
    fn open(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Option<Self::Dir>>;

    /// Visits a directory before everything in it, and appends to `names` the names of the directories in
    /// it that the walk should visit, each followed by a NUL.
    fn enter(&mut self, dir: &Self::Dir, names: &mut Vec<u8>) -> Result<()>;

    /// Visits the directory `name` in `dir` after everything in it.
    fn leave(&mut self, dir: &Self::Dir, name: Name<'_>) -> Result<()> {
        let _ = (dir, name); // Named for implementers.
        Ok(())
    }
}

/// Appends the name of a directory that the walk should visit.
pub(crate) fn push_name(names: &mut Vec<u8>, name: Name<'_>) {
    names.extend_from_slice(name.as_bytes());
    names.push(0);
}

/// Visits `root` and each directory below it. `root` itself has no name, so it is never
/// [left](Visitor::leave).
///
/// # Errors
/// Those of `visitor`; `no-entry` if a directory that must not be removed is gone.
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
        // The directory of the last name was visited, or was removed meanwhile.
        walk.names.truncate(last_start(&walk.names));
    }
    Ok(())
}

/// The state of a walk.
struct Walk<'a, V: Visitor> {
    visitor: &'a mut V,
    /// Names of directories to visit, and at each level but the last, at its end, the name of the directory
    /// that leads down. A NUL, which no name contains, follows each name.
    names: Vec<u8>,
    /// The offset in `names` at which the names of each level begin, from the root down. The name just
    /// before the offset is that of the level's own directory.
    starts: Vec<usize>,
    /// Open directories and their levels, from the root down.
    open: Vec<(usize, V::Dir)>,
}

impl<V: Visitor> Walk<'_, V> {
    /// Visits a directory and makes it the last level.
    fn enter(&mut self, dir: V::Dir) -> Result<()> {
        let level = self.starts.len();
        self.starts.push(self.names.len());
        self.visitor.enter(&dir, &mut self.names)?;
        self.keep_open(level, dir);
        Ok(())
    }

    /// Adds the directory of a level, which is below all open ones, to the open directories.
    fn keep_open(&mut self, level: usize, dir: V::Dir) {
        self.close(level);
        self.open.push((level, dir));
    }

    /// Closes the open directory of a level, or of the other level that shares its slot.
    fn close(&mut self, level: usize) {
        let zeros = level.trailing_zeros();
        let kept = |(level, _): &(usize, _)| level.trailing_zeros() == zeros;
        if let Some(index) = self.open.iter().position(kept) {
            self.open.remove(index);
        }
    }

    /// Visits the directory of the last name. Returns false if it is gone.
    fn enter_last(&mut self) -> Result<bool> {
        loop {
            // The root stays open as long as there are names.
            let Some((level, _)) = self.open.last() else {
                return Ok(false);
            };
            let next = level + 1;
            let Some(opened) = self.open_below()? else {
                // The directories below it went with it.
                let end = self.starts.get(next).copied();
                self.names.truncate(end.unwrap_or(self.names.len()));
                self.starts.truncate(next);
                return Ok(false);
            };
            if next == self.starts.len() {
                self.enter(opened)?;
                return Ok(true);
            }
            self.keep_open(next, opened);
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
            self.keep_open(next, opened);
        }
    }

    /// Opens the directory that leads down from the lowest open directory.
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

/// The offset at which the last of `names` begins.
fn last_start(names: &[u8]) -> usize {
    let before = names.split_last().map_or(names, |(_nul, before)| before);
    let nul = before.iter().rposition(|&byte| byte == 0);
    nul.map_or(0, |nul| nul + 1)
}
