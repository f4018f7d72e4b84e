//! Random scripts on random layers: one guest for each version of WASI does hundreds of calls, with files, directories and
//! streams held open across them, and the transcript and the tree that it leaves have to be those
//! of wasmtime-wasi on a plain directory.
//!
//! In the middle the guest ends and another one goes on: what is not open has to be on disk.
//!
//! `OVERLAY_SEED` replays one script, `OVERLAY_STEPS` says how long it is, `OVERLAY_SEQUENCES` how
//! many there are; `OVERLAY_SCRIPT` is a file with a script to run on the layers of that seed
//! instead. A script that fails is cut down to the lines that it needs for it.

mod script;
mod tree;

use crate::composed;
use crate::layers::Layers;
use crate::program::{Files, Program};
use crate::scan::{self, Tree};
use crate::stacks::Stack;
use anyhow::{Result, ensure};
use std::sync::LazyLock;
use wasi_overlay_guest_artifacts::{Guest, P1_SCRIPT, P2_SCRIPT, P3_SCRIPT};

/// The calls of one script.
const STEPS: u64 = 250;

/// A line that ends the guest; another one does what follows.
const RESTART: &str = "restart";

/// Numbers that look random, from a seed: xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One that is less than `below`.
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % below
    }

    /// True once in `turns`.
    pub(crate) fn one_in(&mut self, turns: usize) -> bool {
        self.next(turns) == 0
    }
}

/// What a script says, and what it leaves where that is on disk.
type Ran = (String, Option<Tree>);

/// The interpreter of scripts for one version of WASI.
pub(crate) type Interpreter = LazyLock<Program>;

pub(crate) static P1: Interpreter = LazyLock::new(|| interpreter(&P1_SCRIPT));
pub(crate) static P2: Interpreter = LazyLock::new(|| interpreter(&P2_SCRIPT));
pub(crate) static P3: Interpreter = LazyLock::new(|| interpreter(&P3_SCRIPT));

fn interpreter(guest: &Guest) -> Program {
    Program::load(guest.path()).expect("a guest that was built can be compiled")
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// Runs random scripts by `run`, and on a plain directory by the interpreter of their version.
/// `streams` says whether they keep a stream to read from across calls.
fn check(
    guest: &Interpreter,
    scripts: u64,
    streams: bool,
    run: impl Fn(&Layers, &str) -> Result<Ran>,
) {
    let plain = |layers: &Layers, script: &str| plain(guest, layers, script);
    compare(scripts, streams, plain, run);
}

/// Runs random scripts in two ways, and expects the same of both.
pub(crate) fn compare(
    scripts: u64,
    streams: bool,
    plain: impl Fn(&Layers, &str) -> Result<(String, Tree)>,
    run: impl Fn(&Layers, &str) -> Result<Ran>,
) {
    let seeds = match std::env::var("OVERLAY_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("a number");
            seed..seed + 1
        }
        Err(_) => 0..number("OVERLAY_SEQUENCES", scripts),
    };
    for seed in seeds {
        let mut random = Random::new(seed);
        let (tree, spread) = tree::draw(&mut random);
        assert_eq!(scan::difference(&tree, &scan::merge(&spread)), None);
        let lines = match std::env::var("OVERLAY_SCRIPT") {
            Ok(path) => {
                let text = std::fs::read_to_string(path).expect("the script can be read");
                text.lines().map(str::to_owned).collect()
            }
            Err(_) => script(&mut random, streams),
        };
        let layers = Layers::new(tree, spread).expect("the layers can be written");
        let difference = |lines: &[String]| difference(&layers, &lines.join("\n"), &plain, &run);
        if difference(&lines).is_some() {
            let lines = shrink(lines, |lines| difference(lines).is_some());
            panic!(
                "seed {seed}: {}\nthe layers: {}",
                difference(&lines).unwrap_or_default(),
                layers.describe()
            );
        }
    }
}

fn script(random: &mut Random, streams: bool) -> Vec<String> {
    let mut lines: Vec<_> = (0..number("OVERLAY_STEPS", STEPS))
        .map(|_| script::draw(random))
        .filter(|line| streams || !line.starts_with("keep-input"))
        .collect();
    lines.insert(lines.len() / 2, RESTART.to_owned());
    lines
}

/// How a script differs from itself on a plain directory, if it does.
fn difference(
    layers: &Layers,
    script: &str,
    plain: impl Fn(&Layers, &str) -> Result<(String, Tree)>,
    run: impl Fn(&Layers, &str) -> Result<Ran>,
) -> Option<String> {
    let (said, left) = plain(layers, script).expect("a script runs on a plain directory");
    let found = match run(layers, script) {
        Ok(found) => found,
        Err(error) => return Some(format!("{error:#}\nthe plain directory:\n{said}")),
    };
    if said != found.0 {
        let mut text = String::new();
        for (plain, ours) in said.lines().zip(found.0.lines()) {
            text += ours;
            if plain != ours {
                let answer = plain.rsplit(" = ").next().unwrap_or(plain);
                return Some(format!("\n{text}\nthe plain directory answers {answer}"));
            }
            text += "\n";
        }
        return Some(format!("it ended early:\n{text}"));
    }
    let difference = scan::difference(&left, &found.1?)?;
    Some(format!(
        "what is left is another tree:\n{difference}\nafter\n{said}"
    ))
}

/// Leaves out of a script what it does not need to fail.
fn shrink(mut lines: Vec<String>, fails: impl Fn(&[String]) -> bool) -> Vec<String> {
    let mut step = lines.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < lines.len() {
            let mut fewer = lines.clone();
            fewer.drain(at..(at + step).min(lines.len()));
            if fails(&fewer) {
                lines = fewer;
            } else {
                at += step;
            }
        }
        if step == 1 {
            return lines;
        }
        step = step.div_ceil(2);
    }
}

fn plain(guest: &Program, layers: &Layers, script: &str) -> Result<(String, Tree)> {
    let folder = layers.plain()?;
    let said = run(guest, Files::Stock(folder.path()), script)?;
    Ok((said, scan::scan(folder.path())?))
}

/// Runs a script, by a program that interprets it.
fn run(program: &Program, files: Files<'_>, script: &str) -> Result<String> {
    let mut said = String::new();
    for part in script.split(RESTART) {
        let part = part.trim_matches('\n');
        let outcome = program.run(files, &["script", part], &[])?;
        ensure!(
            outcome.failure.is_none(),
            "{:?}\n{}\n{}",
            outcome.failure,
            outcome.stderr,
            outcome.stdout
        );
        said += &outcome.stdout;
    }
    Ok(said)
}

pub(crate) fn on(guest: &Program, stack: Stack) -> impl Fn(&Layers, &str) -> Result<Ran> {
    move |layers, script| {
        let mounted = stack.mount(layers)?;
        let said = run(guest, mounted.files(), script)?;
        Ok((said, mounted.end()?))
    }
}

macro_rules! test_stack {
    ($name:ident, $guest:ident, $stack:ident, $scripts:literal) => {
        #[test]
        fn $name() {
            check(&$guest, $scripts, true, on(&$guest, Stack::$stack));
        }
    };
}

test_stack!(p1_a_live_directory_is_like_a_plain_one, P1, Live, 15);
test_stack!(p1_three_lowers_are_like_a_plain_directory, P1, Spread, 30);
test_stack!(
    p1_an_upper_in_memory_is_like_a_plain_directory,
    P1,
    SpreadMemory,
    15
);
test_stack!(
    p1_an_upper_with_a_part_is_like_a_plain_directory,
    P1,
    UpperWithPart,
    15
);
test_stack!(p3_a_live_directory_is_like_a_plain_one, P3, Live, 15);
test_stack!(p3_three_lowers_are_like_a_plain_directory, P3, Spread, 30);
test_stack!(
    p3_calls_on_other_threads_are_like_a_plain_directory,
    P3,
    SpreadAsyncPool,
    15
);
test_stack!(
    p3_an_upper_in_memory_is_like_a_plain_directory,
    P3,
    SpreadMemory,
    15
);
test_stack!(
    p3_an_upper_with_a_part_is_like_a_plain_directory,
    P3,
    UpperWithPart,
    15
);

test_stack!(a_live_directory_is_like_a_plain_one, P2, Live, 15);
test_stack!(one_lower_is_like_a_plain_directory, P2, OneLower, 15);
test_stack!(three_lowers_are_like_a_plain_directory, P2, Spread, 30);
test_stack!(
    an_asynchronous_store_is_like_a_plain_directory,
    P2,
    SpreadAsyncPool,
    15
);
test_stack!(
    an_upper_in_memory_is_like_a_plain_directory,
    P2,
    SpreadMemory,
    30
);
test_stack!(
    an_upper_with_a_part_is_like_a_plain_directory,
    P2,
    UpperWithPart,
    30
);
test_stack!(an_upper_alone_is_like_a_plain_directory, P2, UpperAlone, 15);

/// A stream to read from is the layer's own in a composed guest, so none is kept.
fn composed(scripts: u64, stack: composed::Stack) {
    let guest = std::fs::read(P2_SCRIPT.path()).expect("a guest that was built can be read");
    let composed = stack.setup().compose(&guest);
    let program = Program::new(&composed.expect("the guest can be composed"));
    let program = program.expect("it can be compiled");
    check(&P2, scripts, false, |layers, script| {
        let mounted = stack.mount(layers)?;
        let said = run(&program, Files::Preopens(&mounted.preopens), script)?;
        Ok((said, Some(mounted.end()?)))
    });
}

#[test]
fn a_composed_overlay_is_like_a_plain_directory() {
    composed(30, composed::Stack::ComposedConfigured);
}

#[test]
fn a_composed_upper_with_a_part_is_like_a_plain_directory() {
    composed(30, composed::Stack::ComposedUpperWithPart);
}

#[test]
fn an_overlay_on_an_overlay_is_like_a_plain_directory() {
    composed(30, composed::Stack::ComposedTwice);
}
