//! Times guests on an overlay of four layers, in the plugin and composed into the guest, against
//! stock wasmtime-wasi on one plain directory that holds the same tree.
//!
//! A shared machine is faster or slower from one second to the next, so both sides run back to
//! back, many times, and what counts is the median of the ratios. System calls are counted beside
//! them: those do not depend on the machine.

mod count;
mod report;
mod runner;
mod sides;
mod start;
mod trees;
mod work;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use report::Row;
use runner::{Guest, Side, Version};
use sides::composed;
use std::path::PathBuf;
use std::process::ExitCode;
use trees::Trees;
use work::Work;

#[derive(Debug, Parser)]
#[command(about = "Times an overlay of four layers against stock wasmtime on a plain directory")]
#[command(args_conflicts_with_subcommands = true)]
struct Command {
    #[command(subcommand)]
    one: Option<One>,
    #[command(flatten)]
    bench: Bench,
}

#[derive(Args, Debug)]
struct Bench {
    /// How often each side is timed.
    #[arg(long, default_value_t = 20)]
    pairs: u32,
    /// Count system calls and fail if there are too many; time once, and say nothing of it.
    #[arg(long)]
    smoke: bool,
    /// Fail if the overlay takes longer than it may, with 15 % for chance.
    #[arg(long)]
    check: bool,
    /// Time a plain directory on the plugin, as `--dir` means it, instead of an overlay.
    #[arg(long)]
    live: bool,
    /// Only rows whose guest and work, such as `0.2 composed: stat`, contain this.
    #[arg(long, default_value = "")]
    only: String,
    /// Write what was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The folder of the built guests.
    #[arg(long, value_name = "FOLDER", default_value = "target/guests")]
    guests: PathBuf,
}

#[derive(Debug, Subcommand)]
enum One {
    /// One run of one guest, to be counted from outside.
    #[command(hide = true)]
    One {
        version: String,
        side: String,
        work: String,
        turns: u32,
        trees: PathBuf,
        guests: PathBuf,
    },
    /// One start of the guest that lies compiled in the trees' folder.
    #[command(hide = true)]
    Start {
        side: String,
        work: String,
        trees: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command { one: Some(one), .. } => run_one(&one),
        Command { bench, .. } => run(&bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_one(one: &One) -> Result<()> {
    let side = |name| Side::named(name).context("no such side");
    match one {
        One::One {
            version,
            side: name,
            work,
            turns,
            trees,
            guests,
        } => {
            let version = Version::named(version).context("no such version")?;
            let work = work::named(work).context("no such work")?;
            let side = side(name)?;
            let trees = Trees::at(trees.clone());
            Guest::load(guests, version, side)?.run(side, work, *turns, &trees)?;
            Ok(())
        }
        One::Start {
            side: name,
            work,
            trees,
        } => start::process(side(name)?, work, &Trees::at(trees.clone())),
    }
}

fn run(bench: &Bench) -> Result<()> {
    // Stock wasmtime captures one with each error when it is asked for, and would lose by it.
    ensure!(
        std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value == "0"),
        "RUST_BACKTRACE is set, which makes errors slow: set it to 0"
    );
    let trees = Trees::make()?;
    let mut rows = Vec::new();
    for (version, side) in subjects(bench.live) {
        let chosen: Vec<Row> = works(side)
            .filter(|work| version.knows(work))
            .map(|work| Row::new(version, side, work))
            .filter(|row| row.label().contains(&bench.only))
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let guest = Guest::load(&bench.guests, version, side)?;
        for mut row in chosen {
            eprintln!("{}", row.label());
            let calls = |side| count::calls(row.work, version, side, &trees, &bench.guests);
            row.stock_calls = calls(Side::Stock)?;
            row.ours_calls = calls(side)?;
            let pairs = if bench.smoke { 1 } else { bench.pairs };
            for pair in 0..pairs {
                time_pair(&guest, &trees, &mut row, pair)?;
            }
            rows.push(row);
        }
    }
    ensure!(!rows.is_empty(), "no row has {:?} in its name", bench.only);
    print!("{}", report::table(&rows, !bench.smoke));
    if let Some(path) = &bench.json {
        let json = serde_json::to_string_pretty(&report::json(&rows, bench.pairs))?;
        std::fs::write(path, json + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    judge(bench, &rows)
}

/// What is compared with stock.
fn subjects(live: bool) -> Vec<(Version, Side)> {
    if live {
        return vec![
            (Version::P1, Side::Live),
            (Version::P2, Side::Live),
            (Version::P3, Side::Live),
        ];
    }
    vec![
        (Version::P1, Side::Overlay),
        (Version::P2, Side::Overlay),
        (Version::P3, Side::Overlay),
        (Version::P2, Side::Composed),
    ]
}

/// What is done on that side.
fn works(side: Side) -> impl Iterator<Item = &'static Work> {
    let starts = match side {
        Side::Composed => work::STARTS,
        Side::Stock | Side::Overlay | Side::Live => &[],
    };
    work::WORKS.iter().chain(starts)
}

/// Times both sides once; which goes first changes from pair to pair.
fn time_pair(guest: &Guest, trees: &Trees, row: &mut Row, pair: u32) -> Result<()> {
    let time = |side| guest.run(side, row.work, row.work.turns, trees);
    let (stock, ours) = if pair.is_multiple_of(2) {
        let stock = time(Side::Stock)?;
        (stock, time(row.side)?)
    } else {
        let ours = time(row.side)?;
        (time(Side::Stock)?, ours)
    };
    row.stock.push(stock);
    row.ours.push(ours);
    Ok(())
}

fn judge(bench: &Bench, rows: &[Row]) -> Result<()> {
    let mut faults: Vec<String> = Vec::new();
    if bench.smoke {
        faults.extend(rows.iter().filter_map(Row::excess));
        faults.extend(composed::check_size().err().map(|error| error.to_string()));
    }
    if bench.check {
        let slower = rows.iter().filter(|row| row.is_slower());
        faults.extend(slower.map(|row| format!("{}: slower", row.label())));
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("it costs more than it may:\n  {}", faults.join("\n  "))
}
