//! The straight way down to a file: what a guest asks for most.
//!
//! Nothing is kept of the way, and nothing on it that lies in lower layers is counted as held, so
//! threads whose overlays share a stack write nothing that they share. What is not so simple
//! (links, `.` and `..`, most errors) is left to [`resolve`](super::resolve).

use super::Shared;
use super::lookup::{NAME_MAX, is_reserved};
use super::node::{At, Known, Node, Nodes};
use crate::error::Result;
use crate::meta::Kind;
use crate::name::Name;
use crate::stack::LowerNode;
use std::borrow::Cow;
use std::sync::Arc;

/// A file that a path led to. Not a symbolic link.
pub(super) enum Seen<'a> {
    /// One that is only in lower layers; and the directory that it is in, if that has a node.
    Lower(&'a Arc<LowerNode>, Option<&'a Arc<Node>>),
    /// One with a node, and where it was found.
    Node(&'a Arc<Node>, At<'a>),
}

impl Shared {
    /// Calls `tell`, once, with what `path` leads to from `base`, or with none if its last name is
    /// not there. Does not call it where the way is not straight.
    ///
    /// # Errors
    /// Those of the layers.
    pub(super) fn descend(
        &self,
        base: &Arc<Node>,
        path: &str,
        nodes: Nodes,
        tell: &mut impl FnMut(Option<Seen<'_>>),
    ) -> Result<()> {
        // Once for all that is to be told, in a component, which is to be small.
        #[cfg(not(feature = "native"))]
        let tell: &mut dyn FnMut(Option<Seen<'_>>) = tell;
        self.go_down(base, path, nodes, tell)
    }

    /// As [`descend`](Self::descend).
    fn go_down<F: FnMut(Option<Seen<'_>>) + ?Sized>(
        &self,
        base: &Arc<Node>,
        path: &str,
        nodes: Nodes,
        tell: &mut F,
    ) -> Result<()> {
        if path.len() >= self.limits.path_bytes || base.is_dead() {
            return Ok(());
        }
        let Some((mut name, mut rest)) = first(path.as_bytes()) else {
            return Ok(());
        };
        // Through directories that have a node.
        let mut held_node;
        let mut dir = base;
        let mut below = loop {
            if dir.kind != Kind::Dir {
                return Ok(());
            }
            // Before what is known, as in every step.
            let below = dir.below();
            // What the upper does not have, it has nothing below of.
            if nodes == Nodes::OfUpper && dir.upper.get().is_none() {
                break below;
            }
            match dir.known_with(name, nodes)? {
                (Known::Upper(node) | Known::Lower(Some(node)), _) => {
                    let Some(next) = rest else {
                        if node.kind != Kind::Symlink {
                            tell(Some(Seen::Node(&node, (dir, name))));
                        }
                        return Ok(());
                    };
                    let Some(next) = first(next) else {
                        return Ok(());
                    };
                    (name, rest) = next;
                    held_node = node;
                    dir = &held_node;
                }
                (Known::Lower(None), _) => break below,
                (Known::Hidden, _) => break None,
                (Known::Nothing, is_complete) if is_complete || dir.upper.get().is_none() => {
                    break below;
                }
                (Known::Nothing | Known::Seen, _) => return Ok(()),
            }
        };
        // Through directories that have none.
        let mut held;
        let mut dir = Some(dir);
        loop {
            let found = match below {
                Some(below) => below.child(&self.stack, name)?,
                None => None,
            };
            let Some(found) = found else {
                // Anything could be wrong with the rest.
                if rest.is_none() {
                    tell(None);
                }
                return Ok(());
            };
            let file = match found {
                Cow::Borrowed(file) => file,
                Cow::Owned(file) => {
                    held = file;
                    &held
                }
            };
            match (rest.map(first), file.kind()) {
                (None, Kind::Symlink) => return Ok(()),
                (None, _) => {
                    tell(Some(Seen::Lower(file, dir)));
                    return Ok(());
                }
                (Some(Some(next)), Kind::Dir) => {
                    (name, rest) = next;
                    (below, dir) = (Some(file), None);
                }
                (Some(_), _) => return Ok(()),
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
    (!is_reserved(name)).then_some((name, rest))
}
