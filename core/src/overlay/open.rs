//! `open-at`: decides what to do from the file that was found and the options, then does it.

use super::children::At;
use super::copy_up::Data;
use super::create::is_openable;
use super::dir::OverlayDir;
use super::file::{OpenFile, OverlayFile};
use super::lookup::MergedFile;
use super::node::Node;
use super::resolve::{Last, TRIES, Walked};
use crate::at_once;
use crate::error::{Errno, Error, Result};
use crate::layer::New;
use crate::meta::Kind;
use crate::open_how::{FileOrDir, OpenHow};
use crate::stack::LowerNode;
use crate::sync::HAS_SHARED_STACKS;
use std::sync::Arc;

type Opened = FileOrDir<OverlayFile, OverlayDir>;

/// What an open has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Open the directory.
    Dir,
    /// Open the file, for writing if `write` is set.
    File { write: bool },
    /// Create the file and open it.
    Create,
}

impl OverlayDir {
    pub(crate) fn open_at(&self, path: &str, how: OpenHow) -> Result<Opened> {
        if how.directory && (how.create || how.exclusive || how.truncate) {
            return Err(Error::because(
                Errno::Invalid,
                || "`directory` excludes `create`, `exclusive` and `truncate`",
            ));
        }
        if let Some(opened) = self.fast_open(path, how)? {
            return Ok(opened);
        }
        let last = if how.create {
            Last::Create {
                follow: how.follow && !how.exclusive,
            }
        } else {
            Last::of(how.follow)
        };
        // If two calls create one file, the later one opens the file of the earlier one.
        for _ in 0..TRIES {
            let open = |walked: &Walked| self.open_walked(walked, how);
            match self.shared.at_path(&self.node, path, last, open) {
                Err(error) if error.errno() == Errno::Exist && how.create && !how.exclusive => {}
                result => return result,
            }
        }
        Err(Error::because(
            Errno::Busy,
            || "the name changed at every attempt to open it",
        ))
    }

    /// Opens a file for reading, where `Shared::fast_walk` leads to it and its directory has a
    /// node. None: `Shared::resolve` has to find it. It also finds why a node could not be made.
    fn fast_open(&self, path: &str, how: OpenHow) -> Result<Option<Opened>> {
        // What it saves is contention on a shared stack.
        if !HAS_SHARED_STACKS || how.write || how.directory || how.create || how.truncate {
            return Ok(None);
        }
        self.shared.sweep_if_large()?;
        let opened = self
            .shared
            .fast_walk(&self.node, path, |walked| match walked {
                Some((MergedFile::Lower(file), at)) if file.kind() == Kind::File => {
                    self.open_found(self.node_of(&file, at), None, how)
                }
                Some((MergedFile::Node(node), at)) if node.kind == Kind::File => {
                    self.open_found(Some(node.into_owned()), at, how)
                }
                Some(_) => Ok(None),
                None => Err(Errno::NoEntry.into()),
            })?;
        opened.unwrap_or(Ok(None))
    }

    /// Makes the node of the lower `file`, if the node of its directory is known.
    fn node_of(&self, file: &Arc<LowerNode>, at: Option<At<'_>>) -> Option<Arc<Node>> {
        let recent;
        let dir = match at {
            Some((dir, _)) => dir,
            None => {
                recent = self.shared.recent_dirs.get(&file.parent_address()?)?;
                &recent
            }
        };
        self.shared.child_node(dir, file).ok()
    }

    /// Opens `node`, which was found a moment ago, for reading. None if there is no node, or if it was
    /// removed meanwhile: its name may have another file now.
    fn open_found(
        &self,
        node: Option<Arc<Node>>,
        at: Option<At<'_>>,
        how: OpenHow,
    ) -> Result<Option<Opened>> {
        let Some(node) = node else { return Ok(None) };
        match self.open_file(node, at, how, false) {
            Err(error) if error.is_not_found() => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn open_walked(&self, walked: &Walked, how: OpenHow) -> Result<Opened> {
        match decide(walked, how)? {
            Step::Dir => {
                let node = self.shared.materialize(walked.trail())?;
                self.cache_recent_dir(&node);
                Ok(FileOrDir::Dir(OverlayDir::new(
                    &self.shared,
                    &node,
                    self.read_only,
                )))
            }
            step if self.read_only && step != (Step::File { write: false }) => {
                Err(self.shared.refused_change())
            }
            Step::Create => {
                at_once::may_wait()?;
                let made = self.shared.create(walked, New::File, self.read_only)?;
                let Some((node, Some(file))) = made else {
                    return Err(Errno::Io.into());
                };
                let mut open = OpenFile::register(self, node, how.read || !how.write, true);
                open.set_upper_file(file);
                Ok(FileOrDir::File(open.into()))
            }
            Step::File { write } => {
                if write {
                    at_once::may_wait()?;
                }
                let node = self.shared.materialize(walked.trail())?;
                let opened = self.open_file(Arc::clone(&node), walked.at(), how, write)?;
                if !write && let Some((dir, _)) = node.parent() {
                    self.cache_recent_dir(&dir);
                }
                Ok(opened)
            }
        }
    }

    /// Caches the node of a directory that is not in the upper, with its table and listing, for the next open
    /// in it.
    fn cache_recent_dir(&self, dir: &Arc<Node>) {
        if dir.upper.get().is_none()
            && let Some(below) = dir.below()
        {
            let recent = &self.shared.recent_dirs;
            recent.get_or_insert(below.address(), Arc::clone(dir), 1);
        }
    }

    /// Checks the mode of a file, where the operating system does not: it checks itself when a file of an
    /// upper on disk is opened, and when a file of a lower directory is opened for reading.
    ///
    /// # Errors
    /// `access` if the mode does not let the file's owner open it for this access.
    fn check_may_open(
        &self,
        node: &Arc<Node>,
        at: Option<At<'_>>,
        how: OpenHow,
        write: bool,
    ) -> Result<()> {
        let shared = &self.shared;
        if !shared.obeys_modes {
            return Ok(());
        }
        let in_upper = node.upper.get().is_some();
        let upper_ignores_modes = shared
            .upper
            .as_ref()
            .is_some_and(|upper| !upper.enforces_modes());
        if in_upper && !upper_ignores_modes {
            return Ok(());
        }
        let read = in_upper && (how.read || !how.write);
        let bits = if write { 0o200 } else { 0 } | if read { 0o400 } else { 0 };
        let mode = shared.meta_of(node, at)?.mode;
        if mode.is_none_or(|mode| mode & bits == bits) {
            Ok(())
        } else {
            Err(shared.refused_by_mode(node, "open it for this access"))
        }
    }

    /// Opens the file of `node`. `at` is where it was found, if that is known.
    fn open_file(
        &self,
        node: Arc<Node>,
        at: Option<At<'_>>,
        how: OpenHow,
        write: bool,
    ) -> Result<Opened> {
        let shared = &self.shared;
        self.check_may_open(&node, at, how, write)?;
        let mut file = OpenFile::register(self, node, how.read || !how.write, write);
        if write {
            let data = if how.truncate { Data::Drop } else { Data::Keep };
            match (shared.copy_up(file.node(), data)?, data) {
                // The copy was published without data, so nothing is left that could fail.
                (Some(copied), Data::Drop) => file.set_upper_file(copied),
                (copied, Data::Keep) => file.open_for_writing(at, copied)?,
                (None, Data::Drop) => {
                    file.open_for_writing(at, None)?;
                    file.change(|upper| upper.set_size(0))?;
                }
            }
        } else {
            file.open_for_reading(at)?;
        }
        Ok(FileOrDir::File(file.into()))
    }
}

/// Decides what an open has to do with the file that was found. Errors come in the order of Linux's
/// `open(2)`.
fn decide(walked: &Walked, how: OpenHow) -> Result<Step> {
    let write = how.write || how.create || how.truncate;
    let Some(found) = walked.found() else {
        return if how.create {
            Ok(Step::Create)
        } else {
            Err(Errno::NoEntry.into())
        };
    };
    if how.create && how.exclusive {
        return Err(Errno::Exist.into());
    }
    match found.kind() {
        Kind::Dir if write => Err(Errno::IsDirectory.into()),
        Kind::Dir => Ok(Step::Dir),
        _ if walked.wants_dir => Err(walked.not_directory()),
        Kind::Symlink => Err(Error::because(
            Errno::Loop,
            || "it is a symbolic link, which the call does not follow",
        )),
        _ if how.directory => Err(Errno::NotDirectory.into()),
        kind if !is_openable(kind) => Err(Error::because(
            Errno::Unsupported,
            || "FIFOs, sockets and devices cannot be opened",
        )),
        _ => Ok(Step::File { write }),
    }
}
