//! System calls a unit, counted by `strace` over a process that does one work.
//!
//! What starting up costs is taken out by counting two runs that differ in nothing but turns.

use crate::subject::Subject;
use crate::trees::Trees;
use crate::work::Work;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Calls a unit, by name.
pub(crate) type Calls = BTreeMap<String, f64>;

/// Calls that say nothing about a filesystem: memory, threads, clocks.
const NOT_FILES: &[&str] = &[
    "brk",
    "clock_gettime",
    "clock_nanosleep",
    "clone",
    "clone3",
    "epoll_wait",
    "exit",
    "futex",
    "getrandom",
    "gettid",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "prctl",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
];

/// Counts the system calls of one unit of a work: once everything is warm, or on a new mount if
/// that is what the work is about.
pub(crate) fn calls(work: &Work, subject: Subject, trees: &Trees, guests: &Path) -> Result<Calls> {
    let turns = work.counted_turns;
    let (few, many) = if work.warm {
        (turns, 2 * turns)
    } else {
        (0, turns)
    };
    let few = run(work, subject, trees, guests, few)?;
    let many = run(work, subject, trees, guests, many)?;
    let units = f64::from(turns * work.units(&trees.sizes));
    let mut calls = Calls::new();
    for (name, count) in many {
        let before = few.get(&name).copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let each = (count as f64 - before as f64) / units;
        // A call now and then, such as one for memory, is none of the work's.
        if each >= 0.05 {
            calls.insert(name, each);
        }
    }
    Ok(calls)
}

fn run(
    work: &Work,
    subject: Subject,
    trees: &Trees,
    guests: &Path,
    turns: u32,
) -> Result<BTreeMap<String, u64>> {
    if work.changes {
        trees.restore()?;
    }
    let summary = trees.root().join("strace");
    let output = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o"])
        .arg(&summary)
        .arg(std::env::current_exe()?)
        .arg("one")
        .args([subject.version.name(), subject.side.name(), work.name])
        .arg(turns.to_string())
        .arg(trees.root())
        .arg(trees.layers.to_string())
        .arg(guests)
        .args(trees.sizes.arguments())
        .stdin(Stdio::null())
        .output()
        .context("cannot run strace: install it (scripts/setup.sh does)")?;
    ensure!(
        output.status.success(),
        "counting {} of {subject} failed: {}",
        work.name,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let summary = std::fs::read_to_string(&summary).context("strace left no summary")?;
    parse(&summary)
}

/// Reads lines of `calls name` between two rules of dashes.
fn parse(summary: &str) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for line in summary.lines() {
        let mut words = line.split_whitespace();
        let (Some(calls), Some(name), None) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if let Ok(calls) = calls.parse()
            && name != "total"
            && !NOT_FILES.contains(&name)
        {
            counts.insert(name.to_owned(), calls);
        }
    }
    if counts.is_empty() {
        bail!("strace counted nothing: is tracing (ptrace) allowed here?");
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_summary_is_read_without_what_is_not_about_files() {
        let summary = "    calls syscall\n--------- ----------------\n       12 statx\n\
                       3 futex\n        1 openat2\n--------- ----------------\n       16 total\n";
        let counts = super::parse(summary).unwrap();
        assert_eq!(counts.len(), 2);
        assert_eq!(counts["statx"], 12);
        assert_eq!(counts["openat2"], 1);
    }

    #[test]
    fn a_summary_without_calls_is_an_error() {
        super::parse("strace: ptrace: Operation not permitted\n").unwrap_err();
    }
}
