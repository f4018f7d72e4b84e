//! Goes through subjects and works on one set of trees.

use crate::count::{self, Calls};
use crate::row::{Row, is_counted};
use crate::runner::{Guest, Run};
use crate::sides::mounted::Mounted;
use crate::subject::{LIVE, OTHERS, OVERLAYS, Side, Subject, Version};
use crate::trees::Trees;
use crate::work::Timed;
use crate::{Bench, python};
use anyhow::Result;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Calls of what is compared with, which is one for several subjects.
type Peers = BTreeMap<(Version, Side, &'static str), Calls>;

/// Measures what is asked for.
pub(crate) fn all(bench: &Bench, trees: &Trees, rows: &mut Vec<Row>) -> Result<()> {
    let chosen = chosen(bench, trees);
    let with_python = chosen.iter().any(|row| row.work.timed == Timed::Python);
    let has_python = !with_python || is_there("CPython", python::prepare(trees));
    let mut peers = Peers::new();
    let mut missing: Option<Side> = None;
    let mut guest: Option<(Subject, bool, Guest)> = None;
    for mut row in chosen {
        let (work, side) = (row.work, row.subject.side);
        let is_python = work.timed == Timed::Python;
        if (is_python && !has_python) || missing == Some(side) {
            continue;
        }
        let key = (row.subject, is_python);
        if guest
            .as_ref()
            .is_none_or(|(subject, python, _)| (*subject, *python) != key)
        {
            if !is_there(side.name(), Mounted::new(side, trees).map(drop)) {
                missing = Some(side);
                continue;
            }
            let loaded = Guest::load(&bench.guests, row.subject, Some(work), trees)?;
            guest = Some((row.subject, is_python, loaded));
        }
        let Some((_, _, guest)) = &guest else {
            continue;
        };
        eprintln!("{} layers, {}", trees.layers, row.label());
        if is_counted(&row) {
            count(bench, trees, &mut row, &mut peers)?;
        }
        let pairs = if bench.smoke { 0 } else { bench.pairs };
        for pair in 0..pairs {
            time_pair(guest, trees, &mut row, pair)?;
        }
        if pairs > 0 {
            eprintln!("  {:.3}", row.ratio().median);
        }
        rows.push(row);
    }
    Ok(())
}

/// The rows that are asked for, with nothing in them.
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
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => unknown.insert(calls(peer)?),
    };
    row.stock_calls = Some(counted.clone());
    Ok(())
}

/// Times both sides once; which goes first changes from pair to pair.
fn time_pair(guest: &Guest, trees: &Trees, row: &mut Row, pair: u32) -> Result<()> {
    let work = row.work;
    let run = Run {
        work,
        turns: if row.cold { 1 } else { work.turns },
        warm: work.warm && !row.cold,
    };
    let time = |side| {
        if work.changes {
            trees.restore()?;
        }
        guest.run(side, run, trees)
    };
    let (stock, ours) = if pair.is_multiple_of(2) {
        let stock = time(work.peer)?;
        (stock, time(row.subject.side)?)
    } else {
        let ours = time(row.subject.side)?;
        (time(work.peer)?, ours)
    };
    row.stock.push(stock);
    row.ours.push(ours);
    Ok(())
}
