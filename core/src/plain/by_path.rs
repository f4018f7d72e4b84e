//! [`ByPath`]: a plain tree for tests whose directory handles are paths and whose inode numbers change.
//!
//! Some platforms have nothing better: there a handle is the path at which the directory was
//! opened. After a rename of the directory, or of one above it, the handle leads nowhere or to another
//! directory. Nor do they have inode numbers: in their place is a hash, which here changes with the content
//! of a directory, and listings have no numbers.

use crate::error::Result;
use crate::layer::XattrNames;
use crate::meta::{Kind, Meta, SetTimes};
use crate::name::{Name, NameBuf};
use crate::place::Place;
use crate::plain::{Access, Plain};
use std::ops::ControlFlow;

/// A plain tree, reached by paths.
#[derive(Debug)]
pub struct ByPath<P>(P);

/// The path of a directory from the top.
#[derive(Clone, Debug)]
pub struct PathHandle(Vec<NameBuf>);

impl<P: Plain> ByPath<P> {
    /// `plain`, reached by paths.
    pub fn new(plain: P) -> Self {
        Self(plain)
    }

    /// Opens the directory that the path leads to now.
    fn at(&self, dir: &PathHandle) -> Result<P::Dir> {
        let root = self.0.root()?;
        dir.0
            .iter()
            .try_fold(root, |dir, name| self.0.open_dir(&dir, name.as_name()))
    }
}

impl<P: Plain> Plain for ByPath<P> {
    type Dir = PathHandle;
    type File = P::File;

    fn label(&self) -> String {
        self.0.label()
    }

    fn place(&self) -> Result<Option<Place>> {
        self.0.place()
    }

    fn root(&self) -> Result<PathHandle> {
        Ok(PathHandle(Vec::new()))
    }

    fn handles_follow_rename(&self) -> bool {
        false
    }

    fn meta(&self, dir: &PathHandle, name: Option<Name<'_>>) -> Result<Meta> {
        let mut meta = self.0.meta(&self.at(dir)?, name)?;
        if meta.kind == Kind::Dir {
            meta.inode ^= u64::from(meta.modified.nanoseconds) << 32;
        }
        Ok(meta)
    }

    fn is_mount_point(&self, dir: &PathHandle, name: Name<'_>) -> Result<bool> {
        self.0.is_mount_point(&self.at(dir)?, name)
    }

    fn open_dir(&self, dir: &PathHandle, name: Name<'_>) -> Result<PathHandle> {
        self.0.open_dir(&self.at(dir)?, name)?;
        let mut path = dir.clone();
        path.0.push(name.to_owned());
        Ok(path)
    }

    fn open_file(&self, dir: &PathHandle, name: Name<'_>, access: Access) -> Result<P::File> {
        self.0.open_file(&self.at(dir)?, name, access)
    }

    fn create_file(&self, dir: &PathHandle, name: Name<'_>, mode: u32) -> Result<P::File> {
        self.0.create_file(&self.at(dir)?, name, mode)
    }

    fn create_empty(&self, dir: &PathHandle, name: Name<'_>, mode: u32) -> Result<()> {
        self.0.create_empty(&self.at(dir)?, name, mode)
    }

    fn create_dir(&self, dir: &PathHandle, name: Name<'_>, mode: u32) -> Result<()> {
        self.0.create_dir(&self.at(dir)?, name, mode)
    }

    fn symlink(&self, dir: &PathHandle, name: Name<'_>, target: &[u8]) -> Result<()> {
        self.0.symlink(&self.at(dir)?, name, target)
    }

    fn read_link(&self, dir: &PathHandle, name: Name<'_>) -> Result<Box<[u8]>> {
        self.0.read_link(&self.at(dir)?, name)
    }

    fn link(
        &self,
        from: &PathHandle,
        from_name: Name<'_>,
        to: &PathHandle,
        to_name: Name<'_>,
    ) -> Result<()> {
        let (from, to) = (self.at(from)?, self.at(to)?);
        self.0.link(&from, from_name, &to, to_name)
    }

    fn rename(
        &self,
        from: &PathHandle,
        from_name: Name<'_>,
        to: &PathHandle,
        to_name: Name<'_>,
    ) -> Result<()> {
        let (from, to) = (self.at(from)?, self.at(to)?);
        self.0.rename(&from, from_name, &to, to_name)
    }

    fn remove_file(&self, dir: &PathHandle, name: Name<'_>) -> Result<()> {
        self.0.remove_file(&self.at(dir)?, name)
    }

    fn remove_dir(&self, dir: &PathHandle, name: Name<'_>) -> Result<()> {
        self.0.remove_dir(&self.at(dir)?, name)
    }

    fn list(
        &self,
        dir: &PathHandle,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        self.0
            .list(&self.at(dir)?, &mut |name, kind, _| each(name, kind, 0))
    }

    fn set_times(&self, dir: &PathHandle, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        self.0.set_times(&self.at(dir)?, name, times)
    }

    fn sync_dir(&self, dir: &PathHandle) -> Result<()> {
        self.0.sync_dir(&self.at(dir)?)
    }

    fn sync_all(&self) -> Result<()> {
        self.0.sync_all()
    }

    fn set_mode(&self, dir: &PathHandle, name: Option<Name<'_>>, mode: u32) -> Result<()> {
        self.0.set_mode(&self.at(dir)?, name, mode)
    }

    fn set_owner(&self, dir: &PathHandle, name: Option<Name<'_>>, owner: (u32, u32)) -> Result<()> {
        self.0.set_owner(&self.at(dir)?, name, owner)
    }

    fn xattrs(&self, dir: &PathHandle, name: Option<Name<'_>>) -> Result<XattrNames> {
        self.0.xattrs(&self.at(dir)?, name)
    }

    fn xattrs_of(&self, file: &P::File, dir: &PathHandle, name: Name<'_>) -> Result<XattrNames> {
        self.0.xattrs_of(file, &self.at(dir)?, name)
    }

    fn xattr(
        &self,
        dir: &PathHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.0.xattr(&self.at(dir)?, name, attribute)
    }

    fn set_xattr(
        &self,
        dir: &PathHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        self.0.set_xattr(&self.at(dir)?, name, attribute, value)
    }

    fn remove_xattr(
        &self,
        dir: &PathHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<()> {
        self.0.remove_xattr(&self.at(dir)?, name, attribute)
    }

    fn lock(&self) -> Result<()> {
        self.0.lock()
    }

    fn lock_shared(&self) -> Result<()> {
        self.0.lock_shared()
    }

    fn unlock(&self) {
        self.0.unlock();
    }
}
