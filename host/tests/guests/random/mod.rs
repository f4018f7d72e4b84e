//! Tests with random scripts on random layers. For each version of WASI, a guest makes hundreds of calls,
//! with files, directories and streams open across them. Its transcript and the tree that it leaves have to
//! equal those of wasmtime-wasi on a plain directory.
//!
//! In the middle of a script the guest ends and another one continues, so that only the state on disk
//! remains.
//!
//! `OVERLAY_SEED` replays one script, `OVERLAY_STEPS` sets the length of scripts, and `OVERLAY_SEQUENCES`
//! their number. `OVERLAY_SCRIPT` names a file with a script to run on the layers of that seed instead. A
//! script that fails is reduced to the lines that are needed for the failure.

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

/// How many calls a script has.
const STEPS: u64 = 250;

/// A line at which the guest ends; another guest runs the lines after it.
const RESTART: &str = "restart";

/// A pseudorandom number generator with a seed: xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number, less than `below`.
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % below
    }

    /// True with a probability of 1 in `turns`.
    pub(crate) fn one_in(&mut self, turns: usize) -> bool {
        self.next(turns) == 0
    }
}

/// The transcript of a script, and the tree that it leaves, unless that is in memory.
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

/// Compares `run` on random scripts with the interpreter `guest` on a plain directory. `streams` says
/// whether scripts keep an input stream open across calls.
fn check(
    guest: &Interpreter,
    scripts: u64,
    streams: bool,
    run: impl Fn(&Layers, &str) -> Result<Ran>,
) {
    let plain = |layers: &Layers, script: &str| plain(guest, layers, script);
    compare(scripts, streams, plain, run);
}

/// Runs random scripts in two ways, and compares the transcripts and trees.
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

/// How a run of a script differs from its run on a plain directory, if it does.
fn difference(
    layers: &Layers,
    script: &str,
    plain: impl Fn(&Layers, &str) -> Result<(String, Tree)>,
    run: impl Fn(&Layers, &str) -> Result<Ran>,
) -> Option<String> {
    let (transcript, left) = plain(layers, script).expect("a script runs on a plain directory");
    let found = match run(layers, script) {
        Ok(found) => found,
        Err(error) => return Some(format!("{error:#}\nthe plain directory:\n{transcript}")),
    };
    if transcript != found.0 {
        let mut text = String::new();
        for (plain, ours) in transcript.lines().zip(found.0.lines()) {
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
        "the tree on disk differs:\n{difference}\nafter\n{transcript}"
    ))
}

/// Removes the lines of a failing script that are not needed for the failure.
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
    let transcript = run(guest, Files::Stock(folder.path()), script)?;
    Ok((transcript, scan::scan(folder.path())?))
}

/// Runs a script with the program that interprets it.
fn run(program: &Program, files: Files<'_>, script: &str) -> Result<String> {
    let mut transcript = String::new();
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
        transcript += &outcome.stdout;
    }
    Ok(transcript)
}

pub(crate) fn on(guest: &Program, stack: Stack) -> impl Fn(&Layers, &str) -> Result<Ran> {
    move |layers, script| {
        let mounted = stack.mount(layers)?;
        let transcript = run(guest, mounted.files(), script)?;
        Ok((transcript, mounted.end()?))
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

/// Scripts keep no input stream open, because in a composed guest a stream is the layer's own and does not
/// follow a copy-up.
fn composed(scripts: u64, stack: composed::Stack) {
    let guest = std::fs::read(P2_SCRIPT.path()).expect("a guest that was built can be read");
    let composed = stack.setup().compose(&guest);
    let program = Program::new(&composed.expect("the guest can be composed"));
    let program = program.expect("it can be compiled");
    check(&P2, scripts, false, |layers, script| {
        let mounted = stack.mount(layers)?;
        let transcript = run(&program, Files::Preopens(&mounted.preopens), script)?;
        Ok((transcript, Some(mounted.end()?)))
    });
}

#[test]
fn a_composed_overlay_is_like_a_plain_directory() {
    composed(30, composed::Stack::ComposedConfigured);
}

#[test]
fn a_composed_overlay_whose_upper_is_not_empty_is_like_a_plain_directory() {
    composed(30, composed::Stack::ComposedUpperWithPart);
}

#[test]
fn an_overlay_on_an_overlay_is_like_a_plain_directory() {
    composed(30, composed::Stack::ComposedTwice);
}
