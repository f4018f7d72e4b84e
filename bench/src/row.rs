//! What was measured of one work of one subject, and what that says.

use crate::count::Calls;
use crate::subject::{Side, Subject};
use crate::work::{AS_KERNEL, AS_NATIVE, GROWS, GROWTH, OVER_NATIVE, Work};
use serde_json::{Value, json};

/// A ratio up to this times what is allowed is chance: shared machines are not steadier.
pub(crate) const EQUAL: f64 = 1.15;

/// What one work of one subject took.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) work: &'static Work,
    /// How many lower layers there are.
    pub(crate) layers: u32,
    /// Whether each run does one turn on a new mount.
    pub(crate) cold: bool,
    /// Nanoseconds a unit of what it is compared with, one for each pair; those at the same index
    /// ran back to back.
    pub(crate) stock: Vec<f64>,
    pub(crate) ours: Vec<f64>,
    /// None where they were not counted.
    pub(crate) stock_calls: Option<Calls>,
    pub(crate) ours_calls: Option<Calls>,
}

/// The middle of some numbers, and the quarters below and above it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of `values`; of none, not a number.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |numerator: usize| {
            let Some(last) = sorted.len().checked_sub(1) else {
                return f64::NAN;
            };
            // Between two values, halfway is near enough.
            let low = sorted[last * numerator / 4];
            let high = sorted[(last * numerator).div_ceil(4)];
            f64::midpoint(low, high)
        };
        Self {
            low: at(1),
            median: at(2),
            high: at(3),
        }
    }

    pub(crate) fn json(self) -> Value {
        json!({ "quarter": self.low, "median": self.median, "three_quarters": self.high })
    }
}

impl Row {
    /// Nothing measured yet.
    pub(crate) fn new(subject: Subject, work: &'static Work, layers: u32, cold: bool) -> Self {
        Self {
            subject,
            work,
            layers,
            cold,
            stock: Vec::new(),
            ours: Vec::new(),
            stock_calls: None,
            ours_calls: None,
        }
    }

    /// The guest and the work.
    pub(crate) fn label(&self) -> String {
        format!("{}: {}", self.subject, self.work.name)
    }

    /// Our time over stock's, pair by pair.
    pub(crate) fn ratio(&self) -> Spread {
        let ratios: Vec<f64> = self
            .ours
            .iter()
            .zip(&self.stock)
            .map(|(ours, stock)| ours / stock)
            .collect();
        Spread::of(&ratios)
    }

    /// How many times as long as stock it may take; none if nothing was promised.
    pub(crate) fn most_ratio(&self) -> Option<f64> {
        let name = self.subject.to_string();
        let mut listed = self.work.most.iter();
        match listed.find(|(subject, _)| *subject == name) {
            // A new mount has everything to look up: only what says so promises something then.
            _ if self.cold && self.work.warm => None,
            Some((_, most)) => Some(*most),
            None if self.subject.side.is_plugin() => Some(1.0),
            None => None,
        }
        .filter(|most| most.is_finite())
    }

    pub(crate) fn verdict(&self) -> String {
        let ratio = self.ratio().median;
        match self.most_ratio() {
            None => "no bound".to_owned(),
            Some(most) if ratio <= most => format!("at most {most}"),
            Some(most) if ratio <= most * EQUAL => format!("about {most}"),
            Some(most) => format!("more than {most}"),
        }
    }

    /// In what it takes longer, or makes more calls, than it may.
    pub(crate) fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        let at = format!("{} ({} layers)", self.label(), self.layers);
        let ratio = self.ratio().median;
        if let Some(most) = self.most_ratio()
            && ratio > most * EQUAL
        {
            misses.push(format!(
                "{at}: {ratio:.3} times as long, not at most {most}"
            ));
        }
        if !self.subject.side.is_plugin() {
            return misses;
        }
        let micros = Spread::of(&self.ours).median / 1000.0;
        if let Some(most) = self.work.most_micros
            && micros > most * EQUAL
        {
            misses.push(format!("{at}: {micros:.1} µs, not at most {most}"));
        }
        if let (Some(most), Some(calls)) = (self.work.most_calls, &self.ours_calls)
            && matches!(self.subject.side, Side::Overlay | Side::Pool)
        {
            let calls: f64 = calls.values().sum();
            // What is left of chance after the difference of two runs.
            if calls > most + 0.05 {
                misses.push(format!("{at}: {calls:.2} system calls, not at most {most}"));
            }
        }
        misses
    }
}

/// What rows miss between them: what grows with the layers, and what is far from a native program.
pub(crate) fn misses_between(rows: &[Row]) -> Vec<String> {
    let mut misses = Vec::new();
    for one in rows.iter().filter(|row| row.work.name == GROWS) {
        let many = rows
            .iter()
            .find(|row| row.layers == 64 && row.work.name == GROWS && row.subject == one.subject);
        if let (1, true, Some(many)) = (one.layers, one.subject.side == Side::Overlay, many) {
            let grown = Spread::of(&many.ours).median / Spread::of(&one.ours).median;
            if grown > GROWTH * EQUAL {
                let label = one.label();
                misses.push(format!(
                    "{label}: {grown:.2} times as long on 64 layers as on 1, not at most {GROWTH}"
                ));
            }
        }
    }
    for ours in rows.iter().filter(|row| AS_KERNEL.contains(&row.work.name)) {
        let on_kernel = rows.iter().find(|row| {
            row.subject.side == Side::Kernel
                && row.layers == ours.layers
                && row.work.name == ours.work.name
        });
        if let (Some(kernel), "0.1") = (on_kernel, ours.subject.to_string().as_str()) {
            let over = ours.ratio().median / kernel.ratio().median;
            if over > EQUAL {
                let label = ours.label();
                misses.push(format!(
                    "{label}: {over:.2} times as long as on the kernel's overlayfs"
                ));
            }
        }
    }
    for ours in rows.iter().filter(|row| AS_NATIVE.contains(&row.work.name)) {
        let native = rows.iter().find(|row| {
            row.subject.side == Side::Native
                && row.layers == ours.layers
                && row.work.name == ours.work.name
        });
        if let (Some(native), "0.1") = (native, ours.subject.to_string().as_str()) {
            let over = ours.ratio().median / native.ratio().median;
            if over > OVER_NATIVE * EQUAL {
                let label = ours.label();
                misses.push(format!(
                    "{label}: {over:.2} times as long as native, not at most {OVER_NATIVE}"
                ));
            }
        }
    }
    misses
}

/// Whether its system calls are counted. Cold, single turns are not: what a work does when it is warm
/// is what is held to a bound.
pub(crate) fn is_counted(row: &Row) -> bool {
    row.work.counted_turns > 0 && row.subject.side.is_counted() && !row.cold
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Row, Spread, misses_between};
    use crate::subject::{OTHERS, OVERLAYS, Subject};
    use crate::work;

    /// A row in which each of three pairs took that long.
    pub(crate) fn row(subject: Subject, work: &str, layers: u32, stock: f64, ours: f64) -> Row {
        let mut row = Row::new(subject, work::named(work).unwrap(), layers, false);
        row.stock = vec![stock; 3];
        row.ours = vec![ours; 3];
        row
    }

    #[test]
    fn a_spread_has_its_quarters() {
        let spread = Spread::of(&[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
        assert_eq!(Spread::of(&[1.0, 2.0]).median, 1.5);
        assert!(Spread::of(&[]).median.is_nan());
    }

    #[test]
    fn a_ratio_is_the_middle_of_the_pairs() {
        let mut row = row(OVERLAYS[0], "stat", 16, 0.0, 0.0);
        // The machine was slower from pair to pair; the ratio of the medians would be 2.
        row.stock = vec![1.0, 10.0, 100.0];
        row.ours = vec![1.0, 5.0, 20.0];
        assert_eq!(row.ratio().median, 0.5);
    }

    #[test]
    fn a_target_is_met_within_the_noise() {
        // At most 0.1 for core modules, 0.2 for components.
        assert!(row(OVERLAYS[0], "stat", 16, 1.0, 0.114).misses().is_empty());
        assert_eq!(row(OVERLAYS[0], "stat", 16, 1.0, 0.116).misses().len(), 1);
        assert!(row(OVERLAYS[1], "stat", 16, 1.0, 0.116).misses().is_empty());
        // Of others nothing is promised.
        assert!(row(OTHERS[0], "stat", 16, 1.0, 9.0).misses().is_empty());
    }

    #[test]
    fn calls_and_microseconds_have_bounds_of_their_own() {
        let mut row = row(OVERLAYS[0], "stat", 16, 1.0, 0.01);
        row.ours_calls = Some([("statx".to_owned(), 1.0)].into());
        assert_eq!(row.misses().len(), 1);
        let slow = self::row(OVERLAYS[0], "mount", 16, 1.0, 20_000.0);
        assert_eq!(slow.misses().len(), 1);
        let fast = self::row(OVERLAYS[0], "mount", 16, 1.0, 9000.0);
        assert!(fast.misses().is_empty());
    }

    #[test]
    fn a_cold_run_is_held_to_nothing_unless_the_work_says_so() {
        let mut warm = row(OVERLAYS[0], "stat", 16, 1.0, 9.0);
        warm.cold = true;
        assert!(warm.misses().is_empty());
        assert_eq!(
            row(OVERLAYS[0], "walk-cold", 16, 1.0, 9.0).misses().len(),
            1
        );
    }

    #[test]
    fn layers_and_native_programs_are_compared_between_rows() {
        let walk = |layers, ours| row(OVERLAYS[0], "walk-cold", layers, 100.0, ours);
        assert!(misses_between(&[walk(1, 1.0), walk(64, 4.5)]).is_empty());
        assert_eq!(misses_between(&[walk(1, 1.0), walk(64, 4.7)]).len(), 1);
        let kernel = || row(OTHERS[0], "append-lower", 16, 1.0, 4.0);
        let append = |ours| row(OVERLAYS[0], "append-lower", 16, 1.0, ours);
        assert!(misses_between(&[kernel(), append(4.5)]).is_empty());
        assert_eq!(misses_between(&[kernel(), append(4.7)]).len(), 1);
        let native = || row(OTHERS[2], "read", 16, 1.0, 0.5);
        let read = |ours| row(OVERLAYS[0], "read", 16, 1.0, ours);
        assert!(misses_between(&[native(), read(0.6)]).is_empty());
        assert_eq!(misses_between(&[native(), read(0.7)]).len(), 1);
    }
}
