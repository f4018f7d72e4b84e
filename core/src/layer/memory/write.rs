//! [`Upper`] for [`MemoryLayer`]: changes.
//!
//! Each change first makes all its checks; after the first modification nothing can fail. If a name does
//! not hold what the engine says ([`Over`]), the call fails before any change, and no data is lost.

use super::entries::{Entries, Slot, check_length};
use super::node::Node;
use super::quota::Charge;
use super::{MemoryDir, MemoryFile, MemoryLayer};
use crate::error::{Errno, Error, Result};
use crate::layer::{At, Attributes, Durability, Leave, New, Over, Upper, Usage, WriteAt};
use crate::meta::{Meta, SetTimes};
use crate::name::Name;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A staged file, directory or link of a [`MemoryLayer`].
#[derive(Debug)]
pub struct MemoryStaged {
    node: Arc<Node>,
    file: Option<MemoryFile>,
}

impl Upper for MemoryLayer {
    type Staged = MemoryStaged;
    type Writable = MemoryFile;

    fn mount(&self, _durability: Durability) -> Result<()> {
        if self.0.mounted.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                Errno::Busy,
                "this layer in memory is the upper of another mount; give each mount its own layer",
            ));
        }
        Ok(())
    }

    fn unmount(&self) -> Result<()> {
        // A layer for a single mount stays taken.
        let is_taken = self.0.for_one_mount;
        self.0.mounted.store(is_taken, Ordering::Release);
        Ok(())
    }

    fn stage(&self, new: New<'_>) -> Result<MemoryStaged> {
        let node = self.new_node(new)?;
        let file = writable(&node, new)?;
        Ok(MemoryStaged { node, file })
    }

    fn staged_file<'a>(&self, staged: &'a MemoryStaged) -> Option<&'a dyn WriteAt> {
        staged.file.as_ref().map(|file| file as &dyn WriteAt)
    }

    fn set_attributes(&self, staged: &MemoryStaged, attributes: &Attributes) -> Result<()> {
        let node = &staged.node;
        for (attribute, value) in &attributes.xattrs {
            node.set_xattr(attribute, value)?;
        }
        if let Some(owner) = attributes.owner {
            node.attrs.lock().owner = Some(owner);
        }
        if let Some(mode) = attributes.mode {
            node.set_mode(mode);
        }
        node.set_times(attributes.times);
        Ok(())
    }

    fn staged_meta(&self, staged: &MemoryStaged) -> Result<Meta> {
        Ok(Meta {
            links: 1,
            ..staged.node.meta()
        })
    }

    fn publish(
        &self,
        staged: MemoryStaged,
        to: At<'_, MemoryDir>,
        over: Over,
        keep_times: bool,
    ) -> Result<Option<MemoryFile>> {
        self.add(&staged.node, to, over)?;
        if !keep_times {
            to.dir.0.touch();
        }
        Ok(staged.file)
    }

    fn create(
        &self,
        new: New<'_>,
        to: At<'_, MemoryDir>,
        over: Over,
    ) -> Result<Option<MemoryFile>> {
        check_no_entry(over)?;
        let node = self.new_node(new)?;
        let file = writable(&node, new)?;
        self.add(&node, to, over)?;
        to.dir.0.touch();
        Ok(file)
    }

    fn remove(&self, at: At<'_, MemoryDir>, what: Over, leave: Leave) -> Result<()> {
        self.remove_entry(at, what, leave)?;
        at.dir.0.touch();
        Ok(())
    }

    fn rename(
        &self,
        from: At<'_, MemoryDir>,
        to: At<'_, MemoryDir>,
        over: Over,
        leave: Leave,
    ) -> Result<()> {
        check_length(from.name)?;
        check_length(to.name)?;
        let _names = self.0.names.lock();
        let node = from.dir.0.child(from.name)?;
        let across = !Arc::ptr_eq(&from.dir.0, &to.dir.0);
        if across {
            check_not_inside(&node, &to.dir.0)?;
        }
        let mut source = from.dir.0.live_entries_mut()?;
        let mut other = if across {
            Some(to.dir.0.live_entries_mut()?)
        } else {
            None
        };

        if !source.holds(from.name, &node) {
            return Err(Errno::NoEntry.into());
        }
        let target = other.as_deref_mut().unwrap_or(&mut source);
        let old = target.replaceable(to.name, over)?;
        if old.as_ref().is_some_and(|old| Arc::ptr_eq(old, &node)) {
            // Two names of one file: POSIX keeps both.
            return Ok(());
        }
        if old
            .as_ref()
            .is_some_and(|old| Arc::ptr_eq(old, &from.dir.0))
        {
            // It contains the source, and is locked already.
            return Err(Errno::NotEmpty.into());
        }
        let replaces_entry = target.get(to.name).is_some();
        let whiteout = match leave {
            Leave::Nothing => None,
            Leave::Whiteout if replaces_entry => Some(Charge::force(&self.0.quota)),
            Leave::Whiteout => Some(Charge::take(&self.0.quota)?),
        };
        remove_replaced(old.as_deref())?;

        target.set(to.name, Slot::Entry(Arc::clone(&node)));
        match whiteout {
            Some(charge) => source.set(from.name, Slot::Whiteout(charge)),
            None => source.clear(from.name),
        }
        node.set_parent(&to.dir.0);
        node.name_changed();
        from.dir.0.touch();
        if across {
            to.dir.0.touch();
        }
        Ok(())
    }

    fn link(&self, from: At<'_, MemoryDir>, to: At<'_, MemoryDir>, over: Over) -> Result<()> {
        check_no_entry(over)?;
        self.add_link(from, to, over)?;
        to.dir.0.touch();
        Ok(())
    }

    fn set_opaque(&self, dir: &MemoryDir) -> Result<()> {
        dir.0.live_entries_mut()?.opaque = true;
        Ok(())
    }

    fn open_write(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryFile> {
        MemoryFile::open(dir.0.child(name)?, true)
    }

    fn set_times(&self, dir: &MemoryDir, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        dir.target(name)?.set_times(times);
        Ok(())
    }

    fn set_xattr(
        &self,
        dir: &MemoryDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        dir.target(name)?.set_xattr(attribute, value)
    }

    fn remove_xattr(
        &self,
        dir: &MemoryDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<()> {
        dir.target(name)?.remove_xattr(attribute)
    }

    fn sync_dir(&self, dir: &MemoryDir) -> Result<()> {
        dir.0.live_entries().map(|_| ())
    }

    fn sync_all(&self) -> Result<()> {
        Ok(())
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.0.quota.usage())
    }

    fn enforces_modes(&self) -> bool {
        false
    }
}

impl MemoryLayer {
    /// Adds a new node under a name. The directory's times do not change.
    pub(super) fn add(&self, node: &Arc<Node>, to: At<'_, MemoryDir>, over: Over) -> Result<()> {
        self.add_name(node, to, over, None)
    }

    /// Adds a name of `node`. `another` is the charge for a name besides the first.
    fn add_name(
        &self,
        node: &Arc<Node>,
        to: At<'_, MemoryDir>,
        over: Over,
        another: Option<Charge>,
    ) -> Result<()> {
        check_length(to.name)?;
        let _names = (over == Over::EmptyDir).then(|| self.0.names.lock());
        let mut entries = to.dir.0.live_entries_mut()?;
        let old = entries.replaceable(to.name, over)?;
        remove_replaced(old.as_deref())?;
        node.link_added(another)?;
        node.set_parent(&to.dir.0);
        entries.set(to.name, Slot::Entry(Arc::clone(node)));
        Ok(())
    }

    /// Gives a file another name. The directory's times do not change.
    pub(super) fn add_link(
        &self,
        from: At<'_, MemoryDir>,
        to: At<'_, MemoryDir>,
        over: Over,
    ) -> Result<()> {
        let node = from.dir.0.child(from.name)?;
        if node.is_dir() {
            return Err(Errno::NotPermitted.into());
        }
        let charge = Charge::take(&self.0.quota)?;
        self.add_name(&node, to, over, Some(charge))
    }

    /// Adds a whiteout. The directory's times do not change.
    pub(super) fn add_whiteout(&self, at: At<'_, MemoryDir>) -> Result<()> {
        self.remove_entry(at, Over::Nothing, Leave::Whiteout)
    }

    /// As [`Upper::remove`]. The directory's times do not change.
    fn remove_entry(&self, at: At<'_, MemoryDir>, what: Over, leave: Leave) -> Result<()> {
        check_length(at.name)?;
        let _names = (what == Over::EmptyDir).then(|| self.0.names.lock());
        let mut entries = at.dir.0.live_entries_mut()?;
        let old = entries.replaceable(at.name, what)?;
        if old.is_none() && matches!(what, Over::File | Over::EmptyDir) {
            return Err(Errno::NoEntry.into());
        }
        let whiteout = match (leave, entries.get(at.name)) {
            (Leave::Nothing, _) | (Leave::Whiteout, Some(Slot::Whiteout(_))) => None,
            (Leave::Whiteout, None) => Some(Charge::take(&self.0.quota)?),
            (Leave::Whiteout, Some(Slot::Entry(_))) => Some(Charge::force(&self.0.quota)),
        };
        remove_replaced(old.as_deref())?;
        match (leave, whiteout) {
            (Leave::Nothing, _) => entries.clear(at.name),
            (Leave::Whiteout, Some(charge)) => entries.set(at.name, Slot::Whiteout(charge)),
            (Leave::Whiteout, None) => {}
        }
        Ok(())
    }
}

impl Entries {
    /// The entry that a change described by `over` replaces, if there is one.
    fn replaceable(&self, name: Name<'_>, over: Over) -> Result<Option<Arc<Node>>> {
        let Some(Slot::Entry(node)) = self.get(name) else {
            return Ok(None);
        };
        match over {
            Over::Nothing | Over::Whiteout => Err(Errno::Exist.into()),
            Over::File if node.is_dir() => Err(Errno::IsDirectory.into()),
            Over::EmptyDir if !node.is_dir() => Err(Errno::NotDirectory.into()),
            Over::File | Over::EmptyDir => Ok(Some(Arc::clone(node))),
        }
    }
}

/// Removes a replaced node from use: the last step of a change that can fail.
///
/// Preconditions: the directory of `old` is locked; if it is a directory, `Tree::names` is held.
fn remove_replaced(old: Option<&Node>) -> Result<()> {
    let Some(old) = old else {
        return Ok(());
    };
    if old.is_dir() {
        old.remove_dir_locked()?;
    }
    old.link_removed();
    Ok(())
}

fn check_no_entry(over: Over) -> Result<()> {
    match over {
        Over::Nothing | Over::Whiteout => Ok(()),
        Over::File | Over::EmptyDir => Err(Errno::Exist.into()),
    }
}

/// Fails if `to` lies in the directory `node`: a directory moved into itself would be unreachable.
///
/// Preconditions: `Tree::names` is held.
fn check_not_inside(node: &Arc<Node>, to: &Arc<Node>) -> Result<()> {
    if !node.is_dir() {
        return Ok(());
    }
    let mut above = Some(Arc::clone(to));
    while let Some(dir) = above {
        if Arc::ptr_eq(&dir, node) {
            return Err(Errno::Invalid.into());
        }
        above = dir.parent();
    }
    Ok(())
}

fn writable(node: &Arc<Node>, new: New<'_>) -> Result<Option<MemoryFile>> {
    match new {
        New::File => MemoryFile::open(Arc::clone(node), true).map(Some),
        New::Dir { .. } | New::Symlink(_) => Ok(None),
    }
}
