//! The benchmark's command: guests on an overlay, in the plugin and composed into the guest, against
//! stock wasmtime-wasi on one plain directory that holds the same tree. It also times the
//! alternatives: the kernel's overlayfs, fuse-overlayfs, and a native program.
//!
//! The speed of a shared machine changes from one second to the next. Therefore a subject and its
//! baseline run back to back, many times, and the result is the median of the ratios. System calls
//! are counted as well, because they do not depend on the machine.

mod backends;
mod bounds;
mod count;
mod image;
mod measure;
mod plot;
mod python;
mod report;
mod row;
mod runner;
mod start;
mod subject;
mod trees;
mod workloads;

use anyhow::{Context as _, Result, bail, ensure};
use backends::composed;
use clap::{Args, Parser, Subcommand};
use image::Image;
use row::Row;
use runner::{Guest, Run};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use subject::{Backend, Subject, Version};
use trees::{Sizes, Trees};

#[derive(Debug, Parser)]
#[command(about = "Times an overlay against stock wasmtime on a plain directory")]
#[command(args_conflicts_with_subcommands = true)]
struct Command {
    #[command(subcommand)]
    child: Option<Child>,
    #[command(flatten)]
    bench: Bench,
}

#[derive(Args, Debug)]
struct Bench {
    /// Pairs of timed runs: one of the subject, one of the baseline.
    #[arg(long, default_value_t = 20)]
    pairs: u32,
    /// Number of lower layers; several numbers are measured one after the other.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "16")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    layers: Vec<u32>,
    /// Do a single iteration on a new mount in each run, instead of many iterations after a warm-up.
    #[arg(long)]
    cold: bool,
    /// Only count the system calls on small trees of four layers, and fail if there are too many.
    #[arg(long)]
    smoke: bool,
    /// Record the counted system calls in the file of `--calls`.
    #[arg(long, requires = "smoke")]
    record: bool,
    /// The file with the recorded system calls.
    #[arg(long, value_name = "FILE", default_value = "bench/calls.json")]
    calls: PathBuf,
    /// Fail if the overlay exceeds a bound by more than 15 %, which timings vary by.
    #[arg(long)]
    check: bool,
    /// Time the plugin on a plain directory (`--dir` of the command) instead of an overlay.
    #[arg(long)]
    live: bool,
    /// Skip the alternatives: the kernel's overlayfs, fuse-overlayfs and the native program.
    #[arg(long)]
    ours: bool,
    /// Only measure rows whose label, such as `0.2 composed: stat`, contains one of these texts.
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    only: Vec<String>,
    /// Put the trees on ext4, in a mounted image. Requires root.
    #[arg(long)]
    ext4: bool,
    /// Use a file of 1 GiB for `copy-up-large`.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    sizes: Sizes,
    /// Write the results as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Plot the ratios for the first number of layers as SVG to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the tables of docs/speed.md.
    #[arg(long)]
    markdown: bool,
    /// The folder with the built guests.
    #[arg(long, value_name = "FOLDER", default_value = "target/guests")]
    guests: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Child {
    /// Run one guest once, in a process whose system calls are counted.
    #[command(hide = true)]
    One {
        version: String,
        backend: String,
        workload: String,
        iterations: u32,
        trees: PathBuf,
        layers: u32,
        guests: PathBuf,
        #[command(flatten)]
        sizes: Sizes,
    },
    /// Start the compiled guest in the trees' folder once.
    #[command(hide = true)]
    Start {
        backend: String,
        workload: String,
        trees: PathBuf,
        layers: u32,
        #[command(flatten)]
        sizes: Sizes,
    },
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command {
            child: Some(child), ..
        } => run_child(child),
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

fn run_child(child: Child) -> Result<()> {
    let backend = |name: &str| Backend::named(name).context("no such backend");
    match child {
        Child::One {
            version,
            backend: name,
            workload,
            iterations,
            trees,
            layers,
            guests,
            sizes,
        } => {
            let version = Version::named(&version).context("no such version of WASI")?;
            let subject = Subject {
                version,
                backend: backend(&name)?,
            };
            let workload = workloads::named(&workload).context("no such workload")?;
            let trees = Trees::at(trees, layers, sizes);
            let run = Run {
                workload,
                iterations,
                warm: workload.warm,
            };
            Guest::load(&guests, subject, Some(workload), &trees)?.run(
                subject.backend,
                run,
                &trees,
            )?;
            Ok(())
        }
        Child::Start {
            backend: name,
            workload,
            trees,
            layers,
            sizes,
        } => start::run_process(backend(&name)?, &workload, &Trees::at(trees, layers, sizes)),
    }
}

fn run(mut bench: Bench) -> Result<()> {
    // wasmtime-wasi captures a backtrace with each error if this is set, which slows the baseline down.
    ensure!(
        std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value == "0"),
        "RUST_BACKTRACE is set, which makes errors slow: run with RUST_BACKTRACE=0"
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
    ensure!(
        !rows.is_empty(),
        "--only: no row contains any of {:?}",
        bench.only
    );
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
    check_bounds(&bench, &rows)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn check_bounds(bench: &Bench, rows: &[Row]) -> Result<()> {
    let mut exceeded: Vec<String> = Vec::new();
    if bench.record {
        bounds::record(&bench.calls, rows)?;
    }
    if bench.smoke {
        let bounds = bounds::read(&bench.calls)?;
        for decreased in bounds::decreased(&bounds, rows) {
            eprintln!(
                "fewer system calls than recorded; update with --smoke --record: {decreased}"
            );
        }
        exceeded.extend(bounds::exceeded(&bounds, rows));
        exceeded.extend(composed::check_size().err().map(|error| error.to_string()));
    }
    if bench.check {
        exceeded.extend(rows.iter().flat_map(Row::missed_bounds));
        exceeded.extend(row::missed_bounds_between_rows(rows));
    }
    if exceeded.is_empty() {
        return Ok(());
    }
    bail!("bounds are exceeded:\n  {}", exceeded.join("\n  "))
}
