//! Which calls fail.

use crate::error::{Errno, Error, Result};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Says which calls fail. A clone speaks to the same trees.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Changes asked for since the last command.
    changes: u64,
    /// Calls of any kind asked for since the last command.
    calls: u64,
    /// The same, by their names.
    by_name: BTreeMap<&'static str, u64>,
    /// The calls that fail.
    plan: Plan,
    /// What was asked for when a call was last failed.
    failed: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
enum Plan {
    #[default]
    Nothing,
    /// These changes, counted from the command.
    Changes(Range<u64>),
    /// This call of any kind, with this code.
    Call(u64, Errno),
    /// Every call that is called so, with this code.
    Every(&'static str, Errno),
}

impl Faults {
    /// Lets `count` changes be made, and none from then on.
    pub fn cut_after(&self, count: u64) {
        self.command(Plan::Changes(count..u64::MAX));
    }

    /// Lets `count` changes be made, fails the next, and lets the rest be made.
    pub fn fail_at(&self, count: u64) {
        self.command(Plan::Changes(count..count.saturating_add(1)));
    }

    /// Lets `count` calls of any kind be made, fails the next with `errno`, and lets the rest be
    /// made.
    pub fn fail_call(&self, count: u64, errno: Errno) {
        self.command(Plan::Call(count, errno));
    }

    /// Fails every call of the name that [`failed`](Self::failed) has for it (`chown`, say) with
    /// `errno`, as where this process lacks a right, and lets all others be made.
    pub fn refuse(&self, what: &'static str, errno: Errno) {
        self.command(Plan::Every(what, errno));
    }

    /// Lets all calls be made.
    pub fn never(&self) {
        self.command(Plan::Nothing);
    }

    /// How many changes were asked for since the last command, failed ones included.
    pub fn asked(&self) -> u64 {
        self.0.lock().changes
    }

    /// How many calls of any kind were asked for since the last command, failed ones included.
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// How many calls of that name were asked for since the last command, failed ones included.
    pub fn calls_of(&self, what: &str) -> u64 {
        self.0.lock().by_name.get(what).copied().unwrap_or_default()
    }

    /// What was asked for by the call that failed last, if one did since the last command.
    pub fn failed(&self) -> Option<&'static str> {
        self.0.lock().failed
    }

    fn command(&self, plan: Plan) {
        *self.0.lock() = State {
            plan,
            ..State::default()
        };
    }

    /// A call that changes something, or brings it to disk.
    pub(super) fn change(&self, what: &'static str) -> Result<()> {
        self.ask(what, true)
    }

    /// Any other call.
    pub(super) fn look(&self, what: &'static str) -> Result<()> {
        self.ask(what, false)
    }

    fn ask(&self, what: &'static str, changes: bool) -> Result<()> {
        let mut state = self.0.lock();
        let (change, call) = (state.changes, state.calls);
        state.changes += u64::from(changes);
        state.calls += 1;
        *state.by_name.entry(what).or_default() += 1;
        let errno = match &state.plan {
            Plan::Changes(fails) if changes && fails.contains(&change) => Errno::Io,
            Plan::Call(fails, errno) if *fails == call => *errno,
            Plan::Every(refused, errno) if *refused == what => *errno,
            Plan::Nothing | Plan::Changes(_) | Plan::Call(..) | Plan::Every(..) => return Ok(()),
        };
        state.failed = Some(what);
        Err(Error::new(errno, format_args!("{what} was made to fail")))
    }
}
