//! Tests that run every guest program on a plain directory with wasmtime-wasi and on our filesystems.
//!
//! A guest prints a transcript of its calls. The transcript on the plain directory is the expected one: on
//! every stack, the guest has to print the same lines, except for the deviations that
//! `guest-tests/expectations.toml` lists with their reasons. The tree on disk afterwards has to be the same
//! too, as merged by a few lines of this test and not by the engine, and the lower layers must not have
//! changed.
//!
//! `foreach_p1!`, `foreach_p2!` and `foreach_p3!` generate a test for each guest, so that none is left out.
//! `GUEST_STACK=Spread cargo test … p1_rename_dir -- --show-output` runs one on one stack and shows its
//! transcript; `GUEST_STACK=Stock` shows the transcript on a plain directory.

mod composed;
mod cpython;
mod deviations;
mod fixture;
mod full;
mod layers;
mod odd_names;
mod program;
mod random;
mod scan;
mod stacks;
mod versions;

use anyhow::{Context as _, Result, ensure};
use deviations::TestStack;
use layers::FIXTURE;
use program::{Files, Outcome, Program};
use scan::Tree;
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
wasi_overlay_guest_artifacts::foreach_p3!(test_guest);

/// Guests that change nothing, or that test how changes of a read-only filesystem fail.
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
fn every_deviation_names_an_existing_guest() {
    for guest in deviations::guests() {
        let path = format!("../guest-tests/{}/src/bin/{guest}.rs", &guest[..2]);
        assert!(std::path::Path::new(&path).exists(), "{path}");
    }
}

/// Runs a guest on every filesystem, and collects the failures: whether one stack or all of them fail is a
/// hint to the cause.
fn check(guest: &Guest) {
    let program = Program::load(guest.path()).expect("a guest that was built can be compiled");
    let (expected, tree) = oracle(guest, &program).expect("the guest runs on a plain directory");
    if std::env::var("GUEST_STACK").is_ok_and(|only| only == "Stock") {
        println!("{}", expected.stdout);
    }
    let reads = READERS.contains(&guest.name);
    let read_only = stacks::READ_ONLY.into_iter().filter(|_| reads);
    let mut failures = Failures::default();
    for stack in stacks::WRITABLE.into_iter().chain(read_only) {
        if is_selected(stack) {
            failures.add(stack, check_on(guest, &program, stack, &expected, &tree));
        }
    }
    failures.assert_none(guest.name);
}

/// Whether `GUEST_STACK` selects a stack. Without it, all stacks are selected.
fn is_selected(stack: impl TestStack) -> bool {
    std::env::var("GUEST_STACK").map_or(true, |only| stack.is_one_of(&only))
}

/// The failures of a guest, with the stacks grouped by message: equal failures have one cause.
#[derive(Default)]
struct Failures(Vec<(String, Vec<String>)>);

impl Failures {
    fn add(&mut self, stack: impl TestStack, result: Result<()>) {
        let Err(error) = result else {
            return;
        };
        let (stack, message) = (format!("{stack:?}"), format!("{error:#}"));
        match self.0.iter_mut().find(|(known, _)| *known == message) {
            Some((_, stacks)) => stacks.push(stack),
            None => self.0.push((message, vec![stack])),
        }
    }

    fn assert_none(&self, guest: &str) {
        let failures: Vec<_> = self
            .0
            .iter()
            .map(|(message, stacks)| format!("{guest} on {}: {message}", stacks.join(", ")))
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    }
}

/// Runs the guest on a plain directory; returns its outcome and the tree afterwards.
fn oracle(guest: &Guest, program: &Program) -> Result<(Outcome, Tree)> {
    let folder = FIXTURE.plain()?;
    let outcome = program.run(
        Files::Stock(folder.path()),
        &[guest.name],
        &[("STOCK", "1")],
    )?;
    let ended_well = outcome.failure.is_none() || MAY_TRAP.contains(&guest.name);
    ensure!(ended_well, "{}", report(&outcome));
    Ok((outcome, scan::scan(folder.path())?))
}

/// Guests that make calls which a host may answer with a trap.
const MAY_TRAP: [&str; 2] = ["p1_evil_flags", "p1_evil_memory"];

fn check_on(
    guest: &Guest,
    program: &Program,
    stack: Stack,
    expected: &Outcome,
    tree: &Tree,
) -> Result<()> {
    let mounted = stack.mount(&FIXTURE).context("cannot mount the stack")?;
    let outcome = program.run(mounted.files(), &[guest.name], &[])?;
    let after = mounted.end();
    verify(guest, stack, expected, &outcome)?;
    let after = after?.filter(|_| !deviations::tree_differs(guest.name, stack));
    if let Some(difference) = after.and_then(|after| scan::difference(tree, &after)) {
        anyhow::bail!("the tree on disk differs:\n{difference}");
    }
    Ok(())
}

/// Compares the outcome of a guest with the expected one, except for the listed deviations.
fn verify(
    guest: &Guest,
    stack: impl TestStack,
    expected: &Outcome,
    outcome: &Outcome,
) -> Result<()> {
    ensure!(
        outcome.failure.is_some() == expected.failure.is_some(),
        "{}",
        report(outcome)
    );
    if std::env::var("GUEST_STACK").is_ok_and(|only| only == format!("{stack:?}")) {
        println!("{}", outcome.stdout);
    }
    compare(guest, stack, &expected.stdout, &outcome.stdout)
}

fn report(outcome: &Outcome) -> String {
    let failure = outcome.failure.as_deref().unwrap_or("it succeeded");
    let last: Vec<_> = outcome.stdout.lines().rev().take(5).collect();
    let last: Vec<_> = last.into_iter().rev().collect();
    format!(
        "{failure}\n{}\nlast lines:\n{}",
        outcome.stderr,
        last.join("\n")
    )
}

/// Compares two transcripts, except for the listed deviations.
fn compare(guest: &Guest, stack: impl TestStack, expected: &str, found: &str) -> Result<()> {
    let text = deviations::expected(guest.name, stack, expected)?;
    let (expected, found): (Vec<_>, Vec<_>) = (text.lines().collect(), found.lines().collect());
    let mut differences = Vec::new();
    let mut heading = "";
    for at in 0..expected.len().max(found.len()) {
        let (expected, found) = (expected.get(at).copied(), found.get(at).copied());
        if expected != found {
            let (expected, found) = (expected.unwrap_or("(end)"), found.unwrap_or("(end)"));
            differences.push(format!(
                "line {} (below {heading}):\n  - {expected}\n  + {found}",
                at + 1
            ));
        }
        heading = expected
            .filter(|line| !line.starts_with(' '))
            .unwrap_or(heading);
    }
    let shown = differences[..differences.len().min(20)].join("\n");
    ensure!(
        differences.is_empty(),
        "{} lines differ\n{shown}",
        differences.len()
    );
    Ok(())
}
