//! The committed inputs of the fuzzers, and as many random ones, run without a fuzzer.

use std::path::Path;
use wasi_overlay_proof::{Choices, fuzz};

/// Inputs that a seed makes, and their bytes.
const RANDOM: u64 = 300;
const LENGTH: usize = 300;

fn run(name: &str, target: fn(&[u8])) {
    let mut inputs: Vec<Vec<u8>> = (0..RANDOM)
        .map(|seed| {
            let mut choices = Choices::of_seed(seed);
            let byte = |_| u8::try_from(choices.next(256)).expect("a byte");
            (0..LENGTH).map(byte).collect()
        })
        .collect();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(name);
    for entry in std::fs::read_dir(&corpus).expect("a corpus") {
        inputs.push(std::fs::read(entry.expect("an entry").path()).expect("an input"));
    }
    for input in &inputs {
        target(input);
    }
    println!("{name}: {} inputs", inputs.len());
}

#[test]
fn whiteouts() {
    run("whiteouts", fuzz::whiteouts);
}

#[test]
fn operations() {
    run("operations", fuzz::operations);
}

#[test]
fn paths() {
    run("paths", fuzz::paths);
}

#[test]
fn archives() {
    run("archives", fuzz::archives);
}

#[test]
fn indexes() {
    run("indexes", fuzz::indexes);
}
