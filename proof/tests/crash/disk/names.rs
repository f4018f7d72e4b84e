//! Names and attributes, by the rules of POSIX.

use std::collections::BTreeMap;
use std::sync::Arc;
use wasi_overlay_core::{Errno, Kind, Name, Result, SetTime, SetTimes, Timestamp};

pub(crate) const ROOT: u64 = 2;

/// The names and attributes of all files. Data is kept elsewhere, since it reaches the disk separately.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) inodes: BTreeMap<u64, Arc<Inode>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) what: What,
    pub(super) links: u64,
    pub(crate) mode: u32,
    pub(super) owner: (u32, u32),
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) accessed: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    File,
    Dir(BTreeMap<Vec<u8>, u64>),
    Symlink(Box<[u8]>),
}

impl Inode {
    pub(crate) fn new(what: What, mode: u32) -> Self {
        let now = Timestamp::now();
        Self {
            links: if matches!(what, What::Dir(_)) { 2 } else { 1 },
            what,
            mode,
            owner: (0, 0),
            xattrs: BTreeMap::new(),
            accessed: now,
            modified: now,
            changed: now,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.what {
            What::File => Kind::File,
            What::Dir(_) => Kind::Dir,
            What::Symlink(_) => Kind::Symlink,
        }
    }

    /// Whether it is a directory that was removed.
    pub(crate) fn is_removed(&self) -> bool {
        self.kind() == Kind::Dir && self.links == 0
    }

    pub(crate) fn entries(&self) -> Result<&BTreeMap<Vec<u8>, u64>> {
        match &self.what {
            What::Dir(entries) => Ok(entries),
            What::File | What::Symlink(_) => Err(Errno::NotDirectory.into()),
        }
    }

    pub(crate) fn set(&mut self, times: SetTimes) {
        let now = Timestamp::now();
        let set = |time: &mut Timestamp, to| match to {
            SetTime::Keep => {}
            SetTime::Now => *time = now,
            SetTime::To(to) => *time = to,
        };
        set(&mut self.accessed, times.accessed);
        set(&mut self.modified, times.modified);
        self.changed = now;
    }

    pub(super) fn touch(&mut self) {
        let now = Timestamp::now();
        (self.modified, self.changed) = (now, now);
    }
}

impl Names {
    pub(crate) fn empty() -> Self {
        let root = Inode::new(What::Dir(BTreeMap::new()), 0o755);
        Self {
            inodes: [(ROOT, Arc::new(root))].into(),
        }
    }

    pub(crate) fn inode(&self, inode: u64) -> Result<&Inode> {
        let found = self.inodes.get(&inode).map(|inode| &**inode);
        found.ok_or_else(|| Errno::Io.into())
    }

    pub(crate) fn inode_mut(&mut self, inode: u64) -> Result<&mut Inode> {
        let found = self.inodes.get_mut(&inode).map(Arc::make_mut);
        found.ok_or_else(|| Errno::Io.into())
    }

    pub(super) fn entries_mut(&mut self, dir: u64) -> Result<&mut BTreeMap<Vec<u8>, u64>> {
        match &mut self.inode_mut(dir)?.what {
            What::Dir(entries) => Ok(entries),
            What::File | What::Symlink(_) => Err(Errno::NotDirectory.into()),
        }
    }

    pub(crate) fn find(&self, dir: u64, name: Name<'_>) -> Result<u64> {
        if name.as_bytes().len() > 255 {
            return Err(Errno::NameTooLong.into());
        }
        let found = self.inode(dir)?.entries()?.get(name.as_bytes());
        found.copied().ok_or_else(|| Errno::NoEntry.into())
    }

    /// Recomputes the link counts of all files.
    pub(crate) fn count_links(&mut self) {
        let mut names: BTreeMap<u64, u64> = BTreeMap::new();
        for inode in self.inodes.values() {
            for &number in inode.entries().into_iter().flat_map(BTreeMap::values) {
                *names.entry(number).or_default() += 1;
            }
        }
        for (number, inode) in &mut self.inodes {
            let count = names.get(number).copied().unwrap_or_default();
            let links = match inode.kind() {
                Kind::Dir if *number == ROOT || count > 0 => 2,
                Kind::Dir => 0,
                _ => count,
            };
            if inode.links != links {
                Arc::make_mut(inode).links = links;
            }
        }
    }

    pub(super) fn at(&self, dir: u64, name: Option<Name<'_>>) -> Result<u64> {
        name.map_or(Ok(dir), |name| self.find(dir, name))
    }

    pub(super) fn must_be_free(&self, dir: u64, name: Name<'_>) -> Result<()> {
        match self.find(dir, name) {
            Ok(_) => Err(Errno::Exist.into()),
            Err(_) if self.inode(dir)?.links == 0 => Err(Errno::NoEntry.into()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn add(&mut self, dir: u64, name: Name<'_>, new: Inode) -> Result<u64> {
        self.must_be_free(dir, name)?;
        let number = self.inodes.keys().next_back().map_or(ROOT, |last| last + 1);
        self.inodes.insert(number, Arc::new(new));
        self.put(dir, name, number)?;
        Ok(number)
    }

    pub(super) fn put(&mut self, dir: u64, name: Name<'_>, number: u64) -> Result<()> {
        self.entries_mut(dir)?
            .insert(name.as_bytes().to_vec(), number);
        self.inode_mut(dir)?.touch();
        Ok(())
    }

    /// Removes a name, by the rules of POSIX.
    pub(super) fn take(&mut self, dir: u64, name: Name<'_>, directory: bool) -> Result<u64> {
        let number = self.find(dir, name)?;
        match (&self.inode(number)?.what, directory) {
            (What::Dir(entries), true) if !entries.is_empty() => {
                return Err(Errno::NotEmpty.into());
            }
            (What::Dir(_), false) => return Err(Errno::IsDirectory.into()),
            (What::File | What::Symlink(_), true) => return Err(Errno::NotDirectory.into()),
            (What::Dir(_), true) | (What::File | What::Symlink(_), false) => {}
        }
        self.entries_mut(dir)?.remove(name.as_bytes());
        self.inode_mut(dir)?.touch();
        let inode = self.inode_mut(number)?;
        inode.links = if directory { 0 } else { inode.links - 1 };
        inode.changed = Timestamp::now();
        Ok(number)
    }
}
