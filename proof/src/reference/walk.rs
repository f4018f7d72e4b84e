//! Path resolution: from a path to a node.

use super::{Body, Id, Reference};
use wasi_overlay_core::Errno;

/// The maximum length of a name.
const NAME_MAX: usize = 255;

/// The maximum of links in one walk.
const HOPS: usize = 40;

/// What a walk does at the last name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Follows a link.
    Follow,
    /// Does not follow a link, unless a slash follows it.
    Stop,
    /// Allows a missing file, and refuses a trailing slash.
    Create {
        /// Whether a link is followed.
        follow: bool,
    },
    /// Never follows a link, since the call changes the name.
    Name,
}

/// The result of a walk.
#[derive(Clone, Debug)]
pub(super) struct Walked {
    /// The directory of the last name, or the directory at the path.
    pub(super) dir: Id,
    /// The last name; none if the path ends in `.` or `..`.
    pub(super) name: Option<String>,
    /// The node at the path.
    pub(super) found: Option<Id>,
    /// Whether the path ends in a slash, and so must be a directory.
    pub(super) wants_dir: bool,
    /// Why the last name could not be looked up: it is too long, or its directory was removed.
    pub(super) refused: Option<Errno>,
}

impl Walked {
    pub(super) fn there(&self) -> Result<Id, Errno> {
        self.found.ok_or(self.refused.unwrap_or(Errno::NoEntry))
    }
}

impl Reference {
    /// Walks a path. The caller handles a last name that could not be looked up.
    pub(super) fn walk(&self, base: Id, path: &str, last: Last) -> Result<Walked, Errno> {
        if path.is_empty() {
            return Err(Errno::NoEntry);
        }
        if path.starts_with('/') {
            return Err(Errno::NotPermitted);
        }
        let mut way = vec![base];
        let mut rest = path.to_owned();
        let mut hops = 0;
        loop {
            let text = rest.trim_start_matches('/');
            let (name, after) = text.split_at(text.find('/').unwrap_or(text.len()));
            let dir = *way.last().ok_or(Errno::NotPermitted)?;
            let is_last = after.chars().all(|letter| letter == '/');
            if matches!(name, "" | "." | "..") {
                if name == ".." {
                    way.pop();
                }
                let here = *way.last().ok_or(Errno::NotPermitted)?;
                if is_last {
                    return Ok(Walked {
                        dir: here,
                        name: None,
                        found: Some(here),
                        wants_dir: true,
                        refused: None,
                    });
                }
                rest = after.to_owned();
                continue;
            }
            let wants_dir = !after.is_empty();
            if is_last && wants_dir && matches!(last, Last::Create { .. }) {
                return Err(Errno::IsDirectory);
            }
            let refused = if self.entries(dir).is_removed {
                Some(Errno::NoEntry)
            } else {
                (name.len() > NAME_MAX).then_some(Errno::NameTooLong)
            };
            let found = self.entries(dir).names.get(name).copied();
            let follow = match last {
                Last::Follow => true,
                Last::Stop => wants_dir,
                Last::Create { follow } => follow,
                Last::Name => false,
            };
            if let Some(id) = found
                && let Body::Link(target) = &self.nodes[id].body
                && (!is_last || follow)
            {
                hops += 1;
                if hops > HOPS {
                    return Err(Errno::Loop);
                }
                if target.starts_with('/') {
                    return Err(Errno::NotPermitted);
                }
                rest = format!("{target}{after}");
                continue;
            }
            if is_last {
                return Ok(Walked {
                    dir,
                    name: Some(name.to_owned()),
                    found,
                    wants_dir,
                    refused,
                });
            }
            let id = found.ok_or(refused.unwrap_or(Errno::NoEntry))?;
            if !self.is_dir(id) {
                return Err(Errno::NotDirectory);
            }
            way.push(id);
            rest = after.to_owned();
        }
    }

    /// Walks a path whose last name can be looked up.
    pub(super) fn resolve(&self, base: Id, path: &str, last: Last) -> Result<Walked, Errno> {
        let walked = self.walk(base, path, last)?;
        match walked.refused {
            Some(errno) => Err(errno),
            None => Ok(walked),
        }
    }

    /// The node at the end of a walk. It must be a directory if the path ends in a slash.
    pub(super) fn existing(&self, walked: &Walked) -> Result<Id, Errno> {
        let id = walked.there()?;
        if walked.wants_dir && !self.is_dir(id) {
            Err(Errno::NotDirectory)
        } else {
            Ok(id)
        }
    }
}
