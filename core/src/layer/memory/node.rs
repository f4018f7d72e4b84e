//! [`Node`]: a file, directory, symbolic link or special file of a memory layer.

use super::attributes::Attrs;
use super::entries::{Entries, Slot, check_length};
use super::file_data::FileData;
use super::quota::{Charge, Quota};
use crate::error::{Errno, Result};
use crate::meta::{Kind, Meta};
use crate::name::Name;
use crate::sync::{Mutex, Rank, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::sync::{Arc, Weak};

/// A file, directory, symbolic link or special file. Its names are in the directories that hold it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) inode: u64,
    pub(super) device: u64,
    pub(super) quota: Arc<Quota>,
    pub(super) body: Body,
    /// Guards its content.
    pub(super) attrs: Mutex<Attrs>,
    _charge: Charge,
}

#[derive(Debug)]
pub(super) enum Body {
    Dir {
        /// Guards its content.
        entries: RwLock<Entries>,
        /// Guards its content: the parent directory. Changes with `Tree::names` held.
        parent: Mutex<Weak<Node>>,
    },
    /// Guards its content.
    File(RwLock<FileData>),
    Symlink(Box<[u8]>),
    Special {
        kind: Kind,
        rdev: u64,
    },
}

impl Node {
    pub(super) fn new(
        inode: u64,
        device: u64,
        quota: &Arc<Quota>,
        charge: Charge,
        body: Body,
    ) -> Self {
        let mode = match body {
            Body::Dir { .. } => 0o755,
            Body::File(_) | Body::Special { .. } => 0o644,
            Body::Symlink(_) => 0o777,
        };
        Self {
            inode,
            device,
            quota: Arc::clone(quota),
            body,
            attrs: Mutex::ranked(Rank::MemoryLeaf, Attrs::new(mode)),
            _charge: charge,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.body {
            Body::Dir { .. } => Kind::Dir,
            Body::File(_) => Kind::File,
            Body::Symlink(_) => Kind::Symlink,
            Body::Special { kind, .. } => kind,
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        matches!(self.body, Body::Dir { .. })
    }

    pub(super) fn meta(&self) -> Meta {
        let (size, allocated, rdev) = match &self.body {
            Body::File(data) => {
                let data = data.read();
                (data.size(), data.allocated(), 0)
            }
            Body::Symlink(target) => (target.len() as u64, 0, 0),
            Body::Dir { .. } => (0, 0, 0),
            Body::Special { rdev, .. } => (0, 0, *rdev),
        };
        let attrs = self.attrs.lock();
        Meta {
            kind: self.kind(),
            size,
            allocated: Some(allocated),
            links: attrs.links,
            accessed: attrs.accessed,
            modified: attrs.modified,
            changed: attrs.changed,
            device: self.device,
            inode: self.inode,
            mode: Some(attrs.mode),
            owner: attrs.owner,
            rdev,
            implied: false,
        }
    }

    pub(super) fn file(&self) -> Result<&RwLock<FileData>> {
        match &self.body {
            Body::File(data) => Ok(data),
            Body::Dir { .. } => Err(Errno::IsDirectory.into()),
            Body::Symlink(_) => Err(Errno::Loop.into()),
            Body::Special { .. } => Err(Errno::Unsupported.into()),
        }
    }

    pub(super) fn entries(&self) -> Result<&RwLock<Entries>> {
        match &self.body {
            Body::Dir { entries, .. } => Ok(entries),
            _ => Err(Errno::NotDirectory.into()),
        }
    }

    /// The names of a directory. Fails if the directory was removed.
    pub(super) fn live_entries(&self) -> Result<RwLockReadGuard<'_, Entries>> {
        let entries = self.entries()?.read();
        entries.check_not_removed()?;
        Ok(entries)
    }

    /// As [`live`](Self::live), to change them.
    pub(super) fn live_entries_mut(&self) -> Result<RwLockWriteGuard<'_, Entries>> {
        let entries = self.entries()?.write();
        entries.check_not_removed()?;
        Ok(entries)
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.entries().is_ok_and(|entries| entries.read().opaque)
    }

    /// The entry at `name`.
    pub(super) fn child(&self, name: Name<'_>) -> Result<Arc<Node>> {
        check_length(name)?;
        match self.live_entries()?.get(name) {
            Some(Slot::Entry(node)) => Ok(Arc::clone(node)),
            Some(Slot::Whiteout(_)) | None => Err(Errno::NoEntry.into()),
        }
    }

    /// Records `into` as the parent of this directory.
    pub(super) fn set_parent(&self, into: &Arc<Node>) {
        if let Body::Dir { parent, .. } = &self.body {
            *parent.lock() = Arc::downgrade(into);
        }
    }

    /// The parent of this directory. `None` for the root and for a directory that was never published.
    ///
    /// Preconditions: `Tree::names` is held, or the answer may be out of date.
    pub(super) fn parent(&self) -> Option<Arc<Node>> {
        match &self.body {
            Body::Dir { parent, .. } => parent.lock().upgrade(),
            _ => None,
        }
    }

    /// Removes a directory without entries.
    ///
    /// Preconditions: `Tree::names` is held, since the parent is locked as well.
    pub(super) fn remove_dir_locked(&self) -> Result<()> {
        self.live_entries_mut()?.remove()
    }
}

/// A tree is dropped with a worklist, since a guest chooses its depth and the stack is limited.
impl Drop for Node {
    fn drop(&mut self) {
        self.quota.return_bytes(self.attrs.get_mut().xattr_bytes);
        if let Body::Symlink(target) = &self.body {
            self.quota.return_bytes(target.len() as u64);
        }
        let mut rest = Vec::new();
        self.take_children(&mut rest);
        while let Some(child) = rest.pop() {
            if let Some(mut node) = Arc::into_inner(child) {
                node.take_children(&mut rest);
            }
        }
    }
}

impl Node {
    fn take_children(&mut self, into: &mut Vec<Arc<Node>>) {
        if let Body::Dir { entries, .. } = &mut self.body {
            into.extend(entries.get_mut().take());
        }
    }
}
