//! Measurements of one workload on one subject, and the bounds that they are checked against.

use crate::count::Calls;
use crate::subject::{Backend, Subject};
use crate::workloads::{
    MAX_OVER_NATIVE, MAX_SCALING, NEAR_NATIVE, NO_SLOWER_THAN_KERNEL, SCALING_WORKLOAD, Workload,
};
use serde_json::{Value, json};

/// Factor by which a ratio may exceed its bound. Timings on shared machines vary that much.
pub(crate) const TOLERANCE: f64 = 1.15;

/// The measurements of one workload on one subject.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) workload: &'static Workload,
    /// Number of lower layers.
    pub(crate) layers: u32,
    /// Whether each run does a single iteration on a new mount.
    pub(crate) cold: bool,
    /// Nanoseconds per unit of the baseline, one value per pair. The values of `baseline_ns` and
    /// `subject_ns` at the same index ran back to back.
    pub(crate) baseline_ns: Vec<f64>,
    /// Nanoseconds per unit of the subject.
    pub(crate) subject_ns: Vec<f64>,
    /// System calls per unit of the baseline; `None` if they were not counted.
    pub(crate) baseline_calls: Option<Calls>,
    /// System calls per unit of the subject; `None` if they were not counted.
    pub(crate) subject_calls: Option<Calls>,
}

/// The median and the lower and upper quartile of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quartiles {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Quartiles {
    /// Computes the quartiles of `values`; NaN if there are none.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |numerator: usize| {
            let Some(last) = sorted.len().checked_sub(1) else {
                return f64::NAN;
            };
            // The midpoint is close enough between two values.
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
    /// Creates a row without measurements.
    pub(crate) fn new(
        subject: Subject,
        workload: &'static Workload,
        layers: u32,
        cold: bool,
    ) -> Self {
        Self {
            subject,
            workload,
            layers,
            cold,
            baseline_ns: Vec::new(),
            subject_ns: Vec::new(),
            baseline_calls: None,
            subject_calls: None,
        }
    }

    /// The subject and the name of the workload, as in `0.2 composed: stat`.
    pub(crate) fn label(&self) -> String {
        format!("{}: {}", self.subject, self.workload.name)
    }

    /// The subject's time divided by the baseline's, pair by pair.
    pub(crate) fn ratio(&self) -> Quartiles {
        let ratios: Vec<f64> = self
            .subject_ns
            .iter()
            .zip(&self.baseline_ns)
            .map(|(subject, baseline)| subject / baseline)
            .collect();
        Quartiles::of(&ratios)
    }

    /// Upper bound of the ratio; `None` if this row has no bound.
    pub(crate) fn max_ratio(&self) -> Option<f64> {
        let name = self.subject.to_string();
        let mut listed = self.workload.max_ratios.iter();
        match listed.find(|(subject, _)| *subject == name) {
            // A new mount has nothing cached: only workloads that are defined as cold have a bound there.
            _ if self.cold && self.workload.warm => None,
            Some((_, max)) => Some(*max),
            None if self.subject.backend.is_plugin() => Some(1.0),
            None => None,
        }
        .filter(|max| max.is_finite())
    }

    /// How the ratio compares with its bound, for the terminal.
    pub(crate) fn verdict(&self) -> String {
        let ratio = self.ratio().median;
        match self.max_ratio() {
            None => "no bound".to_owned(),
            Some(max) if ratio <= max => format!("at most {max}"),
            Some(max) if ratio <= max * TOLERANCE => format!("about {max}"),
            Some(max) => format!("more than {max}"),
        }
    }

    /// Describes each bound of this row that the measurements exceed.
    pub(crate) fn missed_bounds(&self) -> Vec<String> {
        let mut missed_bounds = Vec::new();
        let at = format!("{} ({} layers)", self.label(), self.layers);
        let ratio = self.ratio().median;
        if let Some(max) = self.max_ratio()
            && ratio > max * TOLERANCE
        {
            missed_bounds.push(format!("{at}: {ratio:.3} times as long, not at most {max}"));
        }
        if !self.subject.backend.is_plugin() {
            return missed_bounds;
        }
        let micros = Quartiles::of(&self.subject_ns).median / 1000.0;
        if let Some(max) = self.workload.max_micros
            && micros > max * TOLERANCE
        {
            missed_bounds.push(format!("{at}: {micros:.1} µs, not at most {max}"));
        }
        if let (Some(max), Some(calls)) = (self.workload.max_calls, &self.subject_calls)
            && matches!(self.subject.backend, Backend::Overlay | Backend::Pool)
        {
            let calls: f64 = calls.values().sum();
            // Counts are the difference of two runs, which leaves some noise.
            if calls > max + 0.05 {
                missed_bounds.push(format!("{at}: {calls:.2} system calls, not at most {max}"));
            }
        }
        missed_bounds
    }
}

/// Describes each exceeded bound that relates two rows: growth with the number of layers, and the
/// distance from the kernel's overlayfs and from a native program.
pub(crate) fn missed_bounds_between_rows(rows: &[Row]) -> Vec<String> {
    let mut missed_bounds = Vec::new();
    for one in rows
        .iter()
        .filter(|row| row.workload.name == SCALING_WORKLOAD)
    {
        let many = rows.iter().find(|row| {
            row.layers == 64 && row.workload.name == SCALING_WORKLOAD && row.subject == one.subject
        });
        if let (1, true, Some(many)) = (one.layers, one.subject.backend == Backend::Overlay, many) {
            let grown =
                Quartiles::of(&many.subject_ns).median / Quartiles::of(&one.subject_ns).median;
            if grown > MAX_SCALING * TOLERANCE {
                let label = one.label();
                missed_bounds.push(format!(
                    "{label}: {grown:.2} times as long on 64 layers as on 1, not at most {MAX_SCALING}"
                ));
            }
        }
    }
    for ours in rows
        .iter()
        .filter(|row| NO_SLOWER_THAN_KERNEL.contains(&row.workload.name))
    {
        let on_kernel = rows.iter().find(|row| {
            row.subject.backend == Backend::Kernel
                && row.layers == ours.layers
                && row.workload.name == ours.workload.name
        });
        if let (Some(kernel), "0.1") = (on_kernel, ours.subject.to_string().as_str()) {
            let over = ours.ratio().median / kernel.ratio().median;
            if over > TOLERANCE {
                let label = ours.label();
                missed_bounds.push(format!(
                    "{label}: {over:.2} times as long as on the kernel's overlayfs"
                ));
            }
        }
    }
    for ours in rows
        .iter()
        .filter(|row| NEAR_NATIVE.contains(&row.workload.name))
    {
        let native = rows.iter().find(|row| {
            row.subject.backend == Backend::Native
                && row.layers == ours.layers
                && row.workload.name == ours.workload.name
        });
        if let (Some(native), "0.1") = (native, ours.subject.to_string().as_str()) {
            let over = ours.ratio().median / native.ratio().median;
            if over > MAX_OVER_NATIVE * TOLERANCE {
                let label = ours.label();
                missed_bounds.push(format!(
                    "{label}: {over:.2} times as long as native, not at most {MAX_OVER_NATIVE}"
                ));
            }
        }
    }
    missed_bounds
}

/// Whether the system calls of a row are counted. The single iterations of `--cold` are not: the
/// recorded bounds are those of warm runs.
pub(crate) fn is_counted(row: &Row) -> bool {
    row.workload.counted_iterations > 0 && row.subject.backend.is_counted() && !row.cold
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Quartiles, Row, missed_bounds_between_rows};
    use crate::subject::{COMPARISONS, OVERLAYS, Subject};
    use crate::workloads;

    /// A row with three equal pairs of the given times.
    pub(crate) fn row(
        subject: Subject,
        workload: &str,
        layers: u32,
        baseline_ns: f64,
        subject_ns: f64,
    ) -> Row {
        let mut row = Row::new(subject, workloads::named(workload).unwrap(), layers, false);
        row.baseline_ns = vec![baseline_ns; 3];
        row.subject_ns = vec![subject_ns; 3];
        row
    }

    #[test]
    fn quartiles_of_a_sample() {
        let quartiles = Quartiles::of(&[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(
            (quartiles.low, quartiles.median, quartiles.high),
            (2.0, 3.0, 4.0)
        );
        assert_eq!(Quartiles::of(&[1.0, 2.0]).median, 1.5);
        assert!(Quartiles::of(&[]).median.is_nan());
    }

    #[test]
    fn ratio_is_the_median_of_the_ratios_of_pairs() {
        let mut row = row(OVERLAYS[0], "stat", 16, 0.0, 0.0);
        // The machine was slower from pair to pair; the ratio of the medians would be 2.
        row.baseline_ns = vec![1.0, 10.0, 100.0];
        row.subject_ns = vec![1.0, 5.0, 20.0];
        assert_eq!(row.ratio().median, 0.5);
    }

    #[test]
    fn bound_is_met_within_the_tolerance() {
        // The bound is 0.1 for core modules and 0.2 for components.
        assert!(
            row(OVERLAYS[0], "stat", 16, 1.0, 0.114)
                .missed_bounds()
                .is_empty()
        );
        assert_eq!(
            row(OVERLAYS[0], "stat", 16, 1.0, 0.116)
                .missed_bounds()
                .len(),
            1
        );
        assert!(
            row(OVERLAYS[1], "stat", 16, 1.0, 0.116)
                .missed_bounds()
                .is_empty()
        );
        // Subjects other than the plugin have no bound here.
        assert!(
            row(COMPARISONS[0], "stat", 16, 1.0, 9.0)
                .missed_bounds()
                .is_empty()
        );
    }

    #[test]
    fn calls_and_microseconds_have_their_own_bounds() {
        let mut row = row(OVERLAYS[0], "stat", 16, 1.0, 0.01);
        row.subject_calls = Some([("statx".to_owned(), 1.0)].into());
        assert_eq!(row.missed_bounds().len(), 1);
        let slow = self::row(OVERLAYS[0], "mount", 16, 1.0, 20_000.0);
        assert_eq!(slow.missed_bounds().len(), 1);
        let fast = self::row(OVERLAYS[0], "mount", 16, 1.0, 9000.0);
        assert!(fast.missed_bounds().is_empty());
    }

    #[test]
    fn cold_run_has_no_bound_unless_the_workload_is_cold() {
        let mut warm = row(OVERLAYS[0], "stat", 16, 1.0, 9.0);
        warm.cold = true;
        assert!(warm.missed_bounds().is_empty());
        assert_eq!(
            row(OVERLAYS[0], "walk-cold", 16, 1.0, 9.0)
                .missed_bounds()
                .len(),
            1
        );
    }

    #[test]
    fn scaling_and_kernel_and_native_bounds_relate_two_rows() {
        let walk = |layers, ours| row(OVERLAYS[0], "walk-cold", layers, 100.0, ours);
        assert!(missed_bounds_between_rows(&[walk(1, 1.0), walk(64, 4.5)]).is_empty());
        assert_eq!(
            missed_bounds_between_rows(&[walk(1, 1.0), walk(64, 4.7)]).len(),
            1
        );
        let kernel = || row(COMPARISONS[0], "append-lower", 16, 1.0, 4.0);
        let append = |ours| row(OVERLAYS[0], "append-lower", 16, 1.0, ours);
        assert!(missed_bounds_between_rows(&[kernel(), append(4.5)]).is_empty());
        assert_eq!(
            missed_bounds_between_rows(&[kernel(), append(4.7)]).len(),
            1
        );
        let native = || row(COMPARISONS[2], "read", 16, 1.0, 0.5);
        let read = |ours| row(OVERLAYS[0], "read", 16, 1.0, ours);
        assert!(missed_bounds_between_rows(&[native(), read(0.6)]).is_empty());
        assert_eq!(missed_bounds_between_rows(&[native(), read(0.7)]).len(), 1);
    }
}
