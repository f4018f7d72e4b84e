//! What a program takes beside the functions of WASI 0.1: less than that no filesystem can make of
//! it.
//!
//! wiggle makes a `tracing` span of each call. A subscriber of our own is told when one is entered
//! and left, and adds up the time between.

use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The name of wiggle's spans.
const CALL: &str = "wiggle abi";

/// The time in calls. They do not nest, and one thread makes them.
struct Meter {
    since: Instant,
    /// Nanoseconds from `since` to when the call at hand was entered.
    entered: AtomicU64,
    /// Nanoseconds in all calls that ended.
    inside: AtomicU64,
}

impl Meter {
    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Hands spans to a meter, whose figures are read when it is done.
struct ToMeter(Arc<Meter>);

impl Subscriber for ToMeter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == CALL
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {
        self.0.entered.store(self.0.now(), Ordering::Relaxed);
    }

    fn exit(&self, _: &Id) {
        let took = self.0.now() - self.0.entered.load(Ordering::Relaxed);
        self.0.inside.fetch_add(took, Ordering::Relaxed);
    }
}

/// Times what calls WASI on this thread; returns the time that it spent elsewhere.
pub(crate) fn beside_wasi(timed: impl FnOnce() -> Result<Duration>) -> Result<Duration> {
    let meter = Arc::new(Meter {
        since: Instant::now(),
        entered: AtomicU64::new(0),
        inside: AtomicU64::new(0),
    });
    let took = tracing::subscriber::with_default(ToMeter(Arc::clone(&meter)), timed)?;
    let inside = Duration::from_nanos(meter.inside.load(Ordering::Relaxed));
    anyhow::ensure!(
        !inside.is_zero(),
        "no call was seen: have the spans another name by now?"
    );
    Ok(took.saturating_sub(inside))
}

#[cfg(test)]
mod tests {
    use super::{CALL, beside_wasi};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    #[test]
    fn the_time_in_calls_is_taken_off() {
        let mut took = Duration::ZERO;
        let work = || {
            let start = Instant::now();
            sleep(Duration::from_millis(20));
            // The name has to be a literal.
            tracing::trace_span!("wiggle abi").in_scope(|| sleep(Duration::from_millis(40)));
            took = start.elapsed();
            Ok(took)
        };
        assert_eq!(CALL, "wiggle abi");
        let beside = beside_wasi(work).unwrap();
        assert!(beside >= Duration::from_millis(20), "{beside:?}");
        // A machine that is busy sleeps longer, never shorter.
        assert!(
            took - beside >= Duration::from_millis(40),
            "{beside:?} of {took:?}"
        );
    }

    #[test]
    fn none_seen_is_an_error() {
        beside_wasi(|| Ok(Duration::from_secs(1))).unwrap_err();
    }
}
