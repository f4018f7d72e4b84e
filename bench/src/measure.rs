//! The measurement loop over all subjects and workloads on one set of trees.

use crate::backends::mounted::Mounted;
use crate::count::{self, Calls};
use crate::row::{Row, is_counted};
use crate::runner::{Guest, Run};
use crate::subject::{Backend, COMPARISONS, LIVE, OVERLAYS, Subject, Version};
use crate::trees::Trees;
use crate::workloads::Timed;
use crate::{Bench, python};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::collections::btree_map;

/// System calls of baselines. Several subjects share one baseline.
type BaselineCalls = BTreeMap<(Version, Backend, &'static str), Calls>;

/// Loaded guests, by subject and by whether CPython was loaded with them.
type Guests = BTreeMap<(Subject, bool), Guest>;

/// Measures all selected rows and appends them to `rows`.
pub(crate) fn all(bench: &Bench, trees: &Trees, rows: &mut Vec<Row>) -> Result<()> {
    let mut baseline_calls = BaselineCalls::new();
    let mut guests = Guests::new();
    for mut group in groups(chosen(bench, trees)) {
        for row in &group {
            let key = key(row);
            if let btree_map::Entry::Vacant(guest) = guests.entry(key) {
                let (subject, workload) = (row.subject, Some(row.workload));
                guest.insert(Guest::load(&bench.guests, subject, workload, trees)?);
            }
        }
        for row in group.iter_mut().filter(|row| is_counted(row)) {
            eprintln!("{} layers, {}: counted", trees.layers, row.label());
            count(bench, trees, row, &mut baseline_calls)?;
        }
        let pairs = if bench.smoke { 0 } else { bench.pairs };
        for pair in 0..pairs as usize {
            time_once(&guests, trees, &mut group, pair)?;
        }
        for row in group.iter().filter(|_| pairs > 0) {
            let ratio = row.ratio().median;
            eprintln!("{} layers, {}: {ratio:.3}", trees.layers, row.label());
        }
        rows.append(&mut group);
    }
    Ok(())
}

/// The key of a row's guest in [`Guests`].
fn key(row: &Row) -> (Subject, bool) {
    (row.subject, row.workload.timed == Timed::Python)
}

/// Groups the rows that share a baseline: those with the same guest and workload.
fn groups(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        let (version, workload) = (row.subject.version, row.workload.name);
        let mut all = groups.iter_mut();
        let same = |group: &&mut Vec<Row>| {
            group[0].subject.version == version && group[0].workload.name == workload
        };
        match all.find(same) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// The rows that were selected and that this machine supports, without measurements.
fn chosen(bench: &Bench, trees: &Trees) -> Vec<Row> {
    let (first, others) = match bench {
        Bench { live: true, .. } => (LIVE, &[][..]),
        Bench { ours: true, .. } | Bench { smoke: true, .. } => (OVERLAYS, &[][..]),
        _ => (OVERLAYS, COMPARISONS),
    };
    let mut chosen = Vec::new();
    for subject in first.iter().chain(others) {
        for workload in subject.workloads() {
            // These are cold in every run already.
            if bench.cold && !workload.warm {
                continue;
            }
            let row = Row::new(*subject, workload, trees.layers, bench.cold);
            let is_timed = !bench.smoke || is_counted(&row);
            let label = row.label();
            let is_wanted =
                bench.only.is_empty() || bench.only.iter().any(|text| label.contains(text));
            if is_wanted && is_timed {
                chosen.push(row);
            }
        }
    }
    let mut require = |wanted: &dyn Fn(&Row) -> bool, what, try_it: &dyn Fn() -> Result<()>| {
        if chosen.iter().any(wanted) && !is_available(what, try_it()) {
            chosen.retain(|row| !wanted(row));
        }
    };
    for backend in [Backend::Kernel, Backend::Fuse] {
        let try_it = || Mounted::new(backend, trees).map(drop);
        require(
            &|row| row.subject.backend == backend,
            backend.name(),
            &try_it,
        );
    }
    let is_python = |row: &Row| row.workload.timed == Timed::Python;
    require(&is_python, "CPython", &|| python::prepare(trees));
    chosen
}

/// Whether `what` is available; prints the reason if it is not.
fn is_available(what: &str, found: Result<()>) -> bool {
    if let Err(error) = &found {
        eprintln!("skipping {what}: {error:#}");
    }
    found.is_ok()
}

fn count(
    bench: &Bench,
    trees: &Trees,
    row: &mut Row,
    baseline_calls: &mut BaselineCalls,
) -> Result<()> {
    let workload = row.workload;
    let calls = |subject| count::calls(workload, subject, trees, &bench.guests);
    row.subject_calls = Some(calls(row.subject)?);
    // Only subjects have bounds on system calls.
    if bench.smoke || !workload.counts_baseline {
        return Ok(());
    }
    let baseline = row.subject.on(workload.baseline);
    let key = (baseline.version, baseline.backend, workload.name);
    let counted = match baseline_calls.entry(key) {
        btree_map::Entry::Occupied(known) => known.into_mut(),
        btree_map::Entry::Vacant(unknown) => unknown.insert(calls(baseline)?),
    };
    row.baseline_calls = Some(counted.clone());
    Ok(())
}

/// Times each row of a group and their baseline once. The order rotates with `pair`, so that no row
/// always runs first.
fn time_once(guests: &Guests, trees: &Trees, group: &mut [Row], pair: usize) -> Result<()> {
    let baseline = group[0].workload.baseline;
    let mut took = vec![0.0; group.len() + 1];
    for step in 0..took.len() {
        let index = (step + pair) % took.len();
        // The last one is the baseline, which runs the guest of the first row.
        let row = group.get(index).unwrap_or(&group[0]);
        let backend = group.get(index).map_or(baseline, |row| row.subject.backend);
        let workload = row.workload;
        let run = Run {
            workload,
            iterations: if row.cold { 1 } else { workload.iterations },
            warm: workload.warm && !row.cold,
        };
        if workload.changes {
            trees.restore()?;
        }
        let guest = guests.get(&key(row)).context("the guest was not loaded")?;
        took[index] = guest.run(backend, run, trees)?;
    }
    for (index, row) in group.iter_mut().enumerate() {
        row.subject_ns.push(took[index]);
        row.baseline_ns.push(took[took.len() - 1]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::groups;
    use crate::row::tests::row;
    use crate::subject::{COMPARISONS, OVERLAYS};

    #[test]
    fn rows_of_one_version_and_workload_share_a_baseline() {
        let rows = vec![
            row(OVERLAYS[0], "stat", 16, 1.0, 1.0),
            row(OVERLAYS[0], "fstat", 16, 1.0, 1.0),
            row(OVERLAYS[1], "stat", 16, 1.0, 1.0),
            row(COMPARISONS[2], "stat", 16, 1.0, 1.0),
        ];
        let groups = groups(rows);
        let labels = |group: &Vec<_>| group.iter().map(crate::Row::label).collect::<Vec<_>>();
        let labels: Vec<_> = groups.iter().map(labels).collect();
        assert_eq!(labels[0], ["0.1: stat", "native: stat"]);
        assert_eq!(labels[1], ["0.1: fstat"]);
        assert_eq!(labels[2], ["0.2: stat"]);
    }
}
