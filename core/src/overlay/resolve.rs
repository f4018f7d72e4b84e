//! Path resolution, by a worklist of components and a stack of directories.
//!
//! Symbolic links are followed only here, since a link in one layer may lead into another. Nothing
//! recurses: the guest chooses path, links and depth.

use super::children::At;
use super::components::Pending;
use super::lookup::MergedFile;
use super::node::Node;
use super::{AbsoluteSymlinks, Shared};
use crate::at_once;
use crate::error::{Errno, Error, Result};
use crate::log::Escaped;
use crate::meta::Kind;
use crate::name::{NAME_MAX, Name};
use std::borrow::Cow;
use std::sync::Arc;

/// How often a call starts over when other calls change the names that it walked.
pub(super) const TRIES: usize = 64;

/// The result of a walk along a path.
pub(super) struct Walked<'p> {
    /// The directories from the base down to the one that contains the last name, then the file itself if it
    /// was found: the argument of [`Shared::materialize`].
    trail: Vec<MergedFile<'static>>,
    /// The last name. None where the path ends in `.` or `..` or leads to the base itself.
    name: Option<Cow<'p, [u8]>>,
    /// Whether `name` was found, and is the last of `trail`.
    found: bool,
    /// Why `name` could not be looked up: it is too long, or its directory was removed.
    refused: Option<Errno>,
    /// Whether the path requires a directory: it ends in a slash, `.` or `..`.
    pub(super) wants_dir: bool,
}

impl Walked<'_> {
    /// The file that the path names, if it exists.
    pub(super) fn found(&self) -> Option<&MergedFile<'_>> {
        if self.found || self.name.is_none() {
            self.trail.last()
        } else {
            None
        }
    }

    /// The file that the path names.
    ///
    /// # Errors
    /// `no-entry`; `not-directory` if the path requires a directory and names another file.
    pub(super) fn existing(&self) -> Result<&MergedFile<'_>> {
        let found = self.existing_of_any_kind()?;
        if self.wants_dir && !found.is_dir() {
            Err(self.not_directory())
        } else {
            Ok(found)
        }
    }

    /// The file that the path names, also if the path requires a directory and it is none.
    ///
    /// # Errors
    /// `no-entry`; `name-too-long`.
    pub(super) fn existing_of_any_kind(&self) -> Result<&MergedFile<'_>> {
        self.found()
            .ok_or_else(|| self.refused.map_or(Errno::NoEntry.into(), refusal))
    }

    /// Checks that the last name could be looked up.
    ///
    /// # Errors
    /// `name-too-long`; `no-entry` if its directory was removed.
    pub(super) fn check_reachable(&self) -> Result<()> {
        match self.refused {
            Some(errno) => Err(refusal(errno)),
            None => Ok(()),
        }
    }

    /// The last name.
    pub(super) fn name(&self) -> Option<Name<'_>> {
        self.name.as_deref().map(Name::checked)
    }

    /// The walk from the base to the directory of the last name. Meaningless if there is no such name.
    pub(super) fn parents(&self) -> &[MergedFile<'_>] {
        if self.found {
            &self.trail[..self.trail.len() - 1]
        } else {
            &self.trail
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

    /// The walk from the base to the file that the path names.
    pub(super) fn trail(&self) -> &[MergedFile<'_>] {
        &self.trail
    }
}

/// The error of a name that could not be looked up.
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

/// What to do with a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Follow it.
    Follow,
    /// Stop at it, unless a slash after it requires a directory.
    Stop,
    /// The call may create a file there. A slash after the name fails with `is-directory` before the name
    /// is looked up.
    Create {
        /// Follow a link that no slash follows.
        follow: bool,
    },
    /// Stop at it, also if a slash follows: the call changes the name itself.
    Name,
}

impl Last {
    /// The `symlink-follow` of WASI's path flags.
    pub(super) fn of(follow: bool) -> Self {
        if follow { Self::Follow } else { Self::Stop }
    }
}

impl Shared {
    /// Walks `path` from `base`.
    ///
    /// # Errors
    /// `no-entry` for an empty path, and if any name but the last is missing;
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

    /// As [`resolve`](Self::resolve), but a last name that is too long, or in a removed directory, counts as
    /// not found.
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
            return Err(Error::because(Errno::Invalid, || "the path contains a NUL"));
        }
        if path[0] == b'/' {
            return Err(Error::because(
                Errno::NotPermitted,
                || "it is an absolute path: WASI paths are relative to a directory",
            ));
        }
        let mut trail = Vec::with_capacity(8);
        trail.push(MergedFile::from_node(Arc::clone(base)));
        let mut pending = Pending::new(path);
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
                    if trail.len() > 1 {
                        trail.pop();
                    } else if !(pending.is_in_link() && self.leads_to_root(base)) {
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
                    || "the path ends in a slash, so no file can be created there",
                ));
            }
            // A removed directory has no names. Only the base can be one: the walk has just found all other
            // directories, and the root is never removed.
            let may_be_removed = trail.len() == 1 && !Arc::ptr_eq(base, &self.root);
            let refused = if may_be_removed && base.is_removed() {
                Some(Errno::NoEntry)
            } else {
                (component.len() > NAME_MAX).then_some(Errno::NameTooLong)
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
                        format!("more than {} symbolic links (Limits::link_hops)", hops - 1)
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
                        || "a symbolic link in the path has an empty target",
                    ));
                }
                if target.len() >= self.limits.path_bytes {
                    return Err(self.too_long("the target of a symbolic link"));
                }
                // No operating system has such links, but an embedder's layer may.
                if target.contains(&0) {
                    return Err(Error::because(
                        Errno::Invalid,
                        || "the target of a symbolic link contains a NUL",
                    ));
                }
                pending.push_link(target);
                continue;
            }
            if !at_end && !found.is_dir() {
                return Err(Error::because(Errno::NotDirectory, || {
                    format!(
                        "`{}` in the path is not a directory",
                        Escaped::new(&component)
                    )
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
        // Reached only by a link whose target consists of slashes.
        Ok(Walked {
            trail,
            name: None,
            found: true,
            refused: None,
            wants_dir: true,
        })
    }

    /// Walks two paths whose last names the call changes. Errors of either walk come before errors of the
    /// last names, so this does not check whether the last names are reachable: the caller calls
    /// [`check_reachable`](Walked::check_reachable).
    ///
    /// # Errors
    /// As [`walk`](Self::walk).
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

    /// Walks `path` and calls `act` with the result. Starts over if the file is gone by then: a name that a
    /// rename replaces exists at every moment, but the file under it changes.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); any error returned by `act`.
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

    /// [`at_path`](Self::at_path) without a type parameter, so that it is compiled only once.
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

    /// Whether an absolute link continues at the mount's root, and `..` in a link stays there: if the mount
    /// resolves such links and the call was made on that root. A descriptor of `etc/` must not reach `usr/`.
    fn leads_to_root(&self, base: &Arc<Node>) -> bool {
        self.absolute_symlinks == AbsoluteSymlinks::Root && Arc::ptr_eq(base, &self.root)
    }

    /// The error of a path or link target that is longer than a path may be.
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
                // Not during a move by copying, which removes the link that the handle leads to.
                let _names = at_once::read(&dir.dir()?.names)?;
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
