//! The steps before a change of an upper happens, and their undoing.

use super::empty_dir::{self, Beside, Cleared};
use super::oci::{self, WhiteoutName};
use super::staging::Staged;
use super::upper::MarkedUpper;
use crate::error::Result;
use crate::layer::{At, Leave, Over};
use crate::meta::{Kind, SetTimes};
use crate::plain::Plain;

/// A whiteout that is removed again if the call fails.
pub(super) struct NewWhiteout<'a, P: Plain> {
    upper: &'a MarkedUpper<P>,
    dir: &'a P::Dir,
    name: WhiteoutName,
    /// The directory's times before, if the whiteout is new.
    before: Option<SetTimes>,
}

impl<P: Plain> NewWhiteout<'_, P> {
    pub(super) fn undo(self) {
        if let Some(times) = self.before {
            let (plain, whiteout) = (self.upper.plain(), self.name.name());
            let cleared = oci::remove_whiteout(plain, self.dir, whiteout);
            let undone = cleared.and_then(|()| plain.set_times(self.dir, None, times));
            self.upper.log_cleanup_error(whiteout, undone);
            self.upper.settle(At::new(self.dir, whiteout));
        }
    }
}

/// The steps done before a rename, to be undone if it fails.
pub(super) struct Prepared<'a, P: Plain> {
    pub(super) target: Option<Cleared<'a, P>>,
    /// The moved directory, if it was made opaque.
    pub(super) opaque: Option<P::Dir>,
    pub(super) source: Option<NewWhiteout<'a, P>>,
}

impl<P: Plain> Prepared<'_, P> {
    pub(super) fn undo(self, upper: &MarkedUpper<P>) {
        if let Some(whiteout) = self.source {
            whiteout.undo();
        }
        if let Some(dir) = self.opaque {
            upper.log_cleanup_error(oci::opaque_name(), upper.clear_opaque(&dir));
        }
        if let Some(target) = self.target {
            target.undo();
        }
    }
}

impl<P: Plain> MarkedUpper<P> {
    /// Creates a whiteout beside a name, so that it survives any crash that keeps the next step.
    pub(super) fn add_whiteout<'a>(&'a self, at: At<'a, P::Dir>) -> Result<NewWhiteout<'a, P>> {
        let name = WhiteoutName::of(at.name)?;
        let times = self.times_of(at)?;
        let is_new = oci::create_whiteout(self.plain(), at.dir, name.name())?;
        let whiteout = NewWhiteout {
            upper: self,
            dir: at.dir,
            name,
            before: is_new.then_some(times),
        };
        if let Err(error) = self.barrier(at.dir) {
            whiteout.undo();
            return Err(error);
        }
        Ok(whiteout)
    }

    /// The times to restore on a directory after an internal step.
    pub(super) fn times_of(&self, at: At<'_, P::Dir>) -> Result<SetTimes> {
        Ok(SetTimes::of(&self.plain().meta(at.dir, None)?))
    }

    /// Removes the opaque whiteout from a directory again, without changing its times.
    fn clear_opaque(&self, dir: &P::Dir) -> Result<()> {
        let times = SetTimes::of(&self.plain().meta(dir, None)?);
        oci::remove_whiteout(self.plain(), dir, oci::opaque_name())?;
        self.plain().set_times(dir, None, times)
    }

    pub(super) fn prepare_rename<'a>(
        &'a self,
        prepared: &mut Prepared<'a, P>,
        from: At<'a, P::Dir>,
        to: At<'a, P::Dir>,
        over: Over,
        leave: Leave,
    ) -> Result<()> {
        if over == Over::EmptyDir {
            let beside = Beside::ToClear;
            prepared.target = Some(empty_dir::clear(self, to, beside)?);
        }
        let target_has_whiteout = over == Over::Whiteout
            || prepared
                .target
                .as_ref()
                .is_some_and(Cleared::has_whiteout_beside);
        if target_has_whiteout && self.plain().meta(from.dir, Some(from.name))?.kind == Kind::Dir {
            // The whiteout beside its new name will be removed, so the directory needs an opaque one
            // inside.
            let dir = self.plain().open_dir(from.dir, from.name)?;
            let is_new = oci::make_opaque(self.plain(), &dir)?;
            let synced = self.barrier(&dir);
            prepared.opaque = is_new.then_some(dir);
            synced?;
        }
        if leave == Leave::Whiteout {
            prepared.source = Some(self.add_whiteout(from)?);
        }
        Ok(())
    }

    /// Removes the whiteouts that a rename has made superfluous.
    pub(super) fn after_rename(
        &self,
        prepared: &Prepared<'_, P>,
        from: At<'_, P::Dir>,
        to: At<'_, P::Dir>,
        (over, leave): (Over, Leave),
    ) {
        if over == Over::Whiteout
            || prepared
                .target
                .as_ref()
                .is_some_and(Cleared::has_whiteout_beside)
        {
            self.remove_superfluous_whiteout(to);
        }
        if leave == Leave::Whiteout {
            self.settle(from);
        }
    }

    /// Prepares a name for publishing.
    pub(super) fn prepare_publish<'a>(
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
            Over::Whiteout => None,
            Over::EmptyDir => {
                let beside = Beside::ToClear;
                Some(empty_dir::clear(self, to, beside)?)
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
