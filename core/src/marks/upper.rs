//! An upper in OCI form: the steps of each call.
//!
//! The order of steps is what makes a cut harmless; `docs/design.md` has it as a table. In the
//! code, `●` is the step at which a call happens. What comes before is taken back if the call
//! fails; what comes after cannot fail it any more: it is logged, and mended when the mount ends.
//!
//! The tree is assumed to keep directory operations in the order in which they were made, as
//! ext4, xfs and btrfs do.
//!
//! Lock order: `mounted`, and nothing below it. It is held to look, never across a call but those
//! of `mount` and `unmount`.

use super::oci::{self, MarkName, Spelled};
use super::staging::{self, Staged, Staging};
use super::target::{self, Beside, Cleared};
use super::{kernel, sweep};
use crate::error::{Errno, Error, Result};
use crate::layer::{At, Attributes, Found, Layer, Leave, Listed, New, Over, Upper, WriteAt};
use crate::meta::{Kind, Meta, SetTimes};
use crate::name::Name;
use crate::plain::{Access, Plain};
use crate::sync::Mutex;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A plain tree as an upper layer, with marks in OCI form.
///
/// Marks of other forms are refused: at the root when it is mounted, elsewhere when they are met.
pub struct MarkedUpper<P: Plain> {
    plain: Arc<P>,
    /// The staging folder, while mounted.
    mounted: Mutex<Option<Arc<Staging<P>>>>,
    /// Whether something could not be tidied up, so that the upper is not in its steady state.
    untidy: AtomicBool,
}

impl<P: Plain> MarkedUpper<P> {
    pub(super) fn new(plain: P) -> Self {
        Self {
            plain: Arc::new(plain),
            mounted: Mutex::new(None),
            untidy: AtomicBool::new(false),
        }
    }

    fn staging(&self) -> Result<Arc<Staging<P>>> {
        self.mounted.lock().clone().ok_or_else(|| {
            Error::new(Errno::Invalid, "the upper is not mounted").in_layer(|| self.plain.label())
        })
    }

    fn take(&self) -> Result<Arc<Staging<P>>> {
        let root = self.plain.root()?;
        kernel::check_upper(&*self.plain, &root)?;
        let was_cut = oci::exists(&*self.plain, &root, staging::folder())?;
        let staging = Arc::new(Staging::open(&self.plain, &root)?);
        if was_cut {
            staging.check()?;
            sweep::sweep(&*self.plain, root)?;
            staging.clear()?;
        }
        Ok(staging)
    }

    pub(super) fn plain(&self) -> &P {
        &self.plain
    }

    fn give_back(&self, staging: &Staging<P>) -> Result<()> {
        let root = self.plain.root()?;
        if self.untidy.swap(false, Ordering::Relaxed) {
            // If this fails, the folder stays, and has the next mount try again.
            sweep::sweep(&*self.plain, self.plain.root()?)?;
        }
        staging.close(&root)
    }

    /// Logs what went wrong after a call had happened, or had failed and was taken back.
    pub(super) fn afterwards(&self, name: Name<'_>, result: Result<()>) {
        if let Err(error) = result {
            self.untidy.store(true, Ordering::Relaxed);
            tracing::warn!(
                layer = %self.plain.label(), %name, %error,
                "cannot tidy up after a change; the end of the mount will"
            );
        }
    }

    /// Removes the mark that an entry has made superfluous.
    fn unmark(&self, at: At<'_, P::Dir>) {
        let cleared =
            MarkName::of(at.name).and_then(|mark| oci::clear(&*self.plain, at.dir, mark.name()));
        self.afterwards(at.name, cleared);
    }

    /// Puts a mark beside a name.
    fn mark<'a>(&'a self, at: At<'a, P::Dir>) -> Result<Mark<'a, P>> {
        let name = MarkName::of(at.name)?;
        let is_new = oci::make(&*self.plain, at.dir, name.name())?;
        Ok(Mark {
            upper: self,
            dir: at.dir,
            name,
            is_new,
        })
    }
}

/// A mark that is taken back unless the call happens.
struct Mark<'a, P: Plain> {
    upper: &'a MarkedUpper<P>,
    dir: &'a P::Dir,
    name: MarkName,
    is_new: bool,
}

impl<P: Plain> Mark<'_, P> {
    fn undo(self) {
        if self.is_new {
            let mark = self.name.name();
            let cleared = oci::clear(&*self.upper.plain, self.dir, mark);
            self.upper.afterwards(mark, cleared);
        }
    }
}

/// What was done before a rename, to be taken back if it fails.
struct Prepared<'a, P: Plain> {
    target: Option<Cleared<'a, P>>,
    /// The moved directory, where it was given an opaque mark.
    opaque: Option<P::Dir>,
    source: Option<Mark<'a, P>>,
}

impl<P: Plain> Prepared<'_, P> {
    fn undo(self, upper: &MarkedUpper<P>) {
        if let Some(mark) = self.source {
            mark.undo();
        }
        if let Some(dir) = self.opaque {
            upper.afterwards(oci::opaque(), upper.clear_opaque(&dir));
        }
        if let Some(target) = self.target {
            target.undo();
        }
    }
}

impl<P: Plain> MarkedUpper<P> {
    /// Takes the opaque mark out of a directory again, without moving its times.
    fn clear_opaque(&self, dir: &P::Dir) -> Result<()> {
        let times = SetTimes::of(&self.plain.meta(dir, None)?);
        oci::clear(&*self.plain, dir, oci::opaque())?;
        self.plain.set_times(dir, None, times)
    }

    fn prepare_rename<'a>(
        &'a self,
        prepared: &mut Prepared<'a, P>,
        from: At<'a, P::Dir>,
        to: At<'a, P::Dir>,
        over: Over,
        leave: Leave,
    ) -> Result<()> {
        if over == Over::EmptyDir {
            let beside = Beside::ToClear;
            prepared.target = Some(target::clear(self, to, beside)?);
        }
        let target_is_marked =
            over == Over::Mark || prepared.target.as_ref().is_some_and(Cleared::is_marked);
        if target_is_marked && self.plain.meta(from.dir, Some(from.name))?.kind == Kind::Dir {
            // The mark that will be beside it is removed, so it needs one inside.
            let dir = self.plain.open_dir(from.dir, from.name)?;
            if oci::make_opaque(&*self.plain, &dir)? {
                prepared.opaque = Some(dir);
            }
        }
        if leave == Leave::Mark {
            prepared.source = Some(self.mark(from)?);
        }
        Ok(())
    }

    /// Readies the name at which something staged is about to be.
    fn prepare_publish<'a>(
        &'a self,
        staged: &Staged<P>,
        to: At<'a, P::Dir>,
        over: Over,
    ) -> Result<Option<Cleared<'a, P>>> {
        if staged.kind() != Kind::Dir {
            return Ok(None);
        }
        let target = match over {
            Over::Nothing | Over::File => return Ok(None),
            Over::Mark => None,
            Over::EmptyDir => {
                let beside = Beside::ToClear;
                Some(target::clear(self, to, beside)?)
            }
        };
        match staged.set_opaque() {
            Ok(()) => Ok(target),
            Err(error) => {
                if let Some(target) = target {
                    target.undo();
                }
                Err(error)
            }
        }
    }
}

impl<P: Plain> Layer for MarkedUpper<P> {
    type Dir = P::Dir;
    type File = P::File;

    fn root(&self) -> Result<P::Dir> {
        self.plain.root()
    }

    fn dir_meta(&self, dir: &P::Dir) -> Result<Meta> {
        self.plain.meta(dir, None)
    }

    fn root_is_opaque(&self) -> Result<bool> {
        oci::exists(&*self.plain, &self.plain.root()?, oci::opaque())
    }

    fn find(&self, dir: &P::Dir, name: Name<'_>) -> Result<Found> {
        if oci::is_reserved(name) {
            return Ok(Found::Absent);
        }
        let meta = match self.plain.meta(dir, Some(name)) {
            Ok(meta) => meta,
            Err(error) if error.is_not_found() => return oci::hidden(&*self.plain, dir, name),
            Err(error) => return Err(error),
        };
        if kernel::is_mark(&meta) {
            return Err(kernel::foreign_upper(&*self.plain, name));
        }
        let opaque = meta.kind == Kind::Dir && oci::is_opaque(&*self.plain, dir, name)?;
        Ok(Found::Here { meta, opaque })
    }

    fn open_dir(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::Dir> {
        oci::lookup(name)?;
        self.plain.open_dir(dir, name)
    }

    fn open_file(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::File> {
        oci::lookup(name)?;
        self.plain.open_file(dir, name, Access::Read)
    }

    fn read_link(&self, dir: &P::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        oci::lookup(name)?;
        self.plain.read_link(dir, name)
    }

    fn list(
        &self,
        dir: &P::Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut failed = None;
        self.plain.list(dir, &mut |name, kind, inode| {
            let listed = match oci::spelled(name) {
                Spelled::Mark(hidden) => return each(hidden, Listed::Hidden),
                Spelled::Opaque | Spelled::Reserved => return ControlFlow::Continue(()),
                Spelled::Broken => Err(oci::refused(&*self.plain, name)),
                Spelled::Entry => kernel::listed(&*self.plain, dir, name, kind, inode, false),
            };
            match listed {
                Ok(Some(here @ Listed::Here { .. })) => each(name, here),
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(Listed::Hidden)) => {
                    failed = Some(kernel::foreign_upper(&*self.plain, name));
                    ControlFlow::Break(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn xattrs(&self, dir: &P::Dir, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
        kernel::visible_xattrs(&*self.plain, dir, name)
    }

    fn xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        if kernel::is_overlay_attribute(attribute) {
            return Ok(None);
        }
        self.plain.xattr(dir, name, attribute)
    }
}

impl<P: Plain> Upper for MarkedUpper<P> {
    type Staged = Staged<P>;
    type Writable = P::File;

    fn mount(&self) -> Result<()> {
        self.plain.lock()?;
        match self.take() {
            Ok(staging) => {
                *self.mounted.lock() = Some(staging);
                Ok(())
            }
            Err(error) => {
                self.plain.unlock();
                Err(error)
            }
        }
    }

    fn unmount(&self) -> Result<()> {
        let Some(staging) = self.mounted.lock().take() else {
            return Ok(());
        };
        let closed = self.give_back(&staging);
        self.plain.unlock();
        closed
    }

    fn stage(&self, new: New<'_>) -> Result<Staged<P>> {
        self.staging()?.stage(new)
    }

    fn staged_file<'a>(&self, staged: &'a Staged<P>) -> Option<&'a dyn WriteAt> {
        staged.file().map(|file| file as &dyn WriteAt)
    }

    fn dress(&self, staged: &Staged<P>, attributes: &Attributes) -> Result<()> {
        staged.dress(attributes)
    }

    fn publish(
        &self,
        staged: Staged<P>,
        to: At<'_, P::Dir>,
        over: Over,
        keep_times: bool,
    ) -> Result<Option<P::File>> {
        oci::creation(to.name)?;
        let times = if keep_times {
            Some(SetTimes::of(&self.plain.meta(to.dir, None)?))
        } else {
            None
        };
        let target = self.prepare_publish(&staged, to, over)?;
        let is_marked = over == Over::Mark || target.as_ref().is_some_and(Cleared::is_marked);
        // ●
        let file = match staged.publish(to.dir, to.name) {
            Ok(file) => file,
            Err(error) => {
                if let Some(target) = target {
                    target.undo();
                }
                return Err(error);
            }
        };
        if is_marked {
            self.unmark(to);
        }
        if let Some(times) = times {
            self.afterwards(to.name, self.plain.set_times(to.dir, None, times));
        }
        Ok(file)
    }

    fn create(&self, new: New<'_>, to: At<'_, P::Dir>, over: Over) -> Result<Option<P::File>> {
        oci::creation(to.name)?;
        // ●, in each arm.
        let file = match new {
            New::File => Some(self.plain.create_file(to.dir, to.name, 0o666)?),
            New::Symlink(target) => {
                self.plain.symlink(to.dir, to.name, target)?;
                None
            }
            New::Dir { opaque: false } if over == Over::Nothing => {
                self.plain.create_dir(to.dir, to.name, 0o777)?;
                None
            }
            // It hides something, so it is not whole without its mark.
            New::Dir { .. } => {
                let staged = self.stage(New::Dir { opaque: true })?;
                return self.publish(staged, to, over, false);
            }
        };
        if over == Over::Mark {
            self.unmark(to);
        }
        Ok(file)
    }

    fn remove(&self, at: At<'_, P::Dir>, what: Over, leave: Leave) -> Result<()> {
        oci::lookup(at.name)?;
        match (what, leave) {
            (Over::Nothing, Leave::Nothing) => Ok(()),
            // ● The mark hides nothing: with it or without, the name is not there.
            (Over::Mark, Leave::Nothing) => match MarkName::of(at.name) {
                Ok(mark) => oci::clear(&*self.plain, at.dir, mark.name()),
                Err(_) => Ok(()),
            },
            // ●
            (Over::Nothing | Over::Mark, Leave::Mark) => self.mark(at).map(drop),
            (Over::File, _) => {
                let mark = match leave {
                    Leave::Mark => Some(self.mark(at)?),
                    Leave::Nothing => None,
                };
                // ●
                let removed = self.plain.remove_file(at.dir, at.name);
                if removed.is_err()
                    && let Some(mark) = mark
                {
                    mark.undo();
                }
                removed
            }
            (Over::EmptyDir, _) => {
                let beside = match leave {
                    Leave::Mark => Beside::Always,
                    Leave::Nothing => Beside::Never,
                };
                let target = target::clear(self, at, beside)?;
                // ●
                let removed = self.plain.remove_dir(at.dir, at.name);
                if removed.is_err() {
                    target.undo();
                }
                removed
            }
        }
    }

    fn rename(
        &self,
        from: At<'_, P::Dir>,
        to: At<'_, P::Dir>,
        over: Over,
        leave: Leave,
    ) -> Result<()> {
        oci::lookup(from.name)?;
        oci::creation(to.name)?;
        if leave == Leave::Mark {
            MarkName::of(from.name)?;
        }
        let mut prepared = Prepared {
            target: None,
            opaque: None,
            source: None,
        };
        let renamed = self
            .prepare_rename(&mut prepared, from, to, over, leave)
            // ●
            .and_then(|()| self.plain.rename(from.dir, from.name, to.dir, to.name));
        if renamed.is_err() {
            prepared.undo(self);
            return renamed;
        }
        if over == Over::Mark || prepared.target.as_ref().is_some_and(Cleared::is_marked) {
            self.unmark(to);
        }
        Ok(())
    }

    fn link(&self, from: At<'_, P::Dir>, to: At<'_, P::Dir>, over: Over) -> Result<()> {
        oci::lookup(from.name)?;
        oci::creation(to.name)?;
        // ●
        self.plain.link(from.dir, from.name, to.dir, to.name)?;
        if over == Over::Mark {
            self.unmark(to);
        }
        Ok(())
    }

    fn set_opaque(&self, dir: &P::Dir) -> Result<()> {
        oci::make_opaque(&*self.plain, dir).map(drop)
    }

    fn open_write(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::File> {
        oci::lookup(name)?;
        self.plain.open_file(dir, name, Access::ReadWrite)
    }

    fn set_times(&self, dir: &P::Dir, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        name.map_or(Ok(()), oci::lookup)?;
        self.plain.set_times(dir, name, times)
    }

    fn set_xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        name.map_or(Ok(()), oci::lookup)?;
        if kernel::is_overlay_attribute(attribute) {
            return Err(Errno::NotPermitted.into());
        }
        self.plain.set_xattr(dir, name, attribute, value)
    }

    fn remove_xattr(&self, dir: &P::Dir, name: Option<Name<'_>>, attribute: &[u8]) -> Result<()> {
        name.map_or(Ok(()), oci::lookup)?;
        if kernel::is_overlay_attribute(attribute) {
            return Err(Errno::NoEntry.into());
        }
        self.plain.remove_xattr(dir, name, attribute)
    }

    fn sync_dir(&self, dir: &P::Dir) -> Result<()> {
        self.plain.sync_dir(dir)
    }

    fn sync_all(&self) -> Result<()> {
        self.plain.sync_all()
    }
}
