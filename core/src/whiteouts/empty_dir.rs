//! Preparation of a directory of the upper that shows no entries and will be removed or replaced.
//!
//! The system removes only a directory that is really empty, so its whiteouts must be removed first; and
//! without them, the layers below must not show through. A whiteout beside the directory ensures that: it
//! makes the directory opaque.
//!
//! ```text
//!   d/  .wh.a  .wh..wh..opq      before
//!   d/  .wh.a  .wh..wh..opq  .wh.d      first the whiteout beside it is created
//!   d/                       .wh.d      then the whiteouts inside are removed
//!                            .wh.d      ● now the directory can be removed
//! ```

use super::oci::{self, NameKind, WhiteoutName};
use super::upper::MarkedUpper;
use super::work::Work;
use crate::error::{Errno, Error, Result};
use crate::layer::At;
use crate::meta::SetTimes;
use crate::name::{Name, NameBuf};
use crate::plain::Plain;
use std::ops::ControlFlow;

/// A directory whose whiteouts were removed.
pub(super) struct Cleared<'a, P: Plain> {
    upper: &'a MarkedUpper<P>,
    parent: &'a P::Dir,
    name: Name<'a>,
    /// The directory and its times before, for the undo. `None` if nothing had to be removed.
    inside: Option<(P::Dir, SetTimes)>,
    /// The whiteout beside it.
    beside: Option<WhiteoutName>,
    /// The times of the parent directory before, if that whiteout is new.
    before: Option<SetTimes>,
    /// Held if there was anything to do.
    _work: Option<Work<P>>,
}

/// When a whiteout is created beside the directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Never: no layer below has the name.
    Never,
    /// If there are whiteouts to remove; a layer below may have the name.
    ToClear,
    /// Always, and it stays: a layer below has the name.
    Always,
}

/// Prepares a directory for removal or replacement.
///
/// # Errors
/// `not-empty` if it shows an entry after all; `name-too-long` if it needs a whiteout whose name would be
/// too long. Nothing is changed then.
pub(super) fn clear<'a, P: Plain>(
    upper: &'a MarkedUpper<P>,
    at: At<'a, P::Dir>,
    beside: Beside,
) -> Result<Cleared<'a, P>> {
    let plain = upper.plain();
    let At {
        dir: parent, name, ..
    } = at;
    let inside = plain.open_dir(parent, name)?;
    let whiteouts = whiteouts_in(plain, &inside)?;
    let needs_whiteout = match beside {
        Beside::Never => false,
        Beside::ToClear => !whiteouts.is_empty(),
        Beside::Always => true,
    };
    let mut cleared = Cleared {
        upper,
        parent,
        name,
        inside: None,
        beside: None,
        before: None,
        _work: upper.begin(needs_whiteout || !whiteouts.is_empty())?,
    };
    if needs_whiteout {
        let whiteout = WhiteoutName::of(name)?;
        let times = upper.times_of(at)?;
        cleared.before = oci::create_whiteout(plain, parent, whiteout.name())?.then_some(times);
        cleared.beside = Some(whiteout);
        if let Err(error) = upper.barrier(parent) {
            return cleared.failed(error);
        }
    }
    if whiteouts.is_empty() {
        return Ok(cleared);
    }
    match plain.meta(&inside, None) {
        Ok(meta) => {
            cleared.inside = Some((inside, SetTimes::of(&meta)));
            cleared.sweep(&whiteouts)
        }
        Err(error) => cleared.failed(error),
    }
}

/// The whiteouts in a directory.
fn whiteouts_in<P: Plain>(plain: &P, dir: &P::Dir) -> Result<Vec<NameBuf>> {
    let mut whiteouts = Vec::new();
    let mut shows = false;
    plain.list(dir, &mut |name, _, _| {
        shows = oci::classify(name) == NameKind::Entry;
        if shows {
            return ControlFlow::Break(());
        }
        whiteouts.push(name.to_owned());
        ControlFlow::Continue(())
    })?;
    if shows {
        return Err(Errno::NotEmpty.into());
    }
    Ok(whiteouts)
}

impl<'a, P: Plain> Cleared<'a, P> {
    fn sweep(self, whiteouts: &[NameBuf]) -> Result<Self> {
        let Some((inside, _)) = &self.inside else {
            return Ok(self);
        };
        for whiteout in whiteouts {
            if let Err(error) = oci::remove_whiteout(self.upper.plain(), inside, whiteout.as_name())
            {
                return self.failed(error);
            }
        }
        Ok(self)
    }

    fn failed<T>(self, error: Error) -> Result<T> {
        self.undo();
        Err(error)
    }

    /// Whether there is a whiteout beside the directory now.
    pub(super) fn has_whiteout_beside(&self) -> bool {
        self.beside.is_some()
    }

    /// Restores what the directory showed before, since it stays after all: to a reader it was empty, so
    /// one opaque whiteout replaces all its whiteouts.
    pub(super) fn undo(self) {
        self.upper.log_cleanup_error(self.name, self.try_undo());
        self.upper.settle(At::new(self.parent, self.name));
    }

    fn try_undo(&self) -> Result<()> {
        if let Some((inside, times)) = &self.inside {
            oci::create_whiteout(self.upper.plain(), inside, oci::opaque_name())?;
            self.upper.plain().set_times(inside, None, *times)?;
            self.upper.barrier(inside)?;
        }
        // Only now: until here the whiteout beside it made the directory opaque.
        let (Some(whiteout), Some(times)) = (&self.beside, self.before) else {
            return Ok(());
        };
        oci::remove_whiteout(self.upper.plain(), self.parent, whiteout.name())?;
        self.upper.plain().set_times(self.parent, None, times)
    }
}
