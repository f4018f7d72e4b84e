//! [`Faults`]: the control that selects which calls of a faulty tree fail.

use crate::error::{Errno, Error, Result};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Selects which calls fail. A clone controls the same trees.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Changes since the last command.
    changes: u64,
    /// Calls of any kind since the last command.
    calls: u64,
    /// The same, by the name of the call.
    by_name: BTreeMap<&'static str, u64>,
    /// The calls that fail.
    plan: Plan,
    /// The name of the call that failed last.
    failed: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
enum Plan {
    #[default]
    Nothing,
    /// These changes, counted from the command.
    Changes(Range<u64>),
    /// The call of any kind with this number, with this code.
    Call(u64, Errno),
    /// Every call of this name, with this code.
    Every(&'static str, Errno),
}

impl Faults {
    /// Lets `count` changes succeed, and fails all later ones.
    pub fn cut_after(&self, count: u64) {
        self.command(Plan::Changes(count..u64::MAX));
    }

    /// Lets `count` changes succeed, fails the next, and lets the rest succeed.
    pub fn fail_at(&self, count: u64) {
        self.command(Plan::Changes(count..count.saturating_add(1)));
    }

    /// Lets `count` calls of any kind succeed, fails the next with `errno`, and lets the rest
    /// succeed.
    pub fn fail_call(&self, count: u64, errno: Errno) {
        self.command(Plan::Call(count, errno));
    }

    /// Fails every call of one name, as in [`failed`](Self::failed) (`chown`, for example), with
    /// `errno`, as if the process lacked the permission, and lets all others succeed.
    pub fn refuse(&self, what: &'static str, errno: Errno) {
        self.command(Plan::Every(what, errno));
    }

    /// Lets all calls succeed.
    pub fn never(&self) {
        self.command(Plan::Nothing);
    }

    /// The number of changes since the last command, including failed ones.
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    /// The number of calls of any kind since the last command, including failed ones.
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// The number of calls of one name since the last command, including failed ones.
    pub fn calls_of(&self, what: &str) -> u64 {
        self.0.lock().by_name.get(what).copied().unwrap_or_default()
    }

    /// The name of the call that failed last since the last command.
    pub fn failed(&self) -> Option<&'static str> {
        self.0.lock().failed
    }

    fn command(&self, plan: Plan) {
        *self.0.lock() = State {
            plan,
            ..State::default()
        };
    }

    /// Counts a call that changes something or syncs it to disk, and fails if the plan says so.
    pub(super) fn change(&self, what: &'static str) -> Result<()> {
        self.count(what, true)
    }

    /// Counts any other call, and fails if the plan says so.
    pub(super) fn query(&self, what: &'static str) -> Result<()> {
        self.count(what, false)
    }

    fn count(&self, what: &'static str, changes: bool) -> Result<()> {
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
