//! How many descriptors the process may have.

use crate::error::Result;
use crate::plain::dir::errno::from_errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limit when it was last asked for; 0 before. It guards no other memory.
static LAST: AtomicUsize = AtomicUsize::new(0);

/// The limit as it was when it was last asked for: no call to the system but for the first.
pub(super) fn last() -> usize {
    match LAST.load(Ordering::Relaxed) {
        0 => now(),
        limit => limit,
    }
}

/// The limit as it is.
#[cold]
pub(super) fn now() -> usize {
    let soft = getrlimit(Resource::Nofile).current;
    let limit = soft.map_or(usize::MAX, |soft| {
        usize::try_from(soft).unwrap_or(usize::MAX)
    });
    let limit = limit.max(1);
    LAST.store(limit, Ordering::Relaxed);
    limit
}

/// Raises the number of descriptors that the process may have (`RLIMIT_NOFILE`) as far as it may
/// raise it itself: the soft limit to the hard one. For a program at its start; a library leaves that to
/// the program, since `select` cannot count past 1024. Programs that the process starts inherit it.
///
/// # Errors
/// Those of POSIX `setrlimit`.
pub fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(from_errno)?;
    now();
    Ok(())
}
