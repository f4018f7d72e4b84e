//! Goes through subjects and works on one set of trees.

use crate::count::{self, Calls};
use crate::row::{Row, is_counted};
use crate::runner::{Guest, Run};
use crate::sides::mounted::Mounted;
use crate::subject::{LIVE, OTHERS, OVERLAYS, Side, Subject, Version};
use crate::trees::Trees;
use crate::work::Timed;
use crate::{Bench, python};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::collections::btree_map;

/// Calls of what is compared with, which is one for several subjects.
type Peers = BTreeMap<(Version, Side, &'static str), Calls>;

/// The guests that were loaded, each with the programs that it was loaded with.
type Guests = BTreeMap<(Subject, bool), Guest>;

/// Measures what is asked for.
pub(crate) fn all(bench: &Bench, trees: &Trees, rows: &mut Vec<Row>) -> Result<()> {
    let mut peers = Peers::new();
    let mut guests = Guests::new();
    for mut group in groups(chosen(bench, trees)) {
        for row in &group {
            let key = key(row);
            if let btree_map::Entry::Vacant(guest) = guests.entry(key) {
                let (subject, work) = (row.subject, Some(row.work));
                guest.insert(Guest::load(&bench.guests, subject, work, trees)?);
            }
        }
        for row in group.iter_mut().filter(|row| is_counted(row)) {
            eprintln!("{} layers, {}: counted", trees.layers, row.label());
            count(bench, trees, row, &mut peers)?;
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

/// What a row's guest is loaded by.
fn key(row: &Row) -> (Subject, bool) {
    (row.subject, row.work.timed == Timed::Python)
}

/// Rows that are compared with one and the same.
fn groups(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        let (version, work) = (row.subject.version, row.work.name);
        let mut all = groups.iter_mut();
        let same = |group: &&mut Vec<Row>| {
            group[0].subject.version == version && group[0].work.name == work
        };
        match all.find(same) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// The rows that are asked for and that can be had here, with nothing in them.
fn chosen(bench: &Bench, trees: &Trees) -> Vec<Row> {
    let (first, others) = match bench {
        Bench { live: true, .. } => (LIVE, &[][..]),
        Bench { ours: true, .. } | Bench { smoke: true, .. } => (OVERLAYS, &[][..]),
        _ => (OVERLAYS, OTHERS),
    };
    let mut chosen = Vec::new();
    for subject in first.iter().chain(others) {
        for work in subject.works() {
            // What begins or changes anew in each run is cold at all times.
            if bench.cold && !work.warm {
                continue;
            }
            let row = Row::new(*subject, work, trees.layers, bench.cold);
            let is_timed = !bench.smoke || is_counted(&row);
            if row.label().contains(&bench.only) && is_timed {
                chosen.push(row);
            }
        }
    }
    let mut has = |wanted: &dyn Fn(&Row) -> bool, what, try_it: &dyn Fn() -> Result<()>| {
        if chosen.iter().any(wanted) && !is_there(what, try_it()) {
            chosen.retain(|row| !wanted(row));
        }
    };
    for side in [Side::Kernel, Side::Fuse] {
        let try_it = || Mounted::new(side, trees).map(drop);
        has(&|row| row.subject.side == side, side.name(), &try_it);
    }
    let is_python = |row: &Row| row.work.timed == Timed::Python;
    has(&is_python, "CPython", &|| python::prepare(trees));
    chosen
}

/// Says so where something is left out.
fn is_there(what: &str, found: Result<()>) -> bool {
    if let Err(error) = &found {
        eprintln!("{what} is left out: {error:#}");
    }
    found.is_ok()
}

fn count(bench: &Bench, trees: &Trees, row: &mut Row, peers: &mut Peers) -> Result<()> {
    let work = row.work;
    let calls = |subject| count::calls(work, subject, trees, &bench.guests);
    row.ours_calls = Some(calls(row.subject)?);
    // The bounds are of ours.
    if bench.smoke || !work.counts_stock {
        return Ok(());
    }
    let peer = row.subject.on(work.peer);
    let key = (peer.version, peer.side, work.name);
    let counted = match peers.entry(key) {
        btree_map::Entry::Occupied(known) => known.into_mut(),
        btree_map::Entry::Vacant(unknown) => unknown.insert(calls(peer)?),
    };
    row.stock_calls = Some(counted.clone());
    Ok(())
}

/// Times each row of a group once, and what they are compared with; which goes first changes from
/// time to time.
fn time_once(guests: &Guests, trees: &Trees, group: &mut [Row], turn: usize) -> Result<()> {
    let peer = group[0].work.peer;
    let mut took = vec![0.0; group.len() + 1];
    for step in 0..took.len() {
        let index = (step + turn) % took.len();
        // The last is the peer, with the guest of the first.
        let row = group.get(index).unwrap_or(&group[0]);
        let side = group.get(index).map_or(peer, |row| row.subject.side);
        let work = row.work;
        let run = Run {
            work,
            turns: if row.cold { 1 } else { work.turns },
            warm: work.warm && !row.cold,
        };
        if work.changes {
            trees.restore()?;
        }
        let guest = guests.get(&key(row)).context("it was not loaded")?;
        took[index] = guest.run(side, run, trees)?;
    }
    for (index, row) in group.iter_mut().enumerate() {
        row.ours.push(took[index]);
        row.stock.push(took[took.len() - 1]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::groups;
    use crate::row::tests::row;
    use crate::subject::{OTHERS, OVERLAYS};

    #[test]
    fn guests_of_one_version_share_what_they_are_compared_with() {
        let rows = vec![
            row(OVERLAYS[0], "stat", 16, 1.0, 1.0),
            row(OVERLAYS[0], "fstat", 16, 1.0, 1.0),
            row(OVERLAYS[1], "stat", 16, 1.0, 1.0),
            row(OTHERS[2], "stat", 16, 1.0, 1.0),
        ];
        let groups = groups(rows);
        let labels = |group: &Vec<_>| group.iter().map(crate::Row::label).collect::<Vec<_>>();
        let labels: Vec<_> = groups.iter().map(labels).collect();
        assert_eq!(labels[0], ["0.1: stat", "native: stat"]);
        assert_eq!(labels[1], ["0.1: fstat"]);
        assert_eq!(labels[2], ["0.2: stat"]);
    }
}
