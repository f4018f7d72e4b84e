//! Progress of transfers on stderr: bars on a terminal that can draw them, lines elsewhere.

use super::args::ProgressArg;
use crate::messages::{print_notice, print_warning};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasi_overlay_image::registry::{Outcome, Progress, Silent};
use wasi_overlay_image::{Bytes, Digest};

/// The progress of one transfer, in the form that the user wants. When it is dropped, bars that are not full
/// are removed, and the others stay.
pub(super) fn new(form: ProgressArg, quiet: bool) -> Box<dyn Progress> {
    let bars = Bars::default();
    // It is also hidden where `TERM` is not set or `dumb`, and would then show nothing at all.
    let can_draw = std::io::stderr().is_terminal() && !bars.all.is_hidden();
    match form {
        _ if quiet => Box::new(Silent),
        ProgressArg::None => Box::new(Silent),
        ProgressArg::Auto if can_draw => Box::new(bars),
        ProgressArg::Auto | ProgressArg::Plain => Box::new(Lines::default()),
    }
}

/// The first digits of a digest, by which people tell layers apart.
fn short(digest: &Digest) -> String {
    digest
        .to_string()
        .chars()
        .skip("sha256:".len())
        .take(12)
        .collect()
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Transferred => "done",
        Outcome::Present => "already there",
        Outcome::Mounted => "taken from another repository",
    }
}

/// A bar for each blob.
#[derive(Default)]
struct Bars {
    pauses: LastPause,
    all: MultiProgress,
    bars: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Bars {
    fn with(&self, digest: &Digest, act: impl FnOnce(&ProgressBar)) {
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.get(digest) {
            act(bar);
        }
    }

    /// Prints a line above the bars.
    fn print(&self, line: &str) {
        let _ = self.all.println(line); // Fails if stderr is closed.
    }
}

impl Progress for Bars {
    fn started(&self, digest: &Digest, size: u64, done: u64) {
        let bar = self.all.add(ProgressBar::new(size).with_position(done));
        let style = ProgressStyle::with_template(
            "{prefix} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}",
        );
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(short(digest));
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.insert(*digest, bar);
    }

    fn advanced(&self, digest: &Digest, done: u64) {
        self.with(digest, |bar| bar.set_position(done));
    }

    fn finished(&self, digest: &Digest, outcome: Outcome) {
        match outcome {
            Outcome::Transferred => self.with(digest, |bar| bar.finish()),
            Outcome::Present | Outcome::Mounted => {
                self.print(&format!("{} {}", short(digest), outcome_word(outcome)));
            }
        }
    }

    fn waiting(&self, pause: Duration, reason: &str) {
        if let Some(line) = self.pauses.line(pause, reason) {
            self.print(&line);
        }
    }

    fn warning(&self, text: &str) {
        self.all.suspend(|| print_warning(text));
    }
}

/// The last pause that was printed: several blobs wait for one reason.
#[derive(Default)]
struct LastPause(Mutex<Option<(Instant, String)>>);

impl LastPause {
    /// The line for a pause, unless it was printed already.
    fn line(&self, pause: Duration, reason: &str) -> Option<String> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_known = last
            .as_ref()
            .is_some_and(|(until, known)| now < *until && known == reason);
        *last = Some((now + pause, reason.to_owned()));
        (!is_known).then(|| format!("waiting {:.1} s: {reason}", pause.as_secs_f32()))
    }
}

/// A line for each blob that is complete.
#[derive(Default)]
struct Lines {
    pauses: LastPause,
    sizes: Mutex<HashMap<Digest, u64>>,
}

impl Progress for Lines {
    fn started(&self, digest: &Digest, size: u64, _: u64) {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.insert(*digest, size);
    }

    fn finished(&self, digest: &Digest, outcome: Outcome) {
        let sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let size = match sizes.get(digest) {
            Some(size) => format!(" ({})", Bytes(*size)),
            None => String::new(),
        };
        print_notice(format_args!(
            "{} {}{size}",
            short(digest),
            outcome_word(outcome)
        ));
    }

    fn waiting(&self, pause: Duration, reason: &str) {
        if let Some(line) = self.pauses.line(pause, reason) {
            print_notice(line);
        }
    }

    fn warning(&self, text: &str) {
        print_warning(text);
    }
}
