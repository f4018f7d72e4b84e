//! From a path to a file, by a worklist of components and a stack of directories.
//!
//! Symbolic links are followed here and nowhere else, since a link in one layer may lead into
//! another. Nothing recurses: path, links and depth are the guest's.

use super::lookup::{NAME_MAX, Pos};
use super::node::Node;
use super::{AbsoluteSymlinks, Shared};
use crate::error::{Errno, Result};
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
    trail: Vec<Pos>,
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
    pub(super) fn found(&self) -> Option<&Pos> {
        match self.found || self.name.is_none() {
            true => self.trail.last(),
            false => None,
        }
    }

    /// What the path names.
    ///
    /// # Errors
    /// `no-entry`; `not-directory` where the path says that it means a directory.
    pub(super) fn existing(&self) -> Result<&Pos> {
        let found = self.there()?;
        match self.wants_dir && !found.is_dir() {
            true => Err(Errno::NotDirectory.into()),
            false => Ok(found),
        }
    }

    /// What stands at the name, whatever kind of file the path says that it means.
    ///
    /// # Errors
    /// `no-entry`; `name-too-long`.
    pub(super) fn there(&self) -> Result<&Pos> {
        let missing = self.refused.unwrap_or(Errno::NoEntry);
        self.found().ok_or_else(|| missing.into())
    }

    /// `name-too-long`, or `no-entry` in a directory that was removed: no name can be there.
    pub(super) fn could_be_asked(&self) -> Result<()> {
        match self.refused {
            Some(errno) => Err(errno.into()),
            None => Ok(()),
        }
    }

    /// The name in the last place.
    pub(super) fn name(&self) -> Option<Name<'_>> {
        self.name.as_deref().map(Name::checked)
    }

    /// The walk from the base to the directory of the last name. Means nothing where there is no
    /// such name.
    pub(super) fn parents(&self) -> &[Pos] {
        match self.found {
            true => &self.trail[..self.trail.len() - 1],
            false => &self.trail,
        }
    }

    /// The directory of the last name.
    pub(super) fn parent(&self) -> Result<&Pos> {
        self.parents().last().ok_or_else(|| Errno::Io.into())
    }

    /// The walk from the base to what the path names.
    pub(super) fn trail(&self) -> &[Pos] {
        &self.trail
    }
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

/// Components yet to walk: the rest of the path, and of the targets of links on top of it.
struct Pending<'a> {
    path: Rest<'a>,
    links: Vec<Rest<'a>>,
}

/// What is left of a text from `at` on.
struct Rest<'a> {
    text: Cow<'a, [u8]>,
    at: usize,
}

impl<'a> Rest<'a> {
    fn new(text: Cow<'a, [u8]>) -> Self {
        Self { text, at: 0 }
    }

    /// The next component and whether a slash follows it; none at the end.
    fn next(&mut self) -> Option<(Cow<'a, [u8]>, bool)> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.iter().position(|&b| b != b'/')?;
        let rest = &self.text[start..];
        let length = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
        let slash = length < rest.len();
        self.at = start + length;
        let component = match &self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[start..self.at]),
            Cow::Owned(text) => Cow::Owned(text[start..self.at].to_vec()),
        };
        Some((component, slash))
    }

    fn has_component(&self) -> bool {
        self.text[self.at..].iter().any(|&b| b != b'/')
    }

    fn is_empty(&self) -> bool {
        self.at == self.text.len()
    }
}

impl<'a> Pending<'a> {
    /// The next component and whether a slash follows it; none at the end.
    fn next(&mut self) -> Option<(Cow<'a, [u8]>, bool)> {
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
        !self.path.has_component() && !self.links.iter().any(Rest::has_component)
    }

    /// Whether the last place of all has a slash behind it.
    fn has_slash(&self) -> bool {
        !self.path.is_empty() || !self.links.iter().all(Rest::is_empty)
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
        walked.could_be_asked()?;
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
        self.trim_if_large();
        let path = path.as_bytes();
        if path.is_empty() {
            return Err(Errno::NoEntry.into());
        }
        if path.len() >= self.limits.path_bytes {
            return Err(Errno::NameTooLong.into());
        }
        if path.contains(&0) {
            return Err(Errno::Invalid.into());
        }
        if path[0] == b'/' {
            return Err(Errno::NotPermitted.into());
        }
        let mut trail = Vec::with_capacity(8);
        trail.push(Pos::Node(Arc::clone(base)));
        let mut pending = Pending {
            path: Rest::new(Cow::Borrowed(path)),
            links: Vec::new(),
        };
        let mut hops = 0;
        while let Some((component, slash)) = pending.next() {
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
                        return Err(Errno::NotPermitted.into());
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
            let wants_dir = slash || pending.has_slash();
            let Some(dir) = trail.last() else {
                return Err(Errno::Io.into());
            };
            if at_end && wants_dir && matches!(last, Last::Create { .. }) {
                return Err(Errno::IsDirectory.into());
            }
            // A removed directory has no names, which is found out where one is asked for. All
            // others on the way were found alive.
            let refused = match trail.len() == 1 && base.is_dead() {
                true => Some(Errno::NoEntry),
                false => (component.len() > NAME_MAX).then_some(Errno::NameTooLong),
            };
            let found = match refused {
                Some(_) => None,
                None => self.step(dir, Name::new(&component)?)?,
            };
            let Some(found) = found else {
                if !at_end {
                    return Err(refused.unwrap_or(Errno::NoEntry).into());
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
                    return Err(Errno::Loop.into());
                }
                let target = self.target_of(dir, &found, Name::new(&component)?)?;
                if target.first() == Some(&b'/') {
                    self.to_root(base, &mut trail)?;
                }
                if target.is_empty() {
                    return Err(Errno::NoEntry.into());
                }
                if target.len() >= self.limits.path_bytes {
                    return Err(Errno::NameTooLong.into());
                }
                pending.links.push(Rest::new(Cow::Owned(target)));
                continue;
            }
            if !at_end && !found.is_dir() {
                return Err(Errno::NotDirectory.into());
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
    /// whether [it could be asked](Walked::could_be_asked).
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

    /// An absolute link: on to the mount's root, if the mount resolves those and the call was
    /// made on that root. A descriptor of `etc/` must not reach `usr/`.
    fn to_root(&self, base: &Arc<Node>, trail: &mut Vec<Pos>) -> Result<()> {
        match self.absolute_symlinks {
            AbsoluteSymlinks::Root if Arc::ptr_eq(base, &self.root) => {
                trail.truncate(1);
                Ok(())
            }
            AbsoluteSymlinks::Root | AbsoluteSymlinks::Refuse => Err(Errno::NotPermitted.into()),
        }
    }

    /// The target of the link that was found as `name` in `dir`.
    pub(super) fn target_of(&self, dir: &Pos, link: &Pos, name: Name<'_>) -> Result<Vec<u8>> {
        match (link, dir) {
            (Pos::Lower(lower), _) => Ok(lower.target(&self.stack)?.to_vec()),
            (Pos::Node(node), Pos::Node(dir)) if node.upper.get().is_some() => {
                let handle = dir.handle(self)?;
                Ok(self.upper()?.read_link(&handle, name)?.into())
            }
            (Pos::Node(node), _) => match &*node.below.load() {
                Some(lower) => Ok(lower.target(&self.stack)?.to_vec()),
                None => Err(Errno::Io.into()),
            },
        }
    }
}
