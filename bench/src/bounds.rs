//! Upper bounds on system calls: the recorded counts, plus 5 %.
//!
//! `--smoke --record` writes the counts to `bench/calls.json`. Record them again when a count drops,
//! so that it cannot rise back to the old value unnoticed.

use crate::row::Row;
use crate::subject::Backend;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Factor by which a count may exceed the recorded one.
const TOLERANCE: f64 = 1.05;

/// Absolute tolerance: counts are the difference of two runs, which leaves some noise.
const NOISE: f64 = 0.05;

/// The same for a program whose executor wakes other threads of its own now and then. A call that goes to the
/// blocking pool makes two system calls and more.
const EXECUTOR_NOISE: f64 = 0.5;

fn noise(row: &Row) -> f64 {
    if row.subject.backend == Backend::Pool {
        EXECUTOR_NOISE
    } else {
        NOISE
    }
}

/// System calls per unit, by row label.
pub(crate) type Bounds = BTreeMap<String, f64>;

/// Reads the recorded counts.
pub(crate) fn read(file: &Path) -> Result<Bounds> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is not a record of system calls; write it with `scripts/bench.sh --smoke --record`",
            file.display()
        )
    })
}

/// Records the counts of `rows`. Counts of other rows stay in the file.
pub(crate) fn record(file: &Path, rows: &[Row]) -> Result<()> {
    let mut bounds = if file.try_exists()? {
        read(file)?
    } else {
        Bounds::new()
    };
    bounds.extend(
        rows.iter()
            .filter_map(|row| Some((row.label(), total(row)?))),
    );
    let text = serde_json::to_string_pretty(&bounds)? + "\n";
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Describes each row that makes more calls than its bound allows.
pub(crate) fn exceeded(bounds: &Bounds, rows: &[Row]) -> Vec<String> {
    let describe = |row: &Row| {
        let (calls, label) = (total(row)?, row.label());
        let Some(bound) = bounds.get(&label) else {
            return Some(format!(
                "{label}: {calls} system calls, but none are recorded (--smoke --record)"
            ));
        };
        (calls > bound * TOLERANCE + noise(row)).then(|| {
            format!(
                "{label}: {calls} system calls per {}, more than {bound}: {:?}",
                row.workload.unit, row.subject_calls
            )
        })
    };
    rows.iter().filter_map(describe).collect()
}

/// Describes each row that makes so few calls that they should be recorded again.
pub(crate) fn decreased(bounds: &Bounds, rows: &[Row]) -> Vec<String> {
    let describe = |row: &Row| {
        let (calls, bound) = (total(row)?, bounds.get(&row.label())?);
        (calls * TOLERANCE + noise(row) < *bound)
            .then(|| format!("{}: {calls}, not {bound}", row.label()))
    };
    rows.iter().filter_map(describe).collect()
}

/// The sum of all calls per unit, rounded to a hundredth.
fn total(row: &Row) -> Option<f64> {
    let calls = row.subject_calls.as_ref()?;
    // The sum of an empty iterator is -0.
    Some((calls.values().sum::<f64>() * 100.0).round() / 100.0 + 0.0)
}

#[cfg(test)]
mod tests {
    use super::{Bounds, decreased, exceeded, read, record};
    use crate::row::Row;
    use crate::row::tests::row;
    use crate::subject::OVERLAYS;

    fn calls(each: f64) -> [Row; 1] {
        let mut row = row(OVERLAYS[0], "open-read-close", 4, 1.0, 1.0);
        row.subject_calls = Some([("pread64".to_owned(), each)].into());
        [row]
    }

    #[test]
    fn more_than_five_percent_is_exceeded() {
        let bounds = Bounds::from([("0.1: open-read-close".to_owned(), 4.0)]);
        assert!(exceeded(&bounds, &calls(4.2)).is_empty());
        assert_eq!(exceeded(&bounds, &calls(4.3)).len(), 1);
        assert!(decreased(&bounds, &calls(3.9)).is_empty());
        assert_eq!(decreased(&bounds, &calls(3.0)).len(), 1);
    }

    #[test]
    fn zero_calls_stay_zero() {
        let bounds = Bounds::from([("0.1: open-read-close".to_owned(), 0.0)]);
        assert!(exceeded(&bounds, &calls(0.04)).is_empty());
        assert_eq!(exceeded(&bounds, &calls(0.5)).len(), 1);
    }

    #[test]
    fn unrecorded_row_is_exceeded() {
        assert_eq!(exceeded(&Bounds::new(), &calls(0.0)).len(), 1);
    }

    #[test]
    fn recording_keeps_counts_of_other_rows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("calls.json");
        std::fs::write(
            &file,
            "{ \"0.2: stat\": 7.0, \"0.1: open-read-close\": 9.0 }",
        )
        .unwrap();
        record(&file, &calls(1.0)).unwrap();
        let bounds = read(&file).unwrap();
        assert_eq!(bounds["0.2: stat"], 7.0);
        assert_eq!(bounds["0.1: open-read-close"], 1.0);
    }
}
