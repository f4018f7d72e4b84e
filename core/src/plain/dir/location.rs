//! [`DirLocation`]: the position of a directory among its ancestors, in its mount and in its filesystem.
//!
//! ```text
//!   mount 42, which begins at /srv of its filesystem
//!   ├ up/dir   itself        (device, inode) ─┐
//!   ├ up                     (device, inode)  │ compared by number
//!   ├ .        the mount's root               ┘
//!   │ /srv, /                                   compared by name: no descriptor leads there
//!   mount 1
//!   └ the mount point of 42, up to /            counts only for a layer that crosses mounts
//! ```

use super::mounts::{self, Mounts};
use super::{errno::from_errno, list, open};
use crate::error::{Errno, Error, Result};
use crate::host_descriptors::is_exhausted;
use crate::place::Relation;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// The position of a directory.
pub(crate) struct DirLocation {
    /// Device and inode number.
    id: Id,
    /// The ID of its mount, if the system reports it.
    mount: Option<u64>,
    /// Whether filesystems that are mounted inside it belong to it.
    crosses_mounts: bool,
    /// Computed from `dir` when it is first needed.
    ancestry: OnceLock<Ancestry>,
    /// `None` if the ancestry was computed at the start.
    dir: Option<Arc<OwnedFd>>,
}

/// The ancestors of a directory.
struct Ancestry {
    /// Device and inode number of the directory and of its ancestors up to the process's root,
    /// itself first.
    ids: Box<[Id]>,
    /// The number of these that are in its own mount; all if the system does not report mounts.
    in_mount: usize,
    /// Its path from the process's root, if procfs shows it.
    path: Option<Vec<u8>>,
}

/// Device and inode number.
type Id = (u64, u64);

/// The table of mounts, read only if it is needed: directories of one mount are compared without it.
#[derive(Default)]
pub(crate) struct LazyMounts {
    table: OnceCell<Mounts>,
    is_missing: Cell<bool>,
}

impl LazyMounts {
    fn get(&self) -> Option<&Mounts> {
        let table = self.table.get();
        if table.is_none() {
            self.is_missing.set(true);
        }
        table
    }

    /// Whether a comparison needed the table before it was read. The result of that comparison is not
    /// valid.
    pub(crate) fn is_missing(&self) -> bool {
        self.is_missing.get()
    }

    /// Reads the table, for the next comparison.
    ///
    /// # Errors
    /// `mfile` if the process has no descriptor left; those of the system.
    pub(crate) fn read(&self) -> Result<()> {
        let table = Mounts::read().map_err(from_errno)?;
        self.table.get_or_init(|| table);
        self.is_missing.set(false);
        Ok(())
    }
}

/// A directory, and the ID of its mount.
type Step = (Id, Option<u64>);

/// Walks from directories up to the root. Layers are often siblings, so a walk stops where it meets an
/// earlier one.
#[derive(Default)]
pub(crate) struct AncestorWalks(Vec<Vec<Step>>);

impl AncestorWalks {
    /// The directory and its ancestors, itself first.
    fn walk(&mut self, dir: BorrowedFd<'_>, first: Step) -> Result<&[Step]> {
        let mut steps = vec![first];
        let mut at = up(dir)?;
        // A directory that may not be searched ends the walk: its ancestors are compared by path.
        while let Some(dir) = at {
            let Ok(found) = identify(dir.as_fd()) else {
                break;
            };
            if steps.last() == Some(&found) {
                break;
            }
            if let Some(above) = self.above(found) {
                steps.push(found);
                steps.extend_from_slice(above);
                break;
            }
            steps.push(found);
            at = up(dir.as_fd())?;
        }
        self.0.push(steps);
        Ok(self.0.last().map_or(&[], Vec::as_slice))
    }

    /// The ancestors of a directory, if an earlier walk passed through it. A directory may be visible in two
    /// mounts with different ancestors, so `None` if the system does not report mounts.
    fn above(&self, step: Step) -> Option<&[Step]> {
        step.1?;
        let mut walks = self.0.iter();
        walks.find_map(|walk| {
            let at = walk.iter().position(|other| *other == step)?;
            walk.get(at + 1..)
        })
    }
}

impl Ancestry {
    fn of(dir: BorrowedFd<'_>, own: Step, walks: &mut AncestorWalks) -> Result<Self> {
        let steps = walks.walk(dir, own)?;
        let is_own = |step: &&Step| step.1 == own.1;
        Ok(Self {
            in_mount: steps.iter().take_while(is_own).count(),
            ids: steps.iter().map(|step| step.0).collect(),
            path: path_of(dir),
        })
    }

    /// Whether the walk left the directory's own mount, so that all its ancestors in the mount
    /// are known, or reached the process's root.
    fn reaches_root(&self) -> bool {
        let is_root = self.path.as_deref().is_some_and(|path| {
            let names = path.split(|&byte| byte == b'/');
            names.filter(|name| !name.is_empty()).count() + 1 == self.in_mount
        });
        self.in_mount < self.ids.len() || is_root
    }
}

impl DirLocation {
    /// The position of a directory that may be closed afterwards.
    pub(crate) fn of(dir: BorrowedFd<'_>, crosses_mounts: bool) -> Result<Self> {
        let location = Self::without_ancestry(dir, crosses_mounts)?;
        let own = (location.id, location.mount);
        let ancestry = Ancestry::of(dir, own, &mut AncestorWalks::default())?;
        Ok(Self {
            ancestry: OnceLock::from(ancestry),
            ..location
        })
    }

    /// The position of a directory that this value keeps open: its ancestors are looked up only for a
    /// comparison, which a lower layer needs only if there are uppers.
    pub(crate) fn of_open(dir: &Arc<OwnedFd>, crosses_mounts: bool) -> Result<Self> {
        let location = Self::without_ancestry(dir.as_fd(), crosses_mounts)?;
        Ok(Self {
            dir: Some(Arc::clone(dir)),
            ..location
        })
    }

    fn without_ancestry(dir: BorrowedFd<'_>, crosses_mounts: bool) -> Result<Self> {
        let found = dir_info(dir).map_err(from_errno)?;
        if found.links == 0 {
            check_not_removed(dir)?;
        }
        Ok(Self {
            id: found.id,
            mount: found.mount,
            crosses_mounts,
            ancestry: OnceLock::new(),
            dir: None,
        })
    }

    /// Whether a comparison needs no system call on the directory.
    pub(crate) fn is_resolved(&self) -> bool {
        self.ancestry.get().is_some()
    }

    /// Looks up the ancestors, once.
    ///
    /// # Errors
    /// `mfile` if the process has no descriptor left.
    pub(crate) fn resolve(&self, walks: &mut AncestorWalks) -> Result<()> {
        if let (None, Some(dir)) = (self.ancestry.get(), &self.dir) {
            let found = Ancestry::of(dir.as_fd(), (self.id, self.mount), walks)?;
            // Another thread may have set the same value.
            self.ancestry.get_or_init(|| found);
        }
        Ok(())
    }

    /// The ancestors. `None` if they cannot be looked up.
    fn ancestry(&self) -> Option<&Ancestry> {
        self.resolve(&mut AncestorWalks::default()).ok()?;
        self.ancestry.get()
    }

    /// Device and inode number of the directory itself.
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn crosses_mounts(&self) -> bool {
        self.crosses_mounts
    }

    /// The relation of this directory to `other`. `None` if neither contains the other.
    pub(crate) fn relation(&self, other: &Self, mounts: &LazyMounts) -> Option<Relation> {
        if self.id() == other.id() {
            Some(Relation::Same)
        } else if self.is_inside(other, mounts) {
            Some(Relation::Inside)
        } else if other.is_inside(self, mounts) {
            Some(Relation::Contains)
        } else {
            None
        }
    }

    fn is_inside(&self, outer: &Self, mounts: &LazyMounts) -> bool {
        let Some(Ancestry { ids, in_mount, .. }) = self.ancestry() else {
            // Refusing an unrelated layer does less harm than changing a layer.
            return true;
        };
        let reach = if outer.crosses_mounts {
            ids.len()
        } else {
            *in_mount
        };
        let above = ids.get(1..reach).unwrap_or_default();
        above.contains(&outer.id) || self.is_inside_by_path(outer, mounts)
    }

    /// Whether `outer` is an ancestor in the filesystem that the walk did not reach: above the root
    /// of this directory's mount, or above a directory that may not be searched.
    fn is_inside_by_path(&self, outer: &Self, mounts: &LazyMounts) -> bool {
        let Some(ancestry) = self.ancestry() else {
            return true;
        };
        if self.mount == outer.mount && ancestry.reaches_root() {
            return false;
        }
        let (Some(own), Some(outer)) = (self.locate(mounts), outer.locate(mounts)) else {
            return false;
        };
        let Some(unknown) = own.names.len().checked_sub(ancestry.in_mount) else {
            return false;
        };
        own.filesystem == outer.filesystem
            && outer.names.len() <= unknown
            && own.names.starts_with(&outer.names)
    }

    fn locate<'a>(&'a self, mounts: &'a LazyMounts) -> Option<mounts::PathInFilesystem<'a>> {
        let path = self.ancestry()?.path.as_deref()?;
        mounts.get()?.locate(self.mount?, path)
    }
}

impl fmt::Debug for DirLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirLocation").field(&self.id()).finish()
    }
}

/// Fails if a directory with a link count of 0 was removed: it can still be opened and looks empty,
/// but nothing can be created in it.
fn check_not_removed(dir: BorrowedFd<'_>) -> Result<()> {
    // Some filesystems in user space do not count links; a listing shows it, where permitted.
    match list::list(dir, &mut |_, _, _| ControlFlow::Break(())) {
        Err(error) if error.is_not_found() => Err(Error::new(
            Errno::NoEntry,
            "the directory was removed: open one that exists",
        )),
        _ => Ok(()),
    }
}

/// Opens the parent directory. `None` if it cannot be opened.
///
/// # Errors
/// `mfile`: a lack of descriptors says nothing about the directory.
fn up(dir: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match open::at(dir, "..", flags, Mode::empty()) {
        Ok(up) => Ok(Some(up)),
        Err(os) if is_exhausted(os) => Err(from_errno(os)),
        Err(_) => Ok(None),
    }
}

/// What `statx` reports about an open directory.
struct DirInfo {
    id: Id,
    /// The ID of its mount, if the system reports it.
    mount: Option<u64>,
    links: u32,
}

fn dir_info(dir: BorrowedFd<'_>) -> rustix::io::Result<DirInfo> {
    let mask = StatxFlags::INO | StatxFlags::NLINK | StatxFlags::MNT_ID;
    let flags = AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let statx = rustix::fs::statx(dir, "", flags, mask)?;
    let device = rustix::fs::makedev(statx.stx_dev_major, statx.stx_dev_minor);
    let mount = if StatxFlags::from_bits_retain(statx.stx_mask).contains(StatxFlags::MNT_ID) {
        Some(statx.stx_mnt_id)
    } else {
        // Linux before 5.8.
        mounts::of_descriptor(dir)?
    };
    Ok(DirInfo {
        id: (device, statx.stx_ino),
        mount,
        links: statx.stx_nlink,
    })
}

fn identify(dir: BorrowedFd<'_>) -> rustix::io::Result<Step> {
    dir_info(dir).map(|found| (found.id, found.mount))
}

/// Whether both are in one mount, or, if the system does not report mounts, on one device.
pub(super) fn is_same_mount(
    one: BorrowedFd<'_>,
    other: BorrowedFd<'_>,
) -> rustix::io::Result<bool> {
    let (one, other) = (identify(one)?, identify(other)?);
    Ok(match (one.1, other.1) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => one.0.0 == other.0.0,
    })
}

/// The path that procfs shows for a descriptor.
fn path_of(dir: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", dir.as_raw_fd());
    let path = rustix::fs::readlinkat(CWD, link, Vec::new()).ok()?;
    Some(path.into_bytes())
}
