//! Fast path for paths without symbolic links, `.` or `..`.
//!
//! The walk records no trail and takes no reference to a lower file, so threads whose overlays share a stack
//! do not write to shared memory. All other paths, and most errors, are left to
//! [`resolve`](super::resolve).

use super::Shared;
use super::children::{At, Child};
use super::lookup::MergedFile;
use super::node::Node;
use crate::error::Result;
use crate::meta::Kind;
use crate::name::{NAME_MAX, Name};
use std::borrow::Cow;
use std::sync::Arc;

/// The result of a fast walk: the file, and where it was found if its directory is in the upper or is the
/// one that the walk began at.
pub(super) type Walk<'a> = (MergedFile<'a>, Option<At<'a>>);

impl Shared {
    /// Calls `act` with what `path` leads to from `base`; with none if the last name is not there. Returns
    /// none, without a call of `act`, where the fast path does not apply.
    ///
    /// The file is no symbolic link.
    ///
    /// # Errors
    /// Any error returned by a layer.
    pub(super) fn fast_walk<T>(
        &self,
        base: &Arc<Node>,
        path: &str,
        act: impl FnOnce(Option<Walk<'_>>) -> T,
    ) -> Result<Option<T>> {
        if path.len() >= self.limits.path_bytes || base.is_removed() {
            return Ok(None);
        }
        let Some((mut name, mut rest)) = split_first(path.as_bytes()) else {
            return Ok(None);
        };
        // Through directories that the upper has.
        let mut held_node;
        let mut node = base;
        let mut below = loop {
            if node.kind != Kind::Dir {
                return Ok(None);
            }
            // Read before the table: see `lookup_in_node`.
            let below = node.below();
            // If the upper does not have this directory, it has nothing below it.
            if node.upper.get().is_none() {
                break below;
            }
            match node.table_entry(name)? {
                Some(Child::Node(found)) => {
                    let Some(next) = rest else {
                        if found.kind == Kind::Symlink {
                            return Ok(None);
                        }
                        let file = MergedFile::Node(Cow::Borrowed(&found));
                        return Ok(Some(act(Some((file, Some((node, name)))))));
                    };
                    let Some(next) = split_first(next) else {
                        return Ok(None);
                    };
                    (name, rest) = next;
                    held_node = found;
                    node = &held_node;
                }
                Some(Child::NotInUpper(_)) => break below,
                Some(Child::Whiteout) => break None,
                Some(Child::Listed { .. }) | None => return Ok(None),
            }
        };
        // Through directories that the upper does not have.
        let mut held;
        let mut at = Some((node, name));
        loop {
            let found = match below {
                Some(below) => below.child(&self.stack, name)?,
                None => None,
            };
            let Some(found) = found else {
                // A name on the way may be missing for any reason: `resolve` finds it.
                return Ok(rest.is_none().then(|| act(None)));
            };
            let file = match found {
                Cow::Borrowed(file) => file,
                Cow::Owned(file) => {
                    held = file;
                    &held
                }
            };
            match (rest.map(split_first), file.kind()) {
                (None, Kind::Symlink) => return Ok(None),
                (None, _) => {
                    let file = MergedFile::Lower(Cow::Borrowed(file));
                    return Ok(Some(act(Some((file, at)))));
                }
                (Some(Some(next)), Kind::Dir) => {
                    (name, rest) = next;
                    (below, at) = (Some(file), None);
                }
                (Some(_), _) => return Ok(None),
            }
        }
    }
}

/// The first name of a path, and what follows the slash behind it. None if it is not a plain name.
fn split_first(path: &[u8]) -> Option<(Name<'_>, Option<&[u8]>)> {
    let end = path.iter().position(|&byte| matches!(byte, b'/' | 0));
    let (name, rest) = match end {
        Some(end) if path[end] == 0 => return None,
        Some(end) => (&path[..end], Some(&path[end + 1..])),
        None => (path, None),
    };
    if name.is_empty() || name.len() > NAME_MAX || matches!(name, b"." | b"..") {
        return None;
    }
    let name = Name::checked(name);
    (!name.is_reserved()).then_some((name, rest))
}
