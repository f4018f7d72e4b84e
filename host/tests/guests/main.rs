//! Every guest program, on a plain directory with wasmtime-wasi and on our filesystems.
//!
//! A guest prints what it saw. The plain directory says what it should see: on every stack the
//! transcript has to be the same, line by line, but for the deviations that are listed with their
//! reasons in `guest-tests/expectations.toml`. What is left on disk afterwards has to be the same too, merged by a few lines of this
//! test and not by the engine; and the lower layers have to be as they were.
//!
//! `foreach_p1!`, `foreach_p2!` and `foreach_p3!` make a test of each guest, so that there is none that nobody
//! runs. `GUEST_STACK=Spread cargo test … p1_rename_dir -- --show-output` runs it on one stack and
//! shows what it says there, `GUEST_STACK=Stock` what it says on a plain directory.

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
use deviations::Place;
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
    for guest in deviations::guests() {
        let path = format!("../guest-tests/{}/src/bin/{guest}.rs", &guest[..2]);
        assert!(std::path::Path::new(&path).exists(), "{path}");
    }
}

/// Runs a guest on every filesystem. Failures are collected: that one stack alone fails, or all
/// do, says where to look.
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
        if is_asked_for(stack) {
            failures.add(stack, check_on(guest, &program, stack, &expected, &tree));
        }
    }
    failures.assert_none(guest.name);
}

/// Whether a stack is among those that guests are to be run on.
fn is_asked_for(stack: impl Place) -> bool {
    std::env::var("GUEST_STACK").map_or(true, |only| stack.is_one_of(&only))
}

/// By what went wrong: stacks that fail alike have one cause.
#[derive(Default)]
struct Failures(Vec<(String, Vec<String>)>);

impl Failures {
    fn add(&mut self, stack: impl Place, result: Result<()>) {
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

/// What the guest says and leaves behind on a plain directory.
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

/// Guests that do what a host may answer with a trap.
const MAY_TRAP: [&str; 2] = ["p1_evil_flags", "p1_evil_memory"];

fn check_on(
    guest: &Guest,
    program: &Program,
    stack: Stack,
    expected: &Outcome,
    tree: &Tree,
) -> Result<()> {
    let mounted = stack.mount(&FIXTURE).context("it cannot be mounted")?;
    let outcome = program.run(mounted.files(), &[guest.name], &[])?;
    let after = mounted.end();
    verify(guest, stack, expected, &outcome)?;
    let after = after?.filter(|_| !deviations::tree_differs(guest.name, stack));
    if let Some(difference) = after.and_then(|after| scan::difference(tree, &after)) {
        anyhow::bail!("what is left is another tree:\n{difference}");
    }
    Ok(())
}

/// Compares how a guest ended and what it said, given what may differ.
fn verify(guest: &Guest, stack: impl Place, expected: &Outcome, outcome: &Outcome) -> Result<()> {
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
fn compare(guest: &Guest, stack: impl Place, expected: &str, found: &str) -> Result<()> {
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
