//! Signals that end the process, such as Ctrl-C: the mounts are closed first, so that a run that was
//! called off leaves its upper as a run that ended does.

use crate::{mount, patience};
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
    SIGXFSZ,
};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};
use std::ffi::c_int;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;
use wasi_overlay::Overlay;

/// Every signal whose default is to end the process, and that can be caught, but for
/// - those that mean that the process is broken (SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS,
///   SIGTRAP): wasmtime handles some of them, and after the others nothing is certain;
/// - SIGPIPE, which Rust's runtime has ignored by now: the guest's write fails;
/// - SIGIO, SIGPWR, SIGSTKFLT and the real-time signals, which reach only processes that ask for them.
const ENDING: [c_int; 11] = [
    SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
    SIGXFSZ,
];

/// Closes `overlays` at the first signal that asks the process to end, which then ends by that
/// signal. A second one ends it on the spot. Closing waits for a change that is under way, such as the
/// copy-up of a large file; if that takes long, the user is told.
///
/// # Errors
/// Those of `sigaction`.
pub(crate) fn close_at(overlays: Vec<Overlay>) -> Result<()> {
    // Who started us with a signal ignored (a shell, for a job in the background) means it.
    let ignored = ignored();
    let heeded = ENDING
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0)
        .collect::<Vec<c_int>>();
    let again = Arc::new(AtomicBool::new(false));
    for signal in &heeded {
        // In this order: the second signal finds what the first one set.
        flag::register_conditional_default(*signal, Arc::clone(&again))?;
        flag::register(*signal, Arc::clone(&again))?;
    }
    let mut signals = mount::retry(|| Signals::new(&heeded))?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let Some(signal) = signals.forever().next() else {
                return;
            };
            let watched = patience::watch(PATIENCE, || crate::complain(WAITING));
            close(overlays);
            drop(watched);
            if low_level::emulate_default_handler(signal).is_err() {
                low_level::exit(128 + signal);
            }
        })?;
    Ok(())
}

/// How long closing may take before the user is told what it waits for.
const PATIENCE: Duration = Duration::from_secs(1);

const WAITING: &str = "waiting for a change of the upper to end; a second signal ends the run at \
                       once, and the next mount repairs the upper";

fn close(overlays: Vec<Overlay>) {
    for overlay in overlays {
        if let Err(error) = overlay.close() {
            crate::complain(&format!("Error: {error}"));
        }
    }
}

/// The signals that this process ignores, a bit each. Where that is not told, none.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}
