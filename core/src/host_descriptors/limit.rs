//! The limit on the descriptors of the process (`RLIMIT_NOFILE`).

use crate::error::Result;
use crate::plain::dir::errno::from_errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limit as it was last read; 0 before the first read. It orders no other memory.
static LAST: AtomicUsize = AtomicUsize::new(0);

/// The limit as it was last read. Only the first call makes a system call.
pub(super) fn last() -> usize {
    match LAST.load(Ordering::Relaxed) {
        0 => now(),
        limit => limit,
    }
}

/// Reads the limit from the system.
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

/// Raises the soft limit on descriptors of the process (`RLIMIT_NOFILE`) to the hard limit. For a program
/// to call at its start: a library should leave the decision to the program, since `select` cannot handle
/// descriptors past 1024. Child processes inherit the limit.
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
