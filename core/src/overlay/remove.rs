//! `unlink-file-at` and `remove-directory-at`.

use super::Shared;
use super::children::Child;
use super::copy_up::Data;
use super::dir::OverlayDir;
use super::lookup::MergedFile;
use super::node::{Node, Position};
use super::resolve::{Last, Walked};
use super::stat::find_meta;
use crate::error::{Errno, Error, Result};
use crate::layer::erased::AnyAt;
use crate::layer::{Leave, Over};
use crate::meta::{Kind, Meta};
use crate::name::Name;
use crate::sync::atomic::Ordering;
use std::sync::Arc;

impl OverlayDir {
    pub(crate) fn unlink_file_at(&self, path: &str) -> Result<()> {
        let shared = &self.shared;
        shared.at_path(&self.node, path, Last::Stop, |walked| {
            if walked.found().ok_or(Errno::NoEntry)?.is_dir() {
                return Err(Errno::IsDirectory.into());
            }
            walked.existing()?;
            shared.remove(walked, self.read_only, |is_dir| {
                if is_dir {
                    Err(Errno::IsDirectory.into())
                } else {
                    Ok(())
                }
            })
        })
    }

    pub(crate) fn remove_directory_at(&self, path: &str) -> Result<()> {
        let shared = &self.shared;
        shared.at_path(&self.node, path, Last::Stop, |walked| {
            if !walked.found().ok_or(Errno::NoEntry)?.is_dir() {
                return Err(Errno::NotDirectory.into());
            }
            // A slash, `.` or `..` at the end stands for the directory itself, not for a name that could be
            // removed. POSIX would accept the slash; wasmtime-wasi does not.
            if walked.wants_dir {
                return Err(Error::because(
                    Errno::Invalid,
                    || "the path ends in a slash or `.`: only a name can be removed",
                ));
            }
            // `not-empty` comes before `read-only`, and a call that fails copies nothing up.
            let is_in_upper = walked
                .at()
                .is_some_and(|(dir, _)| dir.upper.get().is_some());
            if (self.read_only || !is_in_upper)
                && !shared.is_empty(&shared.materialize(walked.trail())?)?
            {
                return Err(Errno::NotEmpty.into());
            }
            shared.remove(walked, self.read_only, |is_dir| {
                if is_dir {
                    Ok(())
                } else {
                    Err(Errno::NotDirectory.into())
                }
            })
        })
    }
}

impl Shared {
    /// Removes the file that a path led to. `check` is told whether the name is a directory when it is
    /// removed, and refuses the wrong kind.
    fn remove(
        &self,
        walked: &Walked,
        read_only: bool,
        check: impl FnOnce(bool) -> Result<()>,
    ) -> Result<()> {
        if read_only {
            return Err(self.refused_change());
        }
        let name = walked.name().ok_or_else(|| {
            Error::because(
                Errno::Busy,
                || "the path ends in `.` or `..`: only a name can be removed",
            )
        })?;
        let parent = &self.materialize(walked.parents())?;
        self.check_may_change_names(parent)?;
        self.copy_up(parent, Data::Keep)?;
        let _tree = self.tree.read();
        let upper = self.upper()?;
        let _names = parent.dir()?.names.write();
        parent.check_not_removed()?;
        let pos = self.lookup_locked(parent, name)?.ok_or(Errno::NoEntry)?;
        check(pos.is_dir())?;
        let node = match &pos {
            MergedFile::Node(node) => Some(Arc::clone(node)),
            MergedFile::Lower(dir) if pos.is_dir() => Some(self.child_node_locked(parent, dir)?),
            MergedFile::Lower(_) => None,
        };
        // Parent before child. Nothing can be created in the directory while it is removed.
        let inside = node.as_ref().and_then(|node| node.dir.as_ref());
        let _inside = inside.map(|dir| dir.names.write());
        if let Some(node) = &node
            && node.kind == Kind::Dir
            && !self.is_empty_locked(node)?
        {
            return Err(Errno::NotEmpty.into());
        }
        let last = match &node {
            Some(node) => Some(self.meta_before_removal(node, parent, name)?),
            None => None,
        };
        let leave = if self.exists_below(parent, name)? {
            Leave::Whiteout
        } else {
            Leave::Nothing
        };
        let handle = parent.handle(self)?;
        let what = node.as_deref().map_or(Over::Nothing, over_of);
        let at = AnyAt { dir: &handle, name };
        // A concurrent `stat` may have seen the time of a step that was undone.
        let removed = upper.remove(at, what, leave);
        removed.inspect_err(|_| parent.touch())?;
        self.set_child_locked(parent, name, child_after_removal(leave));
        if let (Some(node), Some(last)) = (&node, last) {
            self.link_removed(node, last);
        }
        parent.names_changed();
        Ok(())
    }

    /// The metadata of `node` before it loses a name. For a directory it is what `stat` shows, since the
    /// upper cannot be asked after the removal. For any other file only the number of names matters, which
    /// only this overlay changes, so that cached metadata suffices.
    ///
    /// Preconditions: the directory lock of `parent` is held.
    pub(super) fn meta_before_removal(
        &self,
        node: &Arc<Node>,
        parent: &Arc<Node>,
        name: Name<'_>,
    ) -> Result<Meta> {
        let known = node.state.lock().meta();
        let meta = match known {
            Some((_, meta)) if node.kind != Kind::Dir => meta,
            _ if node.kind == Kind::Dir || node.upper.get().is_none() => {
                self.meta_of(node, None)?
            }
            _ => find_meta(self.upper()?, &*parent.handle(self)?, name)?,
        };
        if node.upper.get().is_some() && node.kind != Kind::Dir {
            self.keep_open(node, parent, name)?;
            // Counted before the removal, since another name may be removed at the same time.
            node.state.lock().names.get_or_insert(meta.links);
        }
        Ok(meta)
    }

    /// Opens the copy of a file that was copied up with its directory, for open files that have not used the
    /// copy yet: they cannot open it once it has no name.
    ///
    /// Preconditions: the directory lock of `parent` is held, exclusive.
    fn keep_open(&self, node: &Arc<Node>, parent: &Arc<Node>, name: Name<'_>) -> Result<()> {
        let needs_copy = {
            let state = node.state.lock();
            state.opens > 0 && state.copied.is_none() && node.was_lower()
        };
        if needs_copy {
            let copied = self.upper()?.open_read(&*parent.handle(self)?, name)?;
            node.state.lock().copied = Some(copied);
        }
        Ok(())
    }

    /// Puts `now` under `name` in one step, so that a concurrent walk sees the old entry or the new one.
    ///
    /// Preconditions: the directory lock of `dir` is held, exclusive.
    pub(super) fn set_child_locked(&self, dir: &Arc<Node>, name: Name<'_>, now: Option<Child>) {
        let Some(dir) = &dir.dir else { return };
        let is_kept = now.is_some();
        let mut children = dir.children.write();
        let before = match now {
            Some(child) => children.map.insert(name.to_owned(), child),
            None => children.map.remove(name.as_bytes()),
        };
        drop(children);
        // Another thread may have opened the lower file while it was being removed.
        if let Some(Child::NotInUpper(node)) = before
            && let Some(node) = node.upgrade()
        {
            node.set_position(Position::Removed);
        }
        if is_kept {
            self.count_names(1);
        }
    }

    /// Records that `node`, whose metadata was `meta`, lost one of its names.
    ///
    /// Preconditions: the directory lock of the name's directory is held, exclusive.
    pub(super) fn link_removed(&self, node: &Arc<Node>, meta: Meta) {
        if node.kind != Kind::Dir && node.upper.get().is_some() && node.link_removed(meta.links) > 0
        {
            return;
        }
        if let Some(part) = node.upper.get() {
            let key = part.number();
            self.origins.lock().remove(&key);
            self.objects.lock().remove(&key);
            if node.kind == Kind::Dir {
                self.removed_dirs.lock().insert(key, node);
            }
        }
        if node.kind == Kind::Dir {
            let version = node.version.load(Ordering::Acquire);
            let mut state = node.state.lock();
            state.set_meta(version, meta);
        }
        node.set_position(Position::Removed);
    }
}

/// The table entry of a name after its file was removed or moved away.
pub(super) fn child_after_removal(leave: Leave) -> Option<Child> {
    match leave {
        Leave::Whiteout => Some(Child::Whiteout),
        Leave::Nothing => None,
    }
}

/// What a change of the upper replaces or removes under the name of a node.
pub(super) fn over_of(node: &Node) -> Over {
    match (node.upper.get(), node.kind) {
        (None, _) => Over::Nothing,
        (Some(_), Kind::Dir) => Over::EmptyDir,
        (Some(_), _) => Over::File,
    }
}
