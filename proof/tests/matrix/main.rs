//! The matrix: every operation, in every starting state of the name under test, on every kind of
//! file. An overlay must behave as a plain directory that holds the merged tree.
//!
//! The oracle is a live mount of such a directory, which runs the same scripts. The answers, the
//! resulting tree and which names are one file must be equal; on a directory upper also after it is
//! mounted again.

/// A test of `$run` for each kind of mount, with the test's name.
macro_rules! on_each_mount {
    ($run:ident) => {
        on_each_mount! { $run:
            on_an_upper_written_by_other_tools Written
            on_an_upper_from_an_image Image
            on_an_upper_directory Directory
            on_an_upper_whose_handles_are_paths ByPath
            on_an_upper_in_memory Memory
            on_a_memory_layer_that_outlives_its_mount Lasting
            without_an_upper NoUpper
            through_a_read_only_view ReadOnly
        }
    };
    ($run:ident: $($name:ident $mount:ident)*) => {$(
        #[test]
        fn $name() {
            $run(stringify!($name), Mount::$mount);
        }
    )*};
}

mod limited;
mod names;
mod run;
mod unprivileged;

use crate::run::{Layers, Mount};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasi_overlay_proof::kit::{Report, panic_message};
use wasi_overlay_proof::matrix::{KINDS, Kind, OPS, STATES};

/// Failed cells that are printed in full.
const SHOWN: usize = 40;

fn run(mount: Mount) {
    let only = |variable: &str| std::env::var(variable).unwrap_or_default();
    let (only_state, only_op) = (only("MATRIX_STATE"), only("MATRIX_OP"));
    let mut report = Report::new(SHOWN);
    for (state, make) in STATES {
        for kind in KINDS {
            let Some(start) = make(kind) else { continue };
            let mut layers = Layers::write(&start);
            if mount == Mount::Image && !layers.mount_image(&start, OPS.len()) {
                return;
            }
            if mount == Mount::Archives {
                layers.pack();
            }
            for (number, op) in OPS.iter().enumerate() {
                if !state.contains(&only_state) || !op.contains(&only_op) || !mount.wants(op) {
                    continue;
                }
                let expected = layers.expected(&start, mount, op);
                let actual = catch_unwind(AssertUnwindSafe(|| {
                    layers.actual(&start, (mount, number), op)
                }));
                let complaint = match actual {
                    Ok(None) => continue,
                    Ok(Some(actual)) if state.contains("cannot be written") => {
                        difference(&expected, &without_precedence(&expected, actual))
                    }
                    Ok(Some(actual)) => difference(&expected, &actual),
                    Err(panic) => format!("  panicked: {}\n", panic_message(panic.as_ref())),
                };
                report.cell(&format!("{kind:?} {state} | {op}"), &complaint);
            }
            if !layers.unchanged() {
                report.cell(&format!("{kind:?} {state}"), "a lower layer has changed");
            }
        }
    }
    report.end(mount);
}

#[test]
fn on_layers_in_archives_of_gnu_tar() {
    run(Mount::Archives);
}

/// Shows that a difference comes from the overlay.
#[test]
fn oracle_gives_the_same_result_twice() {
    for (state, make) in STATES {
        for kind in [Kind::File, Kind::FullDir] {
            let Some(start) = make(kind) else { continue };
            let layers = Layers::write(&start);
            for op in OPS {
                let [one, two] = [(); 2].map(|()| layers.expected(&start, Mount::Memory, op));
                assert_eq!(difference(&one, &two), "", "{kind:?} {state} | {op}");
                assert_eq!(one, two, "{kind:?} {state} | {op}");
            }
        }
    }
}

/// Accepts either of two errors for a forbidden call. A kernel checks the permission before it checks
/// the kind of a directory and whether it is empty; an overlay checks the permission only when it
/// changes something. The call must fail in both.
fn without_precedence(expected: &run::Outcome, mut actual: run::Outcome) -> run::Outcome {
    for (expected, actual) in expected.answers.iter().zip(&mut actual.answers) {
        let refused = ["IsDirectory", "NotDirectory", "NotEmpty"];
        if expected.ends_with(": Access") && refused.iter().any(|error| actual.ends_with(error)) {
            actual.clone_from(expected);
        }
    }
    actual
}

fn difference(expected: &run::Outcome, actual: &run::Outcome) -> String {
    let mut text = String::new();
    for (what, expected, actual) in [
        ("answer", &expected.answers, &actual.answers),
        ("tree", &expected.tree, &actual.tree),
        ("same", &expected.same, &actual.same),
    ] {
        for line in expected.iter().filter(|line| !actual.contains(line)) {
            writeln!(text, "  {what}: plain   {line}").unwrap();
        }
        for line in actual.iter().filter(|line| !expected.contains(line)) {
            writeln!(text, "  {what}: overlay {line}").unwrap();
        }
        if text.is_empty() && expected != actual {
            writeln!(text, "  {what}: plain {expected:?}, overlay {actual:?}").unwrap();
        }
    }
    text
}

fn without_limit(_: &str, mount: Mount) {
    run(mount);
}

on_each_mount!(without_limit);
