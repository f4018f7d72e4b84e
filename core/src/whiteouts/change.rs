//! The steps of each change of an upper.
//!
//! `●` is the step at which a call happens. Earlier steps are undone if the call fails. Later steps cannot
//! fail the call any more: a failure is logged, and repaired when the mount ends.
//! The work folder exists during every change that has more than one step (`work.rs`).

use super::empty_dir::{self, Beside, Cleared};
use super::kernel;
use super::mounts;
use super::oci::{self, WhiteoutName};
use super::prepare::Prepared;
use super::staging::{self, Staged};
use super::upper::MarkedUpper;
use crate::error::{Errno, Error, Result};
use crate::layer::{At, Attributes, Durability, Leave, New, Over, Upper, WriteAt};
#[cfg(feature = "native")]
use crate::layer::{Copied, Renumbered};
use crate::meta::{Meta, SetTimes};
use crate::name::Name;
#[cfg(feature = "native")]
use crate::name::NameBuf;
use crate::plain::{Access, Plain};

impl<P: Plain> Upper for MarkedUpper<P> {
    type Staged = Staged<P>;
    type Writable = P::File;

    fn mount(&self, durability: Durability) -> Result<()> {
        self.begin_mount(durability)
    }

    fn unmount(&self) -> Result<()> {
        self.end_mount()
    }

    fn stage(&self, new: New<'_>) -> Result<Staged<P>> {
        staging::stage(&self.folder()?, new)
    }

    fn staged_file<'a>(&self, staged: &'a Staged<P>) -> Option<&'a dyn WriteAt> {
        staged.file().map(|file| file as &dyn WriteAt)
    }

    fn set_attributes(&self, staged: &Staged<P>, attributes: &Attributes) -> Result<()> {
        staged.set_attributes(attributes)
    }

    fn staged_meta(&self, staged: &Staged<P>) -> Result<Meta> {
        staged.meta()
    }

    fn publish(
        &self,
        staged: Staged<P>,
        to: At<'_, P::Dir>,
        over: Over,
        keep_times: bool,
    ) -> Result<Option<P::File>> {
        oci::check_creation(to.name)?;
        let _work = self.begin(true)?;
        let times = if keep_times {
            Some(self.times_of(to)?)
        } else {
            None
        };
        let target = self.prepare_publish(&staged, to, over)?;
        let has_whiteout_beside =
            over == Over::Whiteout || target.as_ref().is_some_and(Cleared::has_whiteout_beside);
        // ●
        let file = match staged.publish(to.dir, to.name, keep_times) {
            Ok(file) => file,
            Err(error) => {
                if let Some(target) = target {
                    target.undo();
                }
                return Err(error);
            }
        };
        if has_whiteout_beside {
            self.remove_superfluous_whiteout(to);
        }
        if let Some(times) = times {
            self.log_cleanup_error(to.name, self.plain().set_times(to.dir, None, times));
        }
        Ok(file)
    }

    fn create(&self, new: New<'_>, to: At<'_, P::Dir>, over: Over) -> Result<Option<P::File>> {
        oci::check_creation(to.name)?;
        let _work = self.begin(over == Over::Whiteout)?;
        // ●, in each arm.
        let file = match new {
            New::File => Some(self.plain().create_file(to.dir, to.name, 0o666)?),
            New::Symlink(target) => {
                self.plain().symlink(to.dir, to.name, target)?;
                None
            }
            New::Dir { opaque: false } if over == Over::Nothing => {
                self.plain().create_dir(to.dir, to.name, 0o777)?;
                None
            }
            // It hides something, so it is not complete without its opaque whiteout.
            New::Dir { .. } => {
                let staged = self.stage(New::Dir { opaque: true })?;
                return self.publish(staged, to, over, false);
            }
        };
        if over == Over::Whiteout {
            self.remove_superfluous_whiteout(to);
        }
        Ok(file)
    }

    fn created_meta(&self, dir: &P::Dir, name: Name<'_>) -> Result<Meta> {
        self.plain().meta(dir, Some(name))
    }

    fn remove(&self, at: At<'_, P::Dir>, what: Over, leave: Leave) -> Result<()> {
        oci::check_lookup(at.name)?;
        match (what, leave) {
            (Over::Nothing, Leave::Nothing) => Ok(()),
            (Over::Whiteout, Leave::Nothing) => {
                let Ok(whiteout) = WhiteoutName::of(at.name) else {
                    return Ok(());
                };
                self.begin(false)?;
                // ● The whiteout hides nothing: the name does not exist, with or without it.
                oci::remove_whiteout(self.plain(), at.dir, whiteout.name())
            }
            (Over::Nothing | Over::Whiteout, Leave::Whiteout) => {
                let whiteout = WhiteoutName::of(at.name)?;
                self.begin(false)?;
                // ●
                oci::create_whiteout(self.plain(), at.dir, whiteout.name()).map(drop)
            }
            (Over::File, _) => {
                let _work = self.begin(leave == Leave::Whiteout)?;
                let whiteout = match leave {
                    Leave::Whiteout => Some(self.add_whiteout(at)?),
                    Leave::Nothing => None,
                };
                // ●
                let removed = self.plain().remove_file(at.dir, at.name);
                if let Some(whiteout) = whiteout {
                    match removed {
                        Ok(()) => self.settle(at),
                        Err(_) => whiteout.undo(),
                    }
                }
                removed
            }
            (Over::EmptyDir, _) => {
                if leave == Leave::Nothing {
                    self.begin(false)?;
                    // ● Most have no whiteouts that would have to be removed first.
                    match self.plain().remove_dir(at.dir, at.name) {
                        Err(error) if is_not_empty(&error) => {}
                        removed => return removed,
                    }
                }
                let beside = match leave {
                    Leave::Whiteout => Beside::Always,
                    Leave::Nothing => Beside::Never,
                };
                let target = empty_dir::clear(self, at, beside)?;
                // ●
                let removed = self.plain().remove_dir(at.dir, at.name);
                match removed {
                    Ok(()) if target.has_whiteout_beside() => self.settle(at),
                    Ok(()) => {}
                    Err(_) => target.undo(),
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
        oci::check_lookup(from.name)?;
        oci::check_creation(to.name)?;
        if leave == Leave::Whiteout {
            WhiteoutName::of(from.name)?;
        }
        let _work = self.begin(over == Over::Whiteout || leave == Leave::Whiteout)?;
        let mut prepared = Prepared {
            target: None,
            opaque: None,
            source: None,
        };
        let renamed = self
            .prepare_rename(&mut prepared, from, to, over, leave)
            // ●
            .and_then(|()| self.plain().rename(from.dir, from.name, to.dir, to.name));
        match &renamed {
            Ok(()) => self.after_rename(&prepared, from, to, (over, leave)),
            Err(_) => prepared.undo(self),
        }
        renamed
    }

    #[cfg(feature = "native")]
    fn staged_dir(&self, staged: &Staged<P>) -> Result<Option<P::Dir>> {
        self.open_staged(staged).map(Some)
    }

    #[cfg(feature = "native")]
    fn copy_into(&self, to: At<'_, P::Dir>, copied: Copied<'_>) -> Result<Meta> {
        oci::check_creation(to.name)?;
        self.make_copy(to, copied)
    }

    #[cfg(feature = "native")]
    fn set_dir_attributes(&self, at: At<'_, P::Dir>, attributes: Attributes) -> Result<()> {
        self.set_copy_attributes(at, attributes)
    }

    #[cfg(feature = "native")]
    fn rename_by_copy(
        &self,
        from: At<'_, P::Dir>,
        to: At<'_, P::Dir>,
        (over, leave): (Over, Leave),
        path: &[NameBuf],
    ) -> Result<Vec<Renumbered>> {
        oci::check_lookup(from.name)?;
        oci::check_creation(to.name)?;
        self.move_by_copy(from, to, (over, leave), path)
    }

    fn link(&self, from: At<'_, P::Dir>, to: At<'_, P::Dir>, over: Over) -> Result<()> {
        oci::check_lookup(from.name)?;
        oci::check_creation(to.name)?;
        let _work = self.begin(over == Over::Whiteout)?;
        // ●
        self.plain().link(from.dir, from.name, to.dir, to.name)?;
        if over == Over::Whiteout {
            self.remove_superfluous_whiteout(to);
        }
        Ok(())
    }

    fn set_opaque(&self, dir: &P::Dir) -> Result<()> {
        oci::make_opaque(self.plain(), dir)?;
        self.barrier(dir)
    }

    fn open_write(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::File> {
        oci::check_lookup(name)?;
        let opened = self.plain().open_file(dir, name, Access::ReadWrite);
        mounts::in_upper(self.plain(), name, opened)
    }

    fn set_times(&self, dir: &P::Dir, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        name.map_or(Ok(()), oci::check_lookup)?;
        mounts::check_not_mounted(self.plain(), dir, name)?;
        let set = || self.plain().set_times(dir, name, times);
        match name {
            Some(_) => set(),
            None => self.folder()?.without_folder_changes(set),
        }
    }

    fn set_xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        name.map_or(Ok(()), oci::check_lookup)?;
        if kernel::is_overlay_attribute(attribute) {
            return Err(Errno::NotPermitted.into());
        }
        mounts::check_not_mounted(self.plain(), dir, name)?;
        self.plain().set_xattr(dir, name, attribute, value)
    }

    fn remove_xattr(&self, dir: &P::Dir, name: Option<Name<'_>>, attribute: &[u8]) -> Result<()> {
        name.map_or(Ok(()), oci::check_lookup)?;
        if kernel::is_overlay_attribute(attribute) {
            return Err(Errno::NoEntry.into());
        }
        mounts::check_not_mounted(self.plain(), dir, name)?;
        self.plain().remove_xattr(dir, name, attribute)
    }

    fn sync_dir(&self, dir: &P::Dir) -> Result<()> {
        self.plain().sync_dir(dir)
    }

    fn sync_all(&self) -> Result<()> {
        self.plain().sync_all()
    }

    fn keeps_order(&self) -> bool {
        self.plain().guarantees().ordered_names
    }

    fn syncs_whole(&self) -> bool {
        self.plain().guarantees().syncs_whole
    }

    fn may_fail_at_close(&self) -> bool {
        !self.plain().guarantees().errors_at_write
    }

    fn handles_follow_rename(&self) -> bool {
        self.plain().handles_follow_rename()
    }
}

/// Whether a directory was not removed because it is not empty. POSIX allows two codes for that.
fn is_not_empty(error: &Error) -> bool {
    matches!(error.errno(), Errno::NotEmpty | Errno::Exist)
}
