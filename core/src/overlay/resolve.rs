//! From a path to a file, by a worklist of components and a stack of directories.
//!
//! Symbolic links are followed here and nowhere else, since a link in one layer may lead into
//! another. Nothing recurses: path, links and depth are the guest's.

use super::children::At;
use super::lookup::{MergedFile, NAME_MAX};
use super::node::Node;
use super::{AbsoluteSymlinks, Shared};
use crate::error::{Errno, Error, Result};
use crate::log::Escaped;
use crate::meta::Kind;
use crate::name::Name;
use std::borrow::Cow;
use std::sync::Arc;

/// How often a call begins anew when others change the names that it walked.
pub(super) const TRIES: usize = 64;

/// Where a path led.
pub(super) struct Walked<'p> {
    /// The directories from the base down to the one that the last name is in; with the file
    /// itself at the end if it was found, as [`Shared::materialize`] wants it.
    trail: Vec<MergedFile<'static>>,
    /// The name in the last place, none where the path ends in `.` or `..` or is a base.
    name: Option<Cow<'p, [u8]>>,
    /// Whether `name` was found, and so is the end of `trail`.
    found: bool,
    /// Why `name` could not be asked for: it is too long, or its directory was removed.
    refused: Option<Errno>,
    /// Whether the path says that it means a directory.
    pub(super) wants_dir: bool,
}

impl Walked<'_> {
    /// What the path names, if it is there.
    pub(super) fn found(&self) -> Option<&MergedFile<'_>> {
        match self.found || self.name.is_none() {
            true => self.trail.last(),
            false => None,
        }
    }

    /// What the path names.
    ///
    /// # Errors
    /// `no-entry`; `not-directory` where the path says that it means a directory.
    pub(super) fn existing(&self) -> Result<&MergedFile<'_>> {
        let found = self.existing_of_any_kind()?;
        match self.wants_dir && !found.is_dir() {
            true => Err(self.not_directory()),
            false => Ok(found),
        }
    }

    /// What stands at the name, whatever kind of file the path says that it means.
    ///
    /// # Errors
    /// `no-entry`; `name-too-long`.
    pub(super) fn existing_of_any_kind(&self) -> Result<&MergedFile<'_>> {
        self.found()
            .ok_or_else(|| self.refused.map_or(Errno::NoEntry.into(), refusal))
    }

    /// `name-too-long`, or `no-entry` in a directory that was removed: no name can be there.
    pub(super) fn check_reachable(&self) -> Result<()> {
        match self.refused {
            Some(errno) => Err(refusal(errno)),
            None => Ok(()),
        }
    }

    /// The name in the last place.
    pub(super) fn name(&self) -> Option<Name<'_>> {
        self.name.as_deref().map(Name::checked)
    }

    /// The walk from the base to the directory of the last name. Means nothing where there is no
    /// such name.
    pub(super) fn parents(&self) -> &[MergedFile<'_>] {
        match self.found {
            true => &self.trail[..self.trail.len() - 1],
            false => &self.trail,
        }
    }

    /// The directory of the last name.
    pub(super) fn parent(&self) -> Result<&MergedFile<'_>> {
        self.parents().last().ok_or_else(|| Errno::Io.into())
    }

    /// Where the last name was looked up, if its directory has a node.
    pub(super) fn at(&self) -> Option<At<'_>> {
        match self.parents().last()? {
            MergedFile::Node(dir) => Some((dir, self.name()?)),
            MergedFile::Lower(_) => None,
        }
    }

    /// The walk from the base to what the path names.
    pub(super) fn trail(&self) -> &[MergedFile<'_>] {
        &self.trail
    }
}

/// The error of a name that could not be asked for.
fn refusal(errno: Errno) -> Error {
    Error::because(errno, || match errno {
        Errno::NameTooLong => "a name is longer than 255 bytes",
        _ => "the directory was removed",
    })
}

/// The error of a path that leads above the directory that the call was made on.
#[cold]
fn above_base() -> Error {
    Error::because(
        Errno::NotPermitted,
        || "the path leads above the directory that the call was made on",
    )
}

/// What to do with a symbolic link in the last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Follow it.
    Follow,
    /// Stop at it, unless a slash behind it says that a directory is meant.
    Stop,
    /// A file may be made there. A slash behind such a name is `is-directory`, before anybody looks
    /// what the name is.
    Create {
        /// Follow a link without one.
        follow: bool,
    },
    /// Stop at it, whatever is behind it: the name itself is to be changed.
    Name,
}

impl Last {
    /// The `symlink-follow` of WASI's path flags.
    pub(super) fn of(follow: bool) -> Self {
        if follow { Self::Follow } else { Self::Stop }
    }
}

/// Components yet to walk: the rest of the path, and of the targets of links on top of it.
struct Pending<'a> {
    path: Components<'a>,
    links: Vec<Components<'a>>,
}

/// What is left of a text.
struct Components<'a> {
    text: Cow<'a, [u8]>,
    /// Where the next component begins; the text's length if there is none.
    at: usize,
    /// Whether a slash followed the component that was taken last.
    slash: bool,
}

impl<'a> Components<'a> {
    fn new(text: Cow<'a, [u8]>) -> Self {
        let at = slashes(&text);
        Self {
            text,
            at,
            slash: false,
        }
    }

    /// The next component; none at the end.
    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let length = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
        let slashes = slashes(&rest[length..]);
        let taken = self.at..self.at + length;
        self.at = taken.end + slashes;
        self.slash = slashes > 0;
        Some(match &self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[taken]),
            Cow::Owned(text) => Cow::Owned(text[taken].to_vec()),
        })
    }

    fn is_done(&self) -> bool {
        self.at == self.text.len()
    }
}

/// How many slashes `text` begins with.
fn slashes(text: &[u8]) -> usize {
    text.iter().take_while(|&&b| b == b'/').count()
}

impl<'a> Pending<'a> {
    /// The next component; none at the end.
    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        while let Some(link) = self.links.last_mut() {
            match link.next() {
                Some(next) => return Some(next),
                None => self.links.pop(),
            };
        }
        self.path.next()
    }

    /// Whether nothing but slashes is left.
    fn is_done(&self) -> bool {
        self.path.is_done() && self.links.iter().all(Components::is_done)
    }

    /// Whether a slash followed the component that was taken last; at the end, whether one follows
    /// it or a link that led to it.
    fn has_slash(&self) -> bool {
        self.path.slash || self.links.iter().any(|link| link.slash)
    }
}

impl Shared {
    /// Walks `path` from `base`.
    ///
    /// # Errors
    /// `no-entry` for an empty path, or where anything but the last name is missing;
    /// `not-permitted` for an absolute path, and for one that leads above `base`;
    /// `not-directory`, `loop`, `name-too-long`; `invalid` for a NUL.
    pub(super) fn resolve<'p>(
        &self,
        base: &Arc<Node>,
        path: &'p str,
        last: Last,
    ) -> Result<Walked<'p>> {
        let walked = self.walk(base, path, last)?;
        walked.check_reachable()?;
        Ok(walked)
    }

    /// As [`resolve`](Self::resolve), but a name that is too long, or in a directory that was
    /// removed, is one that was not found.
    pub(super) fn walk<'p>(
        &self,
        base: &Arc<Node>,
        path: &'p str,
        last: Last,
    ) -> Result<Walked<'p>> {
        self.sweep_if_large()?;
        let path = path.as_bytes();
        if path.is_empty() {
            return Err(Errno::NoEntry.into());
        }
        if path.len() >= self.limits.path_bytes {
            return Err(self.too_long("the path"));
        }
        if path.contains(&0) {
            return Err(Error::because(Errno::Invalid, || "the path holds a NUL"));
        }
        if path[0] == b'/' {
            return Err(Error::because(
                Errno::NotPermitted,
                || "an absolute path: WASI has paths relative to a directory",
            ));
        }
        let mut trail = Vec::with_capacity(8);
        trail.push(MergedFile::node(Arc::clone(base)));
        let mut pending = Pending {
            path: Components::new(Cow::Borrowed(path)),
            links: Vec::new(),
        };
        let mut hops = 0;
        while let Some(component) = pending.next() {
            let at_end = pending.is_done();
            match &*component {
                b"." => {
                    if at_end {
                        return Ok(Walked {
                            trail,
                            name: None,
                            found: true,
                            refused: None,
                            wants_dir: true,
                        });
                    }
                    continue;
                }
                b".." => {
                    trail.pop();
                    if trail.is_empty() {
                        return Err(above_base());
                    }
                    if at_end {
                        return Ok(Walked {
                            trail,
                            name: None,
                            found: true,
                            refused: None,
                            wants_dir: true,
                        });
                    }
                    continue;
                }
                _ => {}
            }
            let wants_dir = at_end && pending.has_slash();
            let Some(dir) = trail.last() else {
                return Err(Errno::Io.into());
            };
            if at_end && wants_dir && matches!(last, Last::Create { .. }) {
                return Err(Error::because(
                    Errno::IsDirectory,
                    || "the path ends in a slash, and a file cannot be made there",
                ));
            }
            // A removed directory has no names, which is found out where one is asked for. All
            // others on the way were found alive, and the root always is.
            let may_be_dead = trail.len() == 1 && !Arc::ptr_eq(base, &self.root);
            let refused = match may_be_dead && base.is_removed() {
                true => Some(Errno::NoEntry),
                false => (component.len() > NAME_MAX).then_some(Errno::NameTooLong),
            };
            let found = match refused {
                Some(_) => None,
                None => self.lookup(dir, Name::checked(&component))?,
            };
            let Some(found) = found else {
                if !at_end {
                    let missing = || self.absent(&trail, Name::checked(&component));
                    return Err(refused.map_or_else(missing, refusal));
                }
                let name = Some(component);
                return Ok(Walked {
                    trail,
                    name,
                    found: false,
                    refused,
                    wants_dir,
                });
            };
            let follow = match last {
                Last::Follow => true,
                Last::Stop => !at_end || wants_dir,
                Last::Create { follow } => !at_end || follow,
                Last::Name => !at_end,
            };
            if found.kind() == Kind::Symlink && follow {
                hops += 1;
                if hops > self.limits.link_hops {
                    return Err(Error::because(Errno::Loop, || {
                        format!("over {} symbolic links (Limits::link_hops)", hops - 1)
                    }));
                }
                let target = self.target_of(dir, &found, Name::checked(&component))?;
                if target.first() == Some(&b'/') {
                    if !self.leads_to_root(base) {
                        let name = Name::checked(&component);
                        let from_root = Arc::ptr_eq(base, &self.root);
                        return Err(self.refused_link(&trail, name, &target, from_root));
                    }
                    trail.truncate(1);
                }
                if target.is_empty() {
                    return Err(Error::because(
                        Errno::NoEntry,
                        || "a symbolic link on the way is empty",
                    ));
                }
                if target.len() >= self.limits.path_bytes {
                    return Err(self.too_long("the target of a symbolic link"));
                }
                // No system has such a link, but a layer of an embedder's own may.
                if target.contains(&0) {
                    return Err(Error::because(
                        Errno::Invalid,
                        || "the target of a symbolic link holds a NUL",
                    ));
                }
                pending.links.push(Components::new(Cow::Owned(target)));
                continue;
            }
            if !at_end && !found.is_dir() {
                return Err(Error::because(Errno::NotDirectory, || {
                    format!("`{}` on the way is no directory", Escaped::new(&component))
                }));
            }
            trail.push(found);
            if at_end {
                return Ok(Walked {
                    trail,
                    name: Some(component),
                    found: true,
                    refused: None,
                    wants_dir,
                });
            }
        }
        // Only a link whose target is nothing but slashes ends here.
        Ok(Walked {
            trail,
            name: None,
            found: true,
            refused: None,
            wants_dir: true,
        })
    }

    /// Walks two paths whose last names are to be changed. Both ways are walked before either name
    /// is asked for, which is where a directory that was removed is missed: who goes on asks
    /// whether [it could be asked](Walked::check_reachable).
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve), but for that.
    pub(super) fn resolve_both<'p>(
        &self,
        from: (&Arc<Node>, &'p str),
        to: (&Arc<Node>, &'p str),
    ) -> Result<(Walked<'p>, Walked<'p>)> {
        Ok((
            self.walk(from.0, from.1, Last::Name)?,
            self.walk(to.0, to.1, Last::Name)?,
        ))
    }

    /// Walks `path` and calls `act` with what it led to, anew if that is gone by then: a file
    /// that is replaced by rename is there at every moment, but not always the same one.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); those of `act`.
    pub(super) fn at_path<T>(
        &self,
        base: &Arc<Node>,
        path: &str,
        last: Last,
        mut act: impl FnMut(&Walked) -> Result<T>,
    ) -> Result<T> {
        let mut done = None;
        self.retry_at_path(base, path, last, &mut |walked| {
            done = Some(act(walked)?);
            Ok(())
        })?;
        done.ok_or_else(|| Errno::Io.into())
    }

    /// [`at_path`](Self::at_path), once for all that is to be done there.
    fn retry_at_path(
        &self,
        base: &Arc<Node>,
        path: &str,
        last: Last,
        act: &mut dyn FnMut(&Walked) -> Result<()>,
    ) -> Result<()> {
        let mut tries = TRIES;
        loop {
            let walked = self.resolve(base, path, last)?;
            tries -= 1;
            match act(&walked) {
                Err(error) if error.is_not_found() && walked.found().is_some() && tries > 0 => {}
                result => return result,
            }
        }
    }

    /// Whether an absolute link leads on from the mount's root: if the mount resolves those and the
    /// call was made on that root. A descriptor of `etc/` must not reach `usr/`.
    fn leads_to_root(&self, base: &Arc<Node>) -> bool {
        self.absolute_symlinks == AbsoluteSymlinks::Root && Arc::ptr_eq(base, &self.root)
    }

    /// The error of a text that is longer than a path may be.
    pub(super) fn too_long(&self, what: &str) -> Error {
        Error::because(Errno::NameTooLong, || {
            let most = self.limits.path_bytes;
            format!("{what} is longer than {most} bytes (Limits::path_bytes)")
        })
    }

    /// The target of the link that was found as `name` in `dir`.
    pub(super) fn target_of(
        &self,
        dir: &MergedFile<'_>,
        link: &MergedFile<'_>,
        name: Name<'_>,
    ) -> Result<Vec<u8>> {
        match (link, dir) {
            (MergedFile::Lower(lower), _) => Ok(lower.target(&self.stack)?.to_vec()),
            (MergedFile::Node(node), MergedFile::Node(dir)) if node.upper.get().is_some() => {
                let handle = dir.handle(self)?;
                Ok(self.upper_to_read()?.read_link(&handle, name)?.into())
            }
            (MergedFile::Node(node), _) => match node.below() {
                Some(lower) => Ok(lower.target(&self.stack)?.to_vec()),
                None => Err(Errno::Io.into()),
            },
        }
    }
}
