//! A filesystem in memory that records its state after every change.
//!
//! Each state can be mounted again, as after an interruption (`journal.rs`). A directory handle is an inode
//! number, so it follows renames.

mod file;
mod names;

pub(crate) use file::DiskFile;
pub(crate) use names::{Inode, Names, ROOT, What};

use crate::journal::{Content, Journal, Moment, NameOrder};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasi_overlay_core::plain::{Access, Guarantees, Plain};
use wasi_overlay_core::{Errno, Kind, Meta, Name, Result, SetTimes, Timestamp};

const UMASK: u32 = 0o022;

#[derive(Debug, Default)]
struct Shared {
    journal: Mutex<Journal>,
    locked: AtomicBool,
}

impl Shared {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        // A test that panicked while it held the lock fails by itself.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The filesystem. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    shared: Arc<Shared>,
    /// The guarantees that it claims.
    guarantees: Guarantees,
    /// Counts open handles.
    open: Arc<()>,
}

#[derive(Debug)]
pub(crate) struct DiskDir {
    inode: u64,
    _open: Arc<()>,
}

impl Disk {
    /// The filesystem as it was at a moment.
    pub(crate) fn of(moment: &Moment) -> Self {
        let disk = Self::default();
        *disk.journal() = Journal::new(moment.clone());
        disk
    }

    /// The filesystem after its process was killed at a moment: unsynced changes are not on disk yet.
    pub(crate) fn killed_at(&self, moment: usize) -> Self {
        let killed = Self::default();
        *killed.journal() = self.journal().until(moment);
        killed
    }

    /// The same filesystem, which claims to keep this order.
    pub(crate) fn claiming(mut self, order: NameOrder) -> Self {
        self.guarantees = Guarantees {
            ordered_names: order == NameOrder::Ordered,
            errors_at_write: true,
            syncs_whole: true,
        };
        self
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.shared.journal()
    }

    /// How many directories and files are open.
    pub(crate) fn handles(&self) -> usize {
        // Every clone of the disk has one reference; a test has one clone at this point.
        Arc::strong_count(&self.open) - 1
    }

    fn dir(&self, inode: u64) -> DiskDir {
        DiskDir {
            inode,
            _open: Arc::clone(&self.open),
        }
    }

    fn file(&self, inode: u64, writable: bool) -> DiskFile {
        DiskFile {
            shared: Arc::clone(&self.shared),
            inode,
            writable,
            _open: Arc::clone(&self.open),
        }
    }
}

fn meta_of(moment: &Moment, number: u64) -> Result<Meta> {
    let inode = moment.names.inode(number)?;
    let size = match &inode.what {
        What::File => moment.content(number).len() as u64,
        What::Dir(_) => 4096,
        What::Symlink(target) => target.len() as u64,
    };
    Ok(Meta {
        kind: inode.kind(),
        size,
        allocated: None,
        links: inode.links,
        accessed: inode.accessed,
        modified: inode.modified,
        changed: inode.changed,
        device: 7,
        inode: number,
        mode: Some(inode.mode),
        owner: Some(inode.owner),
        rdev: 0,
        implied: false,
    })
}

impl Plain for Disk {
    type Dir = DiskDir;
    type File = DiskFile;

    fn label(&self) -> String {
        "the disk".into()
    }

    fn guarantees(&self) -> Guarantees {
        self.guarantees
    }

    fn root(&self) -> Result<DiskDir> {
        Ok(self.dir(ROOT))
    }

    fn meta(&self, dir: &DiskDir, name: Option<Name<'_>>) -> Result<Meta> {
        let journal = self.journal();
        let now = journal.now();
        meta_of(now, now.names.at(dir.inode, name)?)
    }

    fn open_dir(&self, dir: &DiskDir, name: Name<'_>) -> Result<DiskDir> {
        let journal = self.journal();
        let names = &journal.now().names;
        let number = names.find(dir.inode, name)?;
        names.inode(number)?.entries()?;
        Ok(self.dir(number))
    }

    fn open_file(&self, dir: &DiskDir, name: Name<'_>, access: Access) -> Result<DiskFile> {
        let journal = self.journal();
        let names = &journal.now().names;
        let number = names.find(dir.inode, name)?;
        match names.inode(number)?.kind() {
            Kind::File => Ok(self.file(number, access == Access::ReadWrite)),
            Kind::Dir => Err(Errno::IsDirectory.into()),
            _ => Err(Errno::Loop.into()),
        }
    }

    fn create_file(&self, dir: &DiskDir, name: Name<'_>, mode: u32) -> Result<DiskFile> {
        let new = Inode::new(What::File, mode & !UMASK);
        let number = self.journal().change(&[dir.inode], |names, files| {
            let number = names.add(dir.inode, name, new)?;
            // A file in the work folder is not published yet.
            let work = names.find(ROOT, Name::new(b".wh..wh.work")?);
            let is_staged = work.is_ok_and(|work| work == dir.inode);
            files.insert(number, Content::made(!is_staged));
            Ok(number)
        })?;
        Ok(self.file(number, true))
    }

    fn create_dir(&self, dir: &DiskDir, name: Name<'_>, mode: u32) -> Result<()> {
        let new = Inode::new(What::Dir(BTreeMap::new()), mode & !UMASK);
        self.journal()
            .change(&[dir.inode], |names, _| names.add(dir.inode, name, new))
            .map(drop)
    }

    fn symlink(&self, dir: &DiskDir, name: Name<'_>, target: &[u8]) -> Result<()> {
        let new = Inode::new(What::Symlink(target.into()), 0o777);
        self.journal()
            .change(&[dir.inode], |names, _| names.add(dir.inode, name, new))
            .map(drop)
    }

    fn read_link(&self, dir: &DiskDir, name: Name<'_>) -> Result<Box<[u8]>> {
        let journal = self.journal();
        let names = &journal.now().names;
        match &names.inode(names.find(dir.inode, name)?)?.what {
            What::Symlink(target) => Ok(target.clone()),
            What::File | What::Dir(_) => Err(Errno::Invalid.into()),
        }
    }

    fn link(
        &self,
        from: &DiskDir,
        from_name: Name<'_>,
        to: &DiskDir,
        to_name: Name<'_>,
    ) -> Result<()> {
        self.journal().change(&[to.inode], |names, _| {
            let number = names.find(from.inode, from_name)?;
            if names.inode(number)?.kind() == Kind::Dir {
                return Err(Errno::NotPermitted.into());
            }
            names.must_be_free(to.inode, to_name)?;
            let inode = names.inode_mut(number)?;
            inode.links += 1;
            inode.changed = Timestamp::now();
            names.put(to.inode, to_name, number)
        })
    }

    fn rename(
        &self,
        from: &DiskDir,
        from_name: Name<'_>,
        to: &DiskDir,
        to_name: Name<'_>,
    ) -> Result<()> {
        self.journal()
            .change(&[from.inode, to.inode], |names, files| {
                let number = names.find(from.inode, from_name)?;
                let is_dir = names.inode(number)?.kind() == Kind::Dir;
                if names.inode(to.inode)?.links == 0 {
                    return Err(Errno::NoEntry.into());
                }
                match names.find(to.inode, to_name) {
                    Ok(there) if there == number => return Ok(()),
                    Ok(_) => drop(names.take(to.inode, to_name, is_dir)?),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
                names.entries_mut(from.inode)?.remove(from_name.as_bytes());
                names.inode_mut(from.inode)?.touch();
                names.inode_mut(number)?.changed = Timestamp::now();
                if let Some(content) = files.get_mut(&number) {
                    content.is_published = true;
                }
                names.put(to.inode, to_name, number)
            })
    }

    fn remove_file(&self, dir: &DiskDir, name: Name<'_>) -> Result<()> {
        self.journal()
            .change(&[dir.inode], |names, _| names.take(dir.inode, name, false))
            .map(drop)
    }

    fn remove_dir(&self, dir: &DiskDir, name: Name<'_>) -> Result<()> {
        self.journal()
            .change(&[dir.inode], |names, _| names.take(dir.inode, name, true))
            .map(drop)
    }

    fn list(
        &self,
        dir: &DiskDir,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        let names = self.journal().now().names.clone();
        for (name, number) in names.inode(dir.inode)?.entries()? {
            let kind = names.inode(*number)?.kind();
            if each(Name::new(name)?, kind, *number).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn set_times(&self, dir: &DiskDir, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        self.alter(dir, name, |inode| inode.set(times))
    }

    fn sync_dir(&self, dir: &DiskDir) -> Result<()> {
        self.journal().sync_dir(dir.inode);
        Ok(())
    }

    fn sync_all(&self) -> Result<()> {
        self.journal().sync_all();
        Ok(())
    }

    fn set_mode(&self, dir: &DiskDir, name: Option<Name<'_>>, mode: u32) -> Result<()> {
        self.alter(dir, name, |inode| inode.mode = mode)
    }

    fn set_owner(&self, dir: &DiskDir, name: Option<Name<'_>>, owner: (u32, u32)) -> Result<()> {
        self.alter(dir, name, |inode| inode.owner = owner)
    }

    fn xattrs(&self, dir: &DiskDir, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
        let journal = self.journal();
        let names = &journal.now().names;
        let inode = names.inode(names.at(dir.inode, name)?)?;
        Ok(inode.xattrs.keys().map(|key| key[..].into()).collect())
    }

    fn xattr(
        &self,
        dir: &DiskDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let journal = self.journal();
        let names = &journal.now().names;
        let inode = names.inode(names.at(dir.inode, name)?)?;
        Ok(inode.xattrs.get(attribute).cloned())
    }

    fn set_xattr(
        &self,
        dir: &DiskDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        let (attribute, value) = (attribute.to_vec(), value.to_vec());
        self.alter(dir, name, |inode| {
            inode.xattrs.insert(attribute, value);
        })
    }

    fn remove_xattr(&self, dir: &DiskDir, name: Option<Name<'_>>, attribute: &[u8]) -> Result<()> {
        if self.xattr(dir, name, attribute)?.is_none() {
            return Err(Errno::NoEntry.into());
        }
        self.alter(dir, name, |inode| {
            inode.xattrs.remove(attribute);
        })
    }

    fn lock(&self) -> Result<()> {
        if self.shared.locked.swap(true, Ordering::SeqCst) {
            Err(Errno::Busy.into())
        } else {
            Ok(())
        }
    }

    fn unlock(&self) {
        self.shared.locked.store(false, Ordering::SeqCst);
    }
}

impl Disk {
    fn alter(
        &self,
        dir: &DiskDir,
        name: Option<Name<'_>>,
        alter: impl FnOnce(&mut Inode),
    ) -> Result<()> {
        self.journal().change(&[], |names, _| {
            let number = names.at(dir.inode, name)?;
            alter(names.inode_mut(number)?);
            Ok(())
        })
    }
}
