//! Times guests on an overlay, in the plugin and composed into the guest, against stock
//! wasmtime-wasi on one plain directory that holds the same tree; beside them what else one could
//! do: the kernel's overlayfs, fuse-overlayfs, and no guest at all.
//!
//! A shared machine is faster or slower from one second to the next, so both sides run back to
//! back, many times, and what counts is the median of the ratios. System calls are counted beside
//! them: those do not depend on the machine.

mod bounds;
mod count;
mod image;
mod measure;
mod plot;
mod python;
mod report;
mod row;
mod runner;
mod share;
mod sides;
mod start;
mod subject;
mod trees;
mod work;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use image::Image;
use row::Row;
use runner::{Guest, Run};
use sides::composed;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use subject::{Side, Subject, Version};
use trees::{Sizes, Trees};

#[derive(Debug, Parser)]
#[command(about = "Times an overlay against stock wasmtime on a plain directory")]
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
    /// How many lower layers, one after the other.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "16")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    layers: Vec<u32>,
    /// One turn on a new mount in each run, where otherwise there are many and one before them.
    #[arg(long)]
    cold: bool,
    /// Only count system calls of small trees of four layers, and fail if there are too many.
    #[arg(long)]
    smoke: bool,
    /// Write what was counted to the file of `--calls`.
    #[arg(long, requires = "smoke")]
    record: bool,
    /// How many system calls there may be.
    #[arg(long, value_name = "FILE", default_value = "bench/calls.json")]
    calls: PathBuf,
    /// Fail if the overlay takes longer than it may, with 15 % for chance.
    #[arg(long)]
    check: bool,
    /// Time a plain directory on the plugin, as `--dir` means it, instead of an overlay.
    #[arg(long)]
    live: bool,
    /// The overlays alone: neither the kernel's, nor fuse-overlayfs, nor a native program.
    #[arg(long)]
    ours: bool,
    /// Only rows whose guest and work, such as `0.2 composed: stat`, contain this.
    #[arg(long, default_value = "")]
    only: String,
    /// Put the trees on ext4, in a file that is mounted. Takes root.
    #[arg(long)]
    ext4: bool,
    /// Copy up a file of 1 GiB.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    sizes: Sizes,
    /// Write what was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the ratios, of the first number of layers, to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the README's tables.
    #[arg(long)]
    markdown: bool,
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
        layers: u32,
        guests: PathBuf,
        #[command(flatten)]
        sizes: Sizes,
    },
    /// One start of the guest that lies compiled in the trees' folder.
    #[command(hide = true)]
    Start {
        side: String,
        work: String,
        trees: PathBuf,
        layers: u32,
        #[command(flatten)]
        sizes: Sizes,
    },
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command { one: Some(one), .. } => run_one(one),
        Command { bench, .. } => run(bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_one(one: One) -> Result<()> {
    let side = |name: &str| Side::named(name).context("no such side");
    match one {
        One::One {
            version,
            side: name,
            work,
            turns,
            trees,
            layers,
            guests,
            sizes,
        } => {
            let version = Version::named(&version).context("no such version")?;
            let subject = Subject {
                version,
                side: side(&name)?,
            };
            let work = work::named(&work).context("no such work")?;
            let trees = Trees::at(trees, layers, sizes);
            let run = Run {
                work,
                turns,
                warm: work.warm,
            };
            Guest::load(&guests, subject, Some(work), &trees)?.run(subject.side, run, &trees)?;
            Ok(())
        }
        One::Start {
            side: name,
            work,
            trees,
            layers,
            sizes,
        } => start::process(side(&name)?, &work, &Trees::at(trees, layers, sizes)),
    }
}

fn run(mut bench: Bench) -> Result<()> {
    // Stock wasmtime captures one with each error when it is asked for, and would lose by it.
    ensure!(
        std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value == "0"),
        "RUST_BACKTRACE is set, which makes errors slow: set it to 0"
    );
    if bench.full {
        bench.sizes.large_mib = 1024;
    }
    if bench.smoke {
        bench.layers = vec![4];
        bench.sizes = Sizes {
            big_mib: 16,
            large_mib: 8,
            files: 2000,
            tree_files: 500,
        };
    }
    let mut rows = Vec::new();
    for layers in &bench.layers {
        let image = bench.ext4.then(Image::mount).transpose()?;
        let trees = Trees::make(*layers, bench.sizes.clone(), image)?;
        measure::all(&bench, &trees, &mut rows)?;
    }
    ensure!(!rows.is_empty(), "no row has {:?} in its name", bench.only);
    print!("{}", report::table(&rows, !bench.smoke));
    if bench.markdown {
        print!("\n{}", report::markdown(&rows));
    }
    if let Some(path) = &bench.json {
        let json = serde_json::to_string_pretty(&report::json(&rows, bench.pairs))?;
        write(path, &(json + "\n"))?;
    }
    if let Some(path) = &bench.svg {
        write(path, &plot::svg(&rows, bench.layers[0]))?;
    }
    judge(&bench, &rows)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn judge(bench: &Bench, rows: &[Row]) -> Result<()> {
    let mut faults: Vec<String> = Vec::new();
    if bench.record {
        bounds::record(&bench.calls, rows)?;
    }
    if bench.smoke {
        let bounds = bounds::read(&bench.calls)?;
        for fewer in bounds::fewer(&bounds, rows) {
            eprintln!("fewer system calls: record them (--smoke --record): {fewer}");
        }
        faults.extend(bounds::excess(&bounds, rows));
        faults.extend(composed::check_size().err().map(|error| error.to_string()));
    }
    if bench.check {
        faults.extend(rows.iter().flat_map(Row::misses));
        faults.extend(row::misses_between(rows));
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("it costs more than it may:\n  {}", faults.join("\n  "))
}
