//! A plain tree that fails on command, to test what an upper leaves behind.
//!
//! Changes of names, marks, attributes and times are counted; reading is not, nor is the data
//! of open files.
//!
//! ```text
//!   cut_after(2)    ✓ ✓ ✗ ✗ ✗ …     the power goes: what came before stays
//!   fail_at(2)      ✓ ✓ ✗ ✓ ✓ …     one call fails: what comes after can still mend
//! ```

use crate::error::{Errno, Error, Result};
use crate::meta::{Kind, Meta, SetTimes};
use crate::name::Name;
use crate::plain::{Access, Plain};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A plain tree whose changes fail when its [`Faults`] say so.
#[derive(Debug)]
pub struct Faulty<P> {
    plain: P,
    faults: Faults,
}

/// Says which changes fail. A clone speaks to the same tree.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<State>);

#[derive(Debug)]
struct State {
    /// Changes asked for since the last command.
    asked: AtomicU64,
    /// The first that fails, and the first after it that does not.
    fails_from: AtomicU64,
    fails_until: AtomicU64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            asked: AtomicU64::new(0),
            fails_from: AtomicU64::new(u64::MAX),
            fails_until: AtomicU64::new(u64::MAX),
        }
    }
}

impl Faults {
    /// Lets `count` changes be made, and none from then on.
    pub fn cut_after(&self, count: u64) {
        self.command(count, u64::MAX);
    }

    /// Lets `count` changes be made, fails the next, and lets the rest be made.
    pub fn fail_at(&self, count: u64) {
        self.command(count, count.saturating_add(1));
    }

    /// Lets all changes be made.
    pub fn never(&self) {
        self.command(u64::MAX, u64::MAX);
    }

    /// How many changes were asked for since the last command, failed ones included.
    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn command(&self, from: u64, until: u64) {
        self.0.asked.store(0, Ordering::SeqCst);
        self.0.fails_from.store(from, Ordering::SeqCst);
        self.0.fails_until.store(until, Ordering::SeqCst);
    }

    fn change(&self) -> Result<()> {
        let this = self.0.asked.fetch_add(1, Ordering::SeqCst);
        let from = self.0.fails_from.load(Ordering::SeqCst);
        let until = self.0.fails_until.load(Ordering::SeqCst);
        if (from..until).contains(&this) {
            return Err(Error::new(Errno::Io, "this change was made to fail"));
        }
        Ok(())
    }
}

impl<P: Plain> Faulty<P> {
    /// `plain`, failing on the command of `faults`.
    pub fn new(plain: P, faults: &Faults) -> Self {
        Self {
            plain,
            faults: faults.clone(),
        }
    }
}

impl<P: Plain> Plain for Faulty<P> {
    type Dir = P::Dir;
    type File = P::File;

    fn label(&self) -> String {
        self.plain.label()
    }

    fn root(&self) -> Result<P::Dir> {
        self.plain.root()
    }

    fn handles_follow_rename(&self) -> bool {
        self.plain.handles_follow_rename()
    }

    fn meta(&self, dir: &P::Dir, name: Option<Name<'_>>) -> Result<Meta> {
        self.plain.meta(dir, name)
    }

    fn open_dir(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::Dir> {
        self.plain.open_dir(dir, name)
    }

    fn open_file(&self, dir: &P::Dir, name: Name<'_>, access: Access) -> Result<P::File> {
        self.plain.open_file(dir, name, access)
    }

    fn create_file(&self, dir: &P::Dir, name: Name<'_>, mode: u32) -> Result<P::File> {
        self.faults.change()?;
        self.plain.create_file(dir, name, mode)
    }

    fn create_dir(&self, dir: &P::Dir, name: Name<'_>, mode: u32) -> Result<()> {
        self.faults.change()?;
        self.plain.create_dir(dir, name, mode)
    }

    fn symlink(&self, dir: &P::Dir, name: Name<'_>, target: &[u8]) -> Result<()> {
        self.faults.change()?;
        self.plain.symlink(dir, name, target)
    }

    fn read_link(&self, dir: &P::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        self.plain.read_link(dir, name)
    }

    fn link(
        &self,
        from: &P::Dir,
        from_name: Name<'_>,
        to: &P::Dir,
        to_name: Name<'_>,
    ) -> Result<()> {
        self.faults.change()?;
        self.plain.link(from, from_name, to, to_name)
    }

    fn rename(
        &self,
        from: &P::Dir,
        from_name: Name<'_>,
        to: &P::Dir,
        to_name: Name<'_>,
    ) -> Result<()> {
        self.faults.change()?;
        self.plain.rename(from, from_name, to, to_name)
    }

    fn remove_file(&self, dir: &P::Dir, name: Name<'_>) -> Result<()> {
        self.faults.change()?;
        self.plain.remove_file(dir, name)
    }

    fn remove_dir(&self, dir: &P::Dir, name: Name<'_>) -> Result<()> {
        self.faults.change()?;
        self.plain.remove_dir(dir, name)
    }

    fn list(
        &self,
        dir: &P::Dir,
        each: &mut dyn FnMut(Name<'_>, Kind, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        self.plain.list(dir, each)
    }

    fn set_times(&self, dir: &P::Dir, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        self.faults.change()?;
        self.plain.set_times(dir, name, times)
    }

    fn sync_dir(&self, dir: &P::Dir) -> Result<()> {
        self.plain.sync_dir(dir)
    }

    fn sync_all(&self) -> Result<()> {
        self.plain.sync_all()
    }

    fn set_mode(&self, dir: &P::Dir, name: Option<Name<'_>>, mode: u32) -> Result<()> {
        self.faults.change()?;
        self.plain.set_mode(dir, name, mode)
    }

    fn set_owner(&self, dir: &P::Dir, name: Option<Name<'_>>, owner: (u32, u32)) -> Result<()> {
        self.faults.change()?;
        self.plain.set_owner(dir, name, owner)
    }

    fn xattrs(&self, dir: &P::Dir, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
        self.plain.xattrs(dir, name)
    }

    fn xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.plain.xattr(dir, name, attribute)
    }

    fn set_xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        self.faults.change()?;
        self.plain.set_xattr(dir, name, attribute, value)
    }

    fn remove_xattr(&self, dir: &P::Dir, name: Option<Name<'_>>, attribute: &[u8]) -> Result<()> {
        self.faults.change()?;
        self.plain.remove_xattr(dir, name, attribute)
    }

    fn lock(&self) -> Result<()> {
        self.plain.lock()
    }

    fn unlock(&self) {
        self.plain.unlock();
    }
}
