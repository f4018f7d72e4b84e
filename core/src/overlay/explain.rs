//! Reasons why a name was not found or a change was refused, for the embedder's log.
//!
//! The reason for a missing name takes a second lookup, slower than the call that failed, so it runs only
//! if a log shows it. The tree may have changed since the call; the log then describes the current tree.

use super::Shared;
use super::children::Child;
use super::dir::OverlayDir;
use super::lookup::MergedFile;
use super::node::Node;
use super::resolve::{Last, Walked};
use crate::error::{Errno, Error, Result};
use crate::layer::Found;
use crate::log::{self, Escaped, Warned, Warning};
use crate::name::Name;
use crate::stack::Hider;
use std::sync::Arc;

impl OverlayDir {
    /// The kinds of failure for which the mount has logged a warning.
    pub(crate) fn warned(&self) -> &Warned {
        &self.shared.warned
    }

    /// Why nothing is at `path`, or why the directory itself does not exist. None if it exists.
    pub(crate) fn why_missing(&self, path: Option<(&str, bool)>) -> Option<Error> {
        if self.node.is_removed() {
            return Some(Error::new(Errno::NoEntry, "the directory was removed"));
        }
        let (path, follow) = path?;
        match self.shared.walk(&self.node, path, Last::of(follow)) {
            Ok(walked) if walked.found().is_none() => {
                let (dir, name) = walked.parent().ok().zip(walked.name())?;
                Some(self.shared.why_absent(walked.parents(), dir, name))
            }
            Ok(_) => None,
            Err(error) => error.has_reason().then_some(error),
        }
    }
}

impl Shared {
    /// The error of a walk that found nothing called `name` in the last of `trail`.
    pub(super) fn absent(&self, trail: &[MergedFile<'_>], name: Name<'_>) -> Error {
        match trail.last() {
            Some(dir) if log::is_on() => self.why_absent(trail, dir, name),
            Some(_) | None => Errno::NoEntry.into(),
        }
    }

    fn why_absent(&self, trail: &[MergedFile<'_>], dir: &MergedFile<'_>, name: Name<'_>) -> Error {
        let path = self.path_of_name(trail, name);
        let path = Escaped::new(&path);
        let missing = |reason: std::fmt::Arguments<'_>| Error::new(Errno::NoEntry, reason);
        if name.is_reserved() {
            return missing(format_args!(
                "`{path}`: names that begin with .wh. are the overlay's own, and guests do not see them"
            ));
        }
        // An error here only shortens the message: the call has already failed for another reason.
        let upper = self.hider_in_upper(dir, name).unwrap_or_default();
        let below = match dir {
            MergedFile::Lower(lower) => Some(&**lower),
            MergedFile::Node(node) => node.below(),
        };
        let below = below.map(|below| below.why_absent(&self.stack, name));
        let (lower, has) = below.transpose().ok().flatten().unwrap_or_default();
        let Some(hider) = upper.or(lower) else {
            return missing(format_args!("no layer has `{path}`"));
        };
        let error = match has {
            Some(has) => missing(format_args!(
                "`{path}` is hidden by {}; the layer `{}` has it",
                hider.what,
                Escaped::new(has.as_bytes())
            )),
            None => missing(format_args!(
                "no layer has `{path}`; {} is there",
                hider.what
            )),
        };
        error.in_layer(|| hider.layer)
    }

    /// The whiteout that hides `name` in the upper's part of `dir`.
    fn hider_in_upper(&self, dir: &MergedFile<'_>, name: Name<'_>) -> Result<Option<Hider>> {
        let (MergedFile::Node(node), Some(upper)) = (dir, &self.upper) else {
            return Ok(None);
        };
        if node.upper.get().is_none() {
            return Ok(None);
        }
        let is_hidden = match node.table_entry(name)? {
            Some(Child::Whiteout) => true,
            Some(Child::Node(_) | Child::Listed { .. } | Child::NotInUpper(_)) => false,
            None => upper.find(&*node.handle(self)?, name)? == Found::Hidden,
        };
        Ok(is_hidden.then(|| Hider {
            what: "a whiteout in the upper".to_owned(),
            layer: upper.label().to_owned(),
        }))
    }

    /// The path of `name` in the last of `trail`, from the root of the mount.
    fn path_of_name(&self, trail: &[MergedFile<'_>], name: Name<'_>) -> Vec<u8> {
        let mut names = Vec::new();
        let mut from = Vec::new();
        for pos in trail.iter().rev() {
            match pos {
                MergedFile::Node(node) => {
                    from = super::path_of(node).unwrap_or_else(|| b"(removed)".to_vec());
                    break;
                }
                MergedFile::Lower(lower) => names.push(lower.own_name()),
            }
        }
        for name in names.into_iter().rev().flatten() {
            push_name(&mut from, name.as_name().as_bytes());
        }
        push_name(&mut from, name.as_bytes());
        from
    }

    /// The error of an absolute link that may not be followed or read. `from_root` says whether the call was
    /// made on the root of the mount.
    pub(super) fn refused_link(
        &self,
        trail: &[MergedFile<'_>],
        name: Name<'_>,
        target: &[u8],
        from_root: bool,
    ) -> Error {
        if !log::is_on() && !self.warned.is_due(Warning::AbsoluteLink) {
            return Errno::NotPermitted.into();
        }
        let link = self.path_of_name(trail, name);
        let (link, target) = (Escaped::new(&link), Escaped::new(target));
        let error = Error::new(
            Errno::NotPermitted,
            format_args!("the symbolic link `{link}` leads to the absolute path `{target}`"),
        );
        if !from_root && self.absolute_symlinks == super::AbsoluteSymlinks::Root {
            return error.with_remedy(
                || "it is followed in calls on the root of the mount, never on a directory below",
            );
        }
        error
            .with_remedy(|| {
                "give the mount `--absolute-symlinks root` (`AbsoluteSymlinks::Root`) if it leads to a \
                 path from the root of the mount"
            })
            .with_warning(Warning::AbsoluteLink)
    }

    /// The error of a change on a read-only mount.
    pub(super) fn refused_change(&self) -> Error {
        let reason = || match (&self.upper, self.read_only) {
            (None, _) => "the mount has no upper to take changes",
            (Some(_), true) => "the mount is read-only",
            (Some(_), false) => "the guest was given the mount read-only",
        };
        Error::because(Errno::ReadOnly, reason).with_remedy(|| {
            match (&self.upper, self.read_only) {
                (None, _) => {
                    "mount it with an upper (`--upper`; `upper=` or `memory=` of `--mount`)"
                }
                (Some(_), _) => {
                    "mount it without `--read-only` or `ro` (`read_only`, `FsPerms::ReadOnly`)"
                }
            }
        })
    }

    /// The error of a call that the mode of a file or directory denies its owner. `what` is the verb.
    pub(super) fn refused_by_mode(&self, node: &Arc<Node>, what: &str) -> Error {
        let reason = || {
            let path = super::path_of(node).unwrap_or_default();
            let path = Escaped::new(&path);
            format!("the permission bits of `{path}` do not let its owner {what}")
        };
        let layer = || match (node.upper.get(), &self.upper, node.below()) {
            (Some(_), Some(upper), _) => upper.label().to_owned(),
            (_, _, Some(below)) => below.label(&self.stack).to_owned(),
            (_, _, None) => String::new(),
        };
        let error = Error::because(Errno::Access, reason);
        if error.has_details() {
            error
                .in_layer(layer)
                .with_remedy(|| "change its mode, or mount with `obey_modes(false)`")
        } else {
            error
        }
    }
}

impl Walked<'_> {
    /// The error of a path that requires a directory, but names another file.
    pub(super) fn not_directory(&self) -> Error {
        Error::because(
            Errno::NotDirectory,
            || "the path ends in a slash or `.`, but does not name a directory",
        )
    }
}

fn push_name(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}
