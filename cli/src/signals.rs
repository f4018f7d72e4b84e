//! Handling of signals that end the process, such as Ctrl-C: the mounts are closed first, so that an
//! interrupted run leaves its upper as a completed run does.

use crate::messages::{print_error, print_notice};
use crate::mount;
use crate::slow_notice::SlowNotice;
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

/// Every signal that ends the process by default and can be caught, except
/// - those that report a fault of the process itself (SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS,
///   SIGTRAP): wasmtime handles some of them, and after the others the state of the process is unknown;
/// - SIGPIPE, which Rust's runtime ignores: the guest's write fails instead;
/// - SIGIO, SIGPWR, SIGSTKFLT and the real-time signals, which reach only processes that ask for them.
const TERMINATING: [c_int; 11] = [
    SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
    SIGXFSZ,
];

/// Closes `overlays` at the first terminating signal, then lets that signal end the process. A second
/// signal ends the process at once. Closing waits for a change in progress, such as the copy-up of a large
/// file; if that takes long, a notice is printed.
///
/// # Errors
/// Any error of `sigaction` or of starting the thread.
pub(crate) fn close_on_signal(overlays: Vec<Overlay>) -> Result<()> {
    // A signal that is ignored at the start stays ignored, as a shell wants for a background job.
    let ignored = ignored_signals();
    let handled = TERMINATING
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0)
        .collect::<Vec<c_int>>();
    let again = Arc::new(AtomicBool::new(false));
    for signal in &handled {
        // In this order, the first signal tests the flag before it sets it.
        flag::register_conditional_default(*signal, Arc::clone(&again))?;
        flag::register(*signal, Arc::clone(&again))?;
    }
    let mut signals = mount::open_with_retry(|| Signals::new(&handled))?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let Some(signal) = signals.forever().next() else {
                return;
            };
            let notice = SlowNotice::after(NOTICE_DELAY, || print_notice(WAITING));
            close_all(overlays);
            drop(notice);
            if low_level::emulate_default_handler(signal).is_err() {
                low_level::exit(128 + signal);
            }
        })?;
    Ok(())
}

/// How long closing may take before the notice.
const NOTICE_DELAY: Duration = Duration::from_secs(1);

const WAITING: &str = "waiting for a change to the upper to finish; a second signal ends the run at \
                       once, and the next mount repairs the upper";

fn close_all(overlays: Vec<Overlay>) {
    for overlay in overlays {
        if let Err(error) = overlay.close() {
            print_error(&error.into());
        }
    }
}

/// The signals that this process ignores, as a bit set; empty if `/proc` cannot be read.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}
