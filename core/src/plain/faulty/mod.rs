//! [`Faulty`]: a plain tree whose calls fail on command, for tests of the state that an upper is left in.
//!
//! Every call is counted; those that change something or sync it to disk also have a count of their own.
//!
//! ```text
//!   cut_after(2)    ✓ ✓ ✗ ✗ ✗ …     a power cut: earlier changes stay
//!   fail_at(2)      ✓ ✓ ✗ ✓ ✓ …     one change fails: later ones can still repair
//!   fail_call(2)    ✓ ✓ ✗ ✓ ✓ …     the same, counting calls that change nothing too
//!   refuse("chown") ✓ ✓ ✗ ✓ ✗ …     each call of that name fails, as without the permission
//! ```

mod faults;
mod file;

pub use faults::Faults;
pub use file::FaultyFile;

use crate::error::{Errno, Result};
use crate::layer::XattrNames;
use crate::meta::{Kind, Meta, SetTimes};
use crate::name::Name;
use crate::place::Place;
use crate::plain::{Access, Guarantees, Plain};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A plain tree whose calls fail when its [`Faults`] say so.
#[derive(Debug)]
pub struct Faulty<P> {
    plain: P,
    faults: Faults,
    /// The guarantees to report in place of those of the tree.
    guarantees: Option<Guarantees>,
    /// The directories that cannot be renamed.
    fixed: Fixed,
}

/// The directories that cannot be renamed.
#[derive(Clone, Debug)]
enum Fixed {
    None,
    /// Those with these inode numbers.
    Numbers(Arc<BTreeSet<u64>>),
    /// All except those that the engine created and has not published yet.
    Published,
}

impl<P: Plain> Faulty<P> {
    /// `plain`, failing on the command of `faults`.
    pub fn new(plain: P, faults: &Faults) -> Self {
        Self {
            plain,
            faults: faults.clone(),
            guarantees: None,
            fixed: Fixed::None,
        }
    }

    /// The same tree, but reporting other guarantees than it has, to test what relies on them.
    pub fn claiming(mut self, guarantees: Guarantees) -> Self {
        self.guarantees = Some(guarantees);
        self
    }

    /// The same tree, but renaming a directory with one of these inode numbers is `cross-device`, as for
    /// directories of lower layers on the kernel's overlayfs.
    pub fn with_fixed_dirs(mut self, inodes: impl IntoIterator<Item = u64>) -> Self {
        self.fixed = Fixed::Numbers(Arc::new(inodes.into_iter().collect()));
        self
    }

    /// The same tree, but renaming any directory is `cross-device`, unless it is in the work folder.
    pub fn with_all_dirs_fixed(mut self) -> Self {
        self.fixed = Fixed::Published;
        self
    }

    fn file(&self, file: P::File) -> FaultyFile<P::File> {
        FaultyFile {
            file,
            faults: self.faults.clone(),
        }
    }
}

impl<P: Plain> Plain for Faulty<P> {
    type Dir = P::Dir;
    type File = FaultyFile<P::File>;

    const HAS_MODES: bool = P::HAS_MODES;

    fn label(&self) -> String {
        self.plain.label()
    }

    fn place(&self) -> Result<Option<Place>> {
        self.plain.place()
    }

    fn root(&self) -> Result<P::Dir> {
        self.faults.query("open of the root")?;
        self.plain.root()
    }

    fn guarantees(&self) -> Guarantees {
        self.guarantees.unwrap_or_else(|| self.plain.guarantees())
    }

    fn handles_follow_rename(&self) -> bool {
        self.plain.handles_follow_rename()
    }

    fn meta(&self, dir: &P::Dir, name: Option<Name<'_>>) -> Result<Meta> {
        self.faults.query("stat")?;
        self.plain.meta(dir, name)
    }

    fn is_mount_point(&self, dir: &P::Dir, name: Name<'_>) -> Result<bool> {
        self.faults.query("stat")?;
        self.plain.is_mount_point(dir, name)
    }

    fn may_search(&self, dir: &P::Dir) -> Result<bool> {
        self.faults.query("stat")?;
        self.plain.may_search(dir)
    }

    fn open_dir(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::Dir> {
        self.faults.query("open of a directory")?;
        self.plain.open_dir(dir, name)
    }

    fn open_to_list(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::Dir> {
        self.faults.query("open of a directory")?;
        self.plain.open_to_list(dir, name)
    }

    fn open_file(&self, dir: &P::Dir, name: Name<'_>, access: Access) -> Result<Self::File> {
        self.faults.query("open")?;
        let file = self.plain.open_file(dir, name, access)?;
        Ok(self.file(file))
    }

    fn create_file(&self, dir: &P::Dir, name: Name<'_>, mode: u32) -> Result<Self::File> {
        self.faults.change("create")?;
        let file = self.plain.create_file(dir, name, mode)?;
        Ok(self.file(file))
    }

    fn create_empty(&self, dir: &P::Dir, name: Name<'_>, mode: u32) -> Result<()> {
        self.faults.change("create")?;
        self.plain.create_empty(dir, name, mode)
    }

    fn create_dir(&self, dir: &P::Dir, name: Name<'_>, mode: u32) -> Result<()> {
        self.faults.change("mkdir")?;
        self.plain.create_dir(dir, name, mode)
    }

    fn symlink(&self, dir: &P::Dir, name: Name<'_>, target: &[u8]) -> Result<()> {
        self.faults.change("symlink")?;
        self.plain.symlink(dir, name, target)
    }

    fn read_link(&self, dir: &P::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        self.faults.query("readlink")?;
        self.plain.read_link(dir, name)
    }

    fn link(
        &self,
        from: &P::Dir,
        from_name: Name<'_>,
        to: &P::Dir,
        to_name: Name<'_>,
    ) -> Result<()> {
        self.faults.change("link")?;
        self.plain.link(from, from_name, to, to_name)
    }

    fn rename(
        &self,
        from: &P::Dir,
        from_name: Name<'_>,
        to: &P::Dir,
        to_name: Name<'_>,
    ) -> Result<()> {
        self.faults.change("rename")?;
        let is_fixed = |meta: &Meta| match &self.fixed {
            Fixed::None => false,
            Fixed::Numbers(fixed) => fixed.contains(&meta.inode),
            Fixed::Published => !from_name.as_bytes().starts_with(b"wasi-overlay-"),
        };
        if !matches!(self.fixed, Fixed::None) {
            let meta = self.plain.meta(from, Some(from_name))?;
            if meta.kind == Kind::Dir && is_fixed(&meta) {
                return Err(Errno::CrossDevice.into());
            }
        }
        self.plain.rename(from, from_name, to, to_name)
    }

    fn remove_file(&self, dir: &P::Dir, name: Name<'_>) -> Result<()> {
        self.faults.change("unlink")?;
        self.plain.remove_file(dir, name)
    }

    fn remove_dir(&self, dir: &P::Dir, name: Name<'_>) -> Result<()> {
        self.faults.change("rmdir")?;
        self.plain.remove_dir(dir, name)
    }

    fn list(
        &self,
        dir: &P::Dir,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        let failed = self.faults.query("getdents");
        if failed.is_err() {
            // The first part of a long listing succeeds.
            self.plain.list(dir, &mut |name, kind, inode| {
                let _ = each(name, kind, inode); // The call fails even if `each` breaks.
                ControlFlow::Break(())
            })?;
        }
        failed?;
        self.plain.list(dir, each)
    }

    fn set_times(&self, dir: &P::Dir, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        self.faults.change("utimens")?;
        self.plain.set_times(dir, name, times)
    }

    fn sync_dir(&self, dir: &P::Dir) -> Result<()> {
        self.faults.change("fsync of a directory")?;
        self.plain.sync_dir(dir)
    }

    fn sync_all(&self) -> Result<()> {
        self.faults.change("syncfs")?;
        self.plain.sync_all()
    }

    fn set_mode(&self, dir: &P::Dir, name: Option<Name<'_>>, mode: u32) -> Result<()> {
        self.faults.change("chmod")?;
        self.plain.set_mode(dir, name, mode)
    }

    fn set_owner(&self, dir: &P::Dir, name: Option<Name<'_>>, owner: (u32, u32)) -> Result<()> {
        self.faults.change("chown")?;
        self.plain.set_owner(dir, name, owner)
    }

    fn xattrs(&self, dir: &P::Dir, name: Option<Name<'_>>) -> Result<XattrNames> {
        self.faults.query("listxattr")?;
        self.plain.xattrs(dir, name)
    }

    fn xattrs_of(
        &self,
        file: &FaultyFile<P::File>,
        dir: &P::Dir,
        name: Name<'_>,
    ) -> Result<XattrNames> {
        self.faults.query("listxattr")?;
        self.plain.xattrs_of(&file.file, dir, name)
    }

    fn xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.faults.query("getxattr")?;
        self.plain.xattr(dir, name, attribute)
    }

    fn set_xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        self.faults.change("setxattr")?;
        self.plain.set_xattr(dir, name, attribute, value)
    }

    fn remove_xattr(&self, dir: &P::Dir, name: Option<Name<'_>>, attribute: &[u8]) -> Result<()> {
        self.faults.change("removexattr")?;
        self.plain.remove_xattr(dir, name, attribute)
    }

    fn lock(&self) -> Result<()> {
        self.faults.query("flock")?;
        self.plain.lock()
    }

    fn lock_shared(&self) -> Result<()> {
        self.faults.query("flock")?;
        self.plain.lock_shared()
    }

    fn unlock(&self) {
        self.plain.unlock();
    }
}
