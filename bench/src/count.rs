//! System calls per unit, counted by `strace` in a process that runs one workload.
//!
//! Two runs that differ only in their number of iterations are counted, and the difference leaves out
//! the calls of starting up.

use crate::subject::Subject;
use crate::trees::Trees;
use crate::workloads::Workload;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// System calls per unit, by name.
pub(crate) type Calls = BTreeMap<String, f64>;

/// System calls that do not concern files: memory, threads, clocks.
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

/// Counts the system calls per unit of a workload: with warm caches, or on a new mount if the workload
/// is a cold one.
pub(crate) fn calls(
    workload: &Workload,
    subject: Subject,
    trees: &Trees,
    guests: &Path,
) -> Result<Calls> {
    let iterations = workload.counted_iterations;
    let (few, many) = if workload.warm {
        (iterations, 2 * iterations)
    } else {
        (0, iterations)
    };
    let few = run(workload, subject, trees, guests, few)?;
    let many = run(workload, subject, trees, guests, many)?;
    let units = f64::from(iterations * workload.units(&trees.sizes));
    let mut calls = Calls::new();
    for (name, count) in many {
        let before = few.get(&name).copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let each = (count as f64 - before as f64) / units;
        // Occasional calls do not belong to the workload.
        if each >= 0.05 {
            calls.insert(name, each);
        }
    }
    Ok(calls)
}

fn run(
    workload: &Workload,
    subject: Subject,
    trees: &Trees,
    guests: &Path,
    iterations: u32,
) -> Result<BTreeMap<String, u64>> {
    if workload.changes {
        trees.restore()?;
    }
    let summary = trees.root().join("strace");
    let output = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o"])
        .arg(&summary)
        .arg(std::env::current_exe()?)
        .arg("one")
        .args([
            subject.version.name(),
            subject.backend.name(),
            workload.name,
        ])
        .arg(iterations.to_string())
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
        workload.name,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let summary = std::fs::read_to_string(&summary).context("strace left no summary")?;
    parse(&summary)
}

/// Parses the summary of `strace -c -U calls,name`.
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
    fn parse_skips_calls_that_do_not_concern_files() {
        let summary = "    calls syscall\n--------- ----------------\n       12 statx\n\
                       3 futex\n        1 openat2\n--------- ----------------\n       16 total\n";
        let counts = super::parse(summary).unwrap();
        assert_eq!(counts.len(), 2);
        assert_eq!(counts["statx"], 12);
        assert_eq!(counts["openat2"], 1);
    }

    #[test]
    fn summary_without_calls_is_an_error() {
        super::parse("strace: ptrace: Operation not permitted\n").unwrap_err();
    }
}
