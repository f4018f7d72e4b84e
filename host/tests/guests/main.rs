//! Every guest program, on a plain directory with wasmtime-wasi and on our filesystems.
//!
//! A guest prints what it saw. The plain directory says what it should see: on every stack the
//! transcript has to be the same, line by line, but for the deviations that are listed with their
//! reasons. What is left on disk afterwards has to be the same too, merged by a few lines of this
//! test and not by the engine; and the lower layers have to be as they were.
//!
//! `foreach_p1!` and `foreach_p2!` make a test of each guest, so that there is none that nobody
//! runs.

#[path = "../common/mod.rs"]
mod common;
mod deviations;
mod fixture;
mod stacks;

use anyhow::{Context as _, Result, ensure};
use common::program::{Files, Outcome, Program};
use common::scan::{self, Tree};
use deviations::{DEVIATIONS, What};
use stacks::Stack;
use wasi_overlay_guest_artifacts::Guest;

macro_rules! test_guest {
    ($name:ident $constant:ident) => {
        #[test]
        fn $name() {
            check(&wasi_overlay_guest_artifacts::$constant);
        }
    };
}

wasi_overlay_guest_artifacts::foreach_p1!(test_guest);
wasi_overlay_guest_artifacts::foreach_p2!(test_guest);

/// Guests that change nothing, or that say what happens to those that try.
const READERS: [&str; 5] = [
    "p1_read_lower",
    "p1_readdir",
    "p1_read_only",
    "p2_read_lower",
    "p2_read_only",
];

#[test]
fn the_spread_layers_merge_to_the_tree() {
    let merged = scan::merge(&fixture::spread());
    assert_eq!(scan::difference(&fixture::tree(), &merged), None);
}

#[test]
fn every_deviation_is_of_a_guest_that_there_is() {
    for deviation in DEVIATIONS {
        let path = format!(
            "../guest-tests/{}/src/bin/{}.rs",
            &deviation.guest[..2],
            deviation.guest
        );
        assert!(std::path::Path::new(&path).exists(), "{path}");
        assert!(!deviation.reason.is_empty());
    }
}

/// Runs a guest on every filesystem. Failures are collected: that one stack alone fails, or all
/// do, says where to look.
fn check(guest: &Guest) {
    let program = Program::load(guest.path()).expect("a guest that was built can be compiled");
    let (expected, tree) = oracle(guest, &program).expect("the guest runs on a plain directory");
    let only = std::env::var("GUEST_STACK").ok();
    if only.as_deref() == Some("Stock") {
        println!("{}", expected.stdout);
    }
    let mut failures = Vec::new();
    let read_only = READERS
        .contains(&guest.name)
        .then_some(stacks::READ_ONLY)
        .into_iter()
        .flatten();
    for stack in stacks::WRITABLE.into_iter().chain(read_only) {
        if only
            .as_ref()
            .is_some_and(|only| *only != format!("{stack:?}"))
        {
            continue;
        }
        if let Err(error) = check_on(guest, &program, stack, &expected, &tree) {
            failures.push(format!("{} on {stack:?}: {error:#}", guest.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What the guest says and leaves behind on a plain directory.
fn oracle(guest: &Guest, program: &Program) -> Result<(Outcome, Tree)> {
    let folder = stacks::plain()?;
    let outcome = program.run(Files::Stock(folder.path()), &[guest.name], &[])?;
    let ended_well = outcome.failure.is_none() || MAY_TRAP.contains(&guest.name);
    ensure!(ended_well, "{}", report(&outcome));
    Ok((outcome, scan::scan(folder.path())?))
}

/// Guests that do what a host may answer with a trap.
const MAY_TRAP: [&str; 1] = ["p1_evil_memory"];

fn check_on(
    guest: &Guest,
    program: &Program,
    stack: Stack,
    expected: &Outcome,
    tree: &Tree,
) -> Result<()> {
    let mounted = stack.mount().context("it cannot be mounted")?;
    let outcome = program.run(mounted.files(), &[guest.name], &[])?;
    let after = mounted.end();
    ensure!(
        outcome.failure.is_some() == expected.failure.is_some(),
        "{}",
        report(&outcome)
    );
    compare(guest, stack, &expected.stdout, &outcome.stdout)?;
    if let Some(difference) = after?.and_then(|after| scan::difference(tree, &after)) {
        anyhow::bail!("what is left is another tree:\n{difference}");
    }
    Ok(())
}

fn report(outcome: &Outcome) -> String {
    let failure = outcome.failure.as_deref().unwrap_or("it ended well");
    let last: Vec<_> = outcome.stdout.lines().rev().take(5).collect();
    let last: Vec<_> = last.into_iter().rev().collect();
    format!(
        "{failure}\n{}\nlast lines:\n{}",
        outcome.stderr,
        last.join("\n")
    )
}

/// Compares two transcripts, given what may differ.
fn compare(guest: &Guest, stack: Stack, expected: &str, found: &str) -> Result<()> {
    let mut expected_lines: Vec<&str> = expected.lines().collect();
    let known = DEVIATIONS
        .iter()
        .filter(|known| known.guest == guest.name && (known.on)(stack));
    for deviation in known {
        match deviation.what {
            What::Whole(text) => expected_lines = text.lines().collect(),
            What::Lines(lines) => {
                let mut from = 0;
                for (plain, ours) in lines {
                    let at = expected_lines[from..].iter().position(|line| line == plain);
                    let at =
                        from + at.with_context(|| format!("no line {plain:?} to deviate from"))?;
                    expected_lines[at] = ours;
                    from = at + 1;
                }
            }
        }
    }
    let found_lines: Vec<&str> = found.lines().collect();
    let mut differences = Vec::new();
    for at in 0..expected_lines.len().max(found_lines.len()) {
        let (expected, found) = (expected_lines.get(at), found_lines.get(at));
        if expected != found {
            let heading = expected_lines[..at.min(expected_lines.len())]
                .iter()
                .rfind(|line| !line.starts_with(' '));
            differences.push(format!(
                "line {} (below {heading:?}):\n  expected {expected:?}\n  found    {found:?}",
                at + 1
            ));
        }
    }
    ensure!(
        differences.is_empty(),
        "{} lines differ\n{}",
        differences.len(),
        differences[..differences.len().min(12)].join("\n")
    );
    Ok(())
}
