//! How many system calls there may be: those that were recorded, and 5 % more.
//!
//! `bench/calls.json` holds them, as `--smoke --record` wrote it. It is to be written again when
//! there are fewer, since nothing else keeps them few.

use crate::row::Row;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// How many times what was recorded there may be.
const GROWN: f64 = 1.05;

/// What is left of chance after the difference of two runs.
const CHANCE: f64 = 0.05;

/// Calls a unit, by row.
pub(crate) type Bounds = BTreeMap<String, f64>;

/// Reads what was recorded.
pub(crate) fn read(file: &Path) -> Result<Bounds> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no record", file.display()))
}

/// Writes what was counted, and leaves what was not.
pub(crate) fn record(file: &Path, rows: &[Row]) -> Result<()> {
    let mut bounds = match file.try_exists()? {
        true => read(file)?,
        false => Bounds::new(),
    };
    bounds.extend(
        rows.iter()
            .filter_map(|row| Some((row.label(), total(row)?))),
    );
    let text = serde_json::to_string_pretty(&bounds)? + "\n";
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What makes more calls than it may.
pub(crate) fn excess(bounds: &Bounds, rows: &[Row]) -> Vec<String> {
    let excess = |row: &Row| {
        let (calls, label) = (total(row)?, row.label());
        let Some(bound) = bounds.get(&label) else {
            return Some(format!("{label}: {calls} system calls, none recorded"));
        };
        (calls > bound * GROWN + CHANCE).then(|| {
            format!(
                "{label}: {calls} system calls a {}, more than {bound}: {:?}",
                row.work.unit, row.ours_calls
            )
        })
    };
    rows.iter().filter_map(excess).collect()
}

/// What makes so few that the record should be written again.
pub(crate) fn fewer(bounds: &Bounds, rows: &[Row]) -> Vec<String> {
    let fewer = |row: &Row| {
        let (calls, bound) = (total(row)?, bounds.get(&row.label())?);
        (calls * GROWN + CHANCE < *bound).then(|| format!("{}: {calls}, not {bound}", row.label()))
    };
    rows.iter().filter_map(fewer).collect()
}

/// All calls of a unit, to a hundredth.
fn total(row: &Row) -> Option<f64> {
    let calls = row.ours_calls.as_ref()?;
    // A sum of nothing is -0.
    Some((calls.values().sum::<f64>() * 100.0).round() / 100.0 + 0.0)
}

#[cfg(test)]
mod tests {
    use super::{Bounds, excess, fewer, read, record};
    use crate::row::Row;
    use crate::row::tests::row;
    use crate::subject::OVERLAYS;

    fn calls(each: f64) -> [Row; 1] {
        let mut row = row(OVERLAYS[0], "open-read-close", 4, 1.0, 1.0);
        row.ours_calls = Some([("pread64".to_owned(), each)].into());
        [row]
    }

    #[test]
    fn five_percent_more_are_too_many() {
        let bounds = Bounds::from([("0.1: open-read-close".to_owned(), 4.0)]);
        assert!(excess(&bounds, &calls(4.2)).is_empty());
        assert_eq!(excess(&bounds, &calls(4.3)).len(), 1);
        assert!(fewer(&bounds, &calls(3.9)).is_empty());
        assert_eq!(fewer(&bounds, &calls(3.0)).len(), 1);
    }

    #[test]
    fn none_stay_none() {
        let bounds = Bounds::from([("0.1: open-read-close".to_owned(), 0.0)]);
        assert!(excess(&bounds, &calls(0.04)).is_empty());
        assert_eq!(excess(&bounds, &calls(0.5)).len(), 1);
    }

    #[test]
    fn what_was_never_recorded_is_too_many() {
        assert_eq!(excess(&Bounds::new(), &calls(0.0)).len(), 1);
    }

    #[test]
    fn a_record_keeps_what_was_not_counted_this_time() {
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
