//! A directory of the upper that shows nothing and is about to be removed or replaced.
//!
//! The system takes away only what is really empty, so its marks must go first; and while they
//! are gone, nothing below may show through. A mark beside the directory sees to that: it is
//! opaque from then on.
//!
//! ```text
//!   d/  .wh.a  .wh..wh..opq      before
//!   d/  .wh.a  .wh..wh..opq  .wh.d      the mark beside it first
//!   d/                       .wh.d      then its own are cleared
//!                            .wh.d      ● and now it can go
//! ```

use super::oci::{self, MarkName, Spelled};
use super::upper::MarkedUpper;
use super::work::Work;
use crate::error::{Errno, Error, Result};
use crate::layer::At;
use crate::meta::SetTimes;
use crate::name::{Name, NameBuf};
use crate::plain::Plain;
use std::ops::ControlFlow;

/// A directory whose marks were cleared.
pub(super) struct Cleared<'a, P: Plain> {
    upper: &'a MarkedUpper<P>,
    parent: &'a P::Dir,
    name: Name<'a>,
    /// What is inside, to be put back; none if nothing had to be cleared.
    inside: Option<(P::Dir, SetTimes)>,
    /// The mark beside it.
    beside: Option<MarkName>,
    /// The times of the directory above before, where that mark is new.
    before: Option<SetTimes>,
    /// Where there was anything to do.
    _work: Option<Work<P>>,
}

/// When a mark is put beside the directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Never: nothing of that name lies below.
    Never,
    /// If there is anything to clear; something may lie below.
    ToClear,
    /// Always, and it stays: something lies below.
    Always,
}

/// Readies the directory `name` to go.
///
/// # Errors
/// `not-empty` if it shows something after all; `name-too-long` if it needs a mark that cannot
/// be spelled. Nothing is changed then.
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
    let marks = marks_in(plain, &inside)?;
    let needs_mark = match beside {
        Beside::Never => false,
        Beside::ToClear => !marks.is_empty(),
        Beside::Always => true,
    };
    let mut cleared = Cleared {
        upper,
        parent,
        name,
        inside: None,
        beside: None,
        before: None,
        _work: upper.begin(needs_mark || !marks.is_empty())?,
    };
    if needs_mark {
        let mark = MarkName::of(name)?;
        let times = upper.times_of(at)?;
        cleared.before = oci::make(plain, parent, mark.name())?.then_some(times);
        cleared.beside = Some(mark);
        if let Err(error) = upper.barrier(parent) {
            return cleared.failed(error);
        }
    }
    if marks.is_empty() {
        return Ok(cleared);
    }
    match plain.meta(&inside, None) {
        Ok(meta) => {
            cleared.inside = Some((inside, SetTimes::of(&meta)));
            cleared.sweep(&marks)
        }
        Err(error) => cleared.failed(error),
    }
}

/// The marks in a directory.
fn marks_in<P: Plain>(plain: &P, dir: &P::Dir) -> Result<Vec<NameBuf>> {
    let mut marks = Vec::new();
    let mut shows = false;
    plain.list(dir, &mut |name, _, _| {
        shows = oci::spelled(name) == Spelled::Entry;
        if shows {
            return ControlFlow::Break(());
        }
        marks.push(name.to_owned());
        ControlFlow::Continue(())
    })?;
    if shows {
        return Err(Errno::NotEmpty.into());
    }
    Ok(marks)
}

impl<'a, P: Plain> Cleared<'a, P> {
    fn sweep(self, marks: &[NameBuf]) -> Result<Self> {
        let Some((inside, _)) = &self.inside else {
            return Ok(self);
        };
        for mark in marks {
            if let Err(error) = oci::clear(self.upper.plain(), inside, mark.as_name()) {
                return self.failed(error);
            }
        }
        Ok(self)
    }

    fn failed<T>(self, error: Error) -> Result<T> {
        self.undo();
        Err(error)
    }

    /// Whether a mark stands beside the directory now.
    pub(super) fn is_marked(&self) -> bool {
        self.beside.is_some()
    }

    /// Puts back what was shown before, since the directory stays after all: it was empty to a
    /// reader, so one opaque mark says all that its marks did.
    pub(super) fn undo(self) {
        self.upper.afterwards(self.name, self.try_undo());
        self.upper.settle(At::new(self.parent, self.name));
    }

    fn try_undo(&self) -> Result<()> {
        if let Some((inside, times)) = &self.inside {
            oci::make(self.upper.plain(), inside, oci::opaque())?;
            self.upper.plain().set_times(inside, None, *times)?;
            self.upper.barrier(inside)?;
        }
        // Only now: until then the mark beside it is what makes the directory opaque.
        let (Some(mark), Some(times)) = (&self.beside, self.before) else {
            return Ok(());
        };
        oci::clear(self.upper.plain(), self.parent, mark.name())?;
        self.upper.plain().set_times(self.parent, None, times)
    }
}
