//! The straight way down to a file: what a guest asks for most.
//!
//! Nothing is kept of the way, and nothing on it that lies in lower layers is counted as held, so
//! threads whose overlays share a stack write nothing that they share. What is not so simple
//! (links, `.` and `..`, most errors) is left to [`resolve`](super::resolve).

use super::Shared;
use super::lookup::NAME_MAX;
use super::node::{At, Known, Node};
use super::recent::Below;
use crate::error::Result;
use crate::meta::Kind;
use crate::name::Name;
use crate::stack::LowerNode;
use std::borrow::Cow;
use std::sync::Arc;

/// A file that a path led to. Not a symbolic link.
pub(super) enum Seen<'a> {
    /// One that the upper does not have, and the directory that it is in.
    Lower(&'a Arc<LowerNode>, In<'a>),
    /// One that the upper has, and where it was found.
    Node(&'a Arc<Node>, At<'a>),
}

/// A directory on the way.
pub(super) enum In<'a> {
    /// The base, or one that the upper has.
    Node(&'a Arc<Node>),
    /// One that the upper does not have. It may have a node.
    Lower(Below),
}

impl Shared {
    /// What `tell` says of what `path` leads to from `base`; it is given none if the last name is
    /// not there. None where the way is not straight, and `tell` is not asked.
    ///
    /// # Errors
    /// Those of the layers.
    pub(super) fn descend<T>(
        &self,
        base: &Arc<Node>,
        path: &str,
        tell: impl FnOnce(Option<Seen<'_>>) -> T,
    ) -> Result<Option<T>> {
        if cfg!(feature = "native") {
            return self.go_down(base, path, tell);
        }
        // Once for all that is to be told, in a component, which is to be small.
        let (mut tell, mut told) = (Some(tell), None);
        let ask: &mut dyn FnMut(Option<Seen<'_>>) = &mut |seen| {
            told = tell.take().map(|tell| tell(seen));
        };
        self.go_down(base, path, ask)?;
        Ok(told)
    }

    /// As [`descend`](Self::descend).
    fn go_down<T>(
        &self,
        base: &Arc<Node>,
        path: &str,
        tell: impl FnOnce(Option<Seen<'_>>) -> T,
    ) -> Result<Option<T>> {
        if path.len() >= self.limits.path_bytes || base.is_dead() {
            return Ok(None);
        }
        let Some((mut name, mut rest)) = first(path.as_bytes()) else {
            return Ok(None);
        };
        // Through directories that the upper has.
        let mut held_node;
        let mut dir = base;
        let mut below = loop {
            if dir.kind != Kind::Dir {
                return Ok(None);
            }
            // Before what is known, as in every step.
            let below = dir.below();
            // What the upper does not have, it has nothing below of.
            if dir.upper.get().is_none() {
                break below;
            }
            match dir.known_in_upper(name)? {
                (Known::Upper(node), _) => {
                    let Some(next) = rest else {
                        let is_straight = node.kind != Kind::Symlink;
                        let seen = is_straight.then_some(Seen::Node(&node, (dir, name)));
                        return Ok(seen.map(|seen| tell(Some(seen))));
                    };
                    let Some(next) = first(next) else {
                        return Ok(None);
                    };
                    (name, rest) = next;
                    held_node = node;
                    dir = &held_node;
                }
                (Known::Lower(_), _) => break below,
                (Known::Hidden, _) => break None,
                (Known::Nothing, true) => break below,
                (Known::Nothing | Known::Seen, _) => return Ok(None),
            }
        };
        // Through directories that the upper does not have.
        let mut held;
        let mut dir = In::Node(dir);
        loop {
            let found = match below {
                Some(below) => below.child(&self.stack, name)?,
                None => None,
            };
            let Some(found) = found else {
                // Anything could be wrong with the rest.
                return Ok(rest.is_none().then(|| tell(None)));
            };
            let file = match found {
                Cow::Borrowed(file) => file,
                Cow::Owned(file) => {
                    held = file;
                    &held
                }
            };
            match (rest.map(first), file.kind()) {
                (None, Kind::Symlink) => return Ok(None),
                (None, _) => {
                    return Ok(Some(tell(Some(Seen::Lower(file, dir)))));
                }
                (Some(Some(next)), Kind::Dir) => {
                    (name, rest) = next;
                    (below, dir) = (Some(file), In::Lower(Below::of(file)));
                }
                (Some(_), _) => return Ok(None),
            }
        }
    }
}

/// The first name of a path and what follows the slash behind it. None where it is no name.
fn first(path: &[u8]) -> Option<(Name<'_>, Option<&[u8]>)> {
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
