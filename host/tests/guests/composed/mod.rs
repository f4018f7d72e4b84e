//! Tests of every guest composed with the overlay, on wasmtime-wasi without our plugin. The transcript and
//! the tree have to equal those of the same guest, uncomposed, on a plain directory.
//!
//! A guest for WASI 0.1 is wrapped with the adapter in both cases, because the adapter differs from a host of
//! WASI 0.1, and the overlay is not responsible for that.

mod depth;
mod odd_names;
mod settings;
mod stacks;
mod versions;

pub(crate) use stacks::{Setup, Stack, is_name};

use crate::deviations;
use crate::layers::FIXTURE;
use crate::program::{Files, Outcome, Program};
use crate::scan::{self, Tree};
use anyhow::{Context as _, Result, ensure};
use stacks::{OTHERS, READ_ONLY, WRITABLE};
use std::fs;
use wasi_overlay_compose::{ComposeError, Overlay};
use wasi_overlay_guest_artifacts::Guest;
use wasi_preview1_component_adapter_provider as adapter;
use wit_component::ComponentEncoder;

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

/// The overlay component that `wasi-overlay-compose` includes.
pub(crate) fn overlay() -> Overlay {
    match Overlay::embedded() {
        Ok(overlay) => overlay,
        Err(error @ ComposeError::NotBuilt { .. }) => {
            panic!("{error}: build it with scripts/build-component.sh")
        }
        Err(error) => panic!("{error}"),
    }
}

/// The guest as a component: a core module is wrapped with the adapter.
fn uncomposed(guest: &[u8]) -> Result<Program> {
    if guest.get(6) == Some(&1) {
        return Program::new(guest);
    }
    let component = ComponentEncoder::default()
        .validate(true)
        .module(guest)?
        .adapter(
            adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        )?
        .encode()?;
    Program::new(&component)
}

/// The environment variable that tells a guest for WASI 0.1 that it is behind the adapter.
const WRAPPED: (&str, &str) = ("WRAPPED", "1");

/// Guests that run on every stack.
const ON_ALL: [&str; 6] = [
    "p1_rename_dir",
    "p1_std_tree",
    "p2_changes",
    "p2_dead",
    "p2_links",
    "p2_script",
];

/// Runs a guest on every stack, and collects the failures: whether one stack or all of them fail is a hint to
/// the cause.
fn check(guest: &Guest) {
    let bytes = fs::read(guest.path()).expect("a guest that was built can be read");
    let (expected, tree) = oracle(guest, &bytes).expect("the guest runs on a plain directory");
    let reads = crate::READERS.contains(&guest.name);
    let on_all = ON_ALL.contains(&guest.name);
    let stacks = WRITABLE
        .into_iter()
        .chain(READ_ONLY.into_iter().filter(|_| reads))
        .chain(OTHERS.into_iter().filter(|_| on_all));
    let mut programs = Vec::new();
    let mut failures = crate::Failures::default();
    for stack in stacks.filter(|stack| crate::is_selected(*stack)) {
        let setup = stack.setup();
        let known = programs.iter().position(|(known, _)| *known == setup);
        let at = known.unwrap_or_else(|| {
            let composed = setup.compose(&bytes).expect("the guest can be composed");
            let program = Program::new(&composed).expect("it can be compiled");
            programs.push((setup, program));
            programs.len() - 1
        });
        let program = &programs[at].1;
        failures.add(stack, check_on(guest, program, stack, &expected, &tree));
    }
    failures.assert_none(guest.name);
}

fn oracle(guest: &Guest, bytes: &[u8]) -> Result<(Outcome, Tree)> {
    let program = uncomposed(bytes)?;
    let folder = FIXTURE.plain()?;
    let env = [("STOCK", "1"), WRAPPED];
    let outcome = program.run(Files::Stock(folder.path()), &[guest.name], &env)?;
    let ended_well = outcome.failure.is_none() || crate::MAY_TRAP.contains(&guest.name);
    ensure!(ended_well, "{}", crate::report(&outcome));
    Ok((outcome, scan::scan(folder.path())?))
}

/// The transcript of the interpreter's example script on a plain directory, and the tree that it leaves.
fn script_oracle() -> (String, Tree) {
    let guest = wasi_overlay_guest_artifacts::P2_SCRIPT;
    let bytes = fs::read(guest.path()).expect("a guest that was built can be read");
    let (outcome, tree) = oracle(&guest, &bytes).expect("it runs on a plain directory");
    (outcome.stdout, tree)
}

/// The transcript of a component on a stack, and the tree that it leaves.
fn on_stack(component: &[u8], stack: Stack) -> Result<(String, Tree)> {
    let mounted = stack.mount(&FIXTURE)?;
    let files = Files::Preopens(&mounted.preopens);
    let outcome = Program::new(component)?.run(files, &["guest"], &[])?;
    ensure!(outcome.failure.is_none(), "{}", crate::report(&outcome));
    Ok((outcome.stdout, mounted.end()?))
}

fn check_on(
    guest: &Guest,
    program: &Program,
    stack: Stack,
    expected: &Outcome,
    tree: &Tree,
) -> Result<()> {
    let mounted = stack.mount(&FIXTURE).context("it cannot be mounted")?;
    let files = Files::Preopens(&mounted.preopens);
    let outcome = program.run(files, &[guest.name], &[WRAPPED])?;
    crate::verify(guest, stack, expected, &outcome)?;
    let after = mounted.end()?;
    if deviations::tree_differs(guest.name, stack) {
        return Ok(());
    }
    match scan::difference(tree, &after) {
        Some(difference) => anyhow::bail!("the tree on disk differs:\n{difference}"),
        None => Ok(()),
    }
}
