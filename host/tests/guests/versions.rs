//! Tests that the plugin behaves alike through every version of WASI, errors included. They run the same
//! scripts through each version.
//!
//! The transcripts have to be equal, except where the versions themselves differ:
//! `guest-tests/versions.toml` lists these differences with their reasons. The trees on disk have to be
//! equal too.

use crate::layers::FIXTURE;
use crate::random::{self, Interpreter, P1, P2, P3};
use crate::scan;
use crate::stacks::Stack;
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use toml::{Table, Value};

/// An answer of one version that differs from that of 0.2.
struct Difference {
    version: String,
    steps: Vec<String>,
    says: String,
    p2: String,
}

static DIFFERENCES: LazyLock<Vec<Difference>> =
    LazyLock::new(|| load().expect("guest-tests/versions.toml is valid"));

fn guest_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-tests")
}

fn steps(value: &Value) -> Option<Vec<String>> {
    let steps = value.get("steps")?.as_array()?;
    let steps = steps.iter().map(|step| step.as_str().map(str::to_owned));
    steps.collect()
}

fn load() -> Result<Vec<Difference>> {
    let table: Table = std::fs::read_to_string(guest_tests().join("versions.toml"))?.parse()?;
    let list = table.get("difference").and_then(Value::as_array);
    let one = |value: &Value| {
        let text = |key| {
            let text = value.get(key).and_then(Value::as_str);
            text.map(str::to_owned)
                .with_context(|| format!("a difference has no `{key}`"))
        };
        ensure!(!text("reason")?.is_empty(), "a difference needs a reason");
        let difference = Difference {
            version: text("version")?,
            steps: steps(value).context("`steps` is a list of steps")?,
            says: text("says")?,
            p2: text("p2")?,
        };
        ensure!(matches!(&*difference.version, "p1" | "p3"));
        Ok(difference)
    };
    list.context("there is no list")?.iter().map(one).collect()
}

/// Replaces the listed answers of a version by those of 0.2.
fn as_p2(version: &str, transcript: &str) -> String {
    let mut text = String::new();
    for line in transcript.lines() {
        let (step, answer) = line.split_once(" = ").unwrap_or((line, ""));
        let word = step.split(' ').next().unwrap_or_default();
        let known = DIFFERENCES.iter().find(|it| {
            it.version == version && it.says == answer && it.steps.iter().any(|step| step == word)
        });
        text += &format!("{step} = {}\n", known.map_or(answer, |it| &it.p2));
    }
    text
}

/// The example script, and the kept ones, which found bugs or cover every step.
fn kept() -> Vec<(String, String)> {
    let mut scripts = vec![("example".to_owned(), guests_script_example())];
    let folder = guest_tests().join("script/kept");
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        let text = std::fs::read_to_string(&path).expect("a script can be read");
        scripts.push((path.display().to_string(), text.trim_end().to_owned()));
    }
    assert!(scripts.len() > 2, "scripts are kept");
    scripts
}

fn guests_script_example() -> String {
    let path = guest_tests().join("script/src/example.txt");
    let text = std::fs::read_to_string(path).expect("the example can be read");
    text.trim_end().to_owned()
}

#[test]
fn kept_scripts_are_the_same_in_every_version() {
    for stack in [
        Stack::Live,
        Stack::Spread,
        Stack::NoUpper,
        Stack::ReadOnlyMount,
    ] {
        for (name, script) in kept() {
            let (transcript, left) = random::on(&P2, stack)(&FIXTURE, &script).expect("it runs");
            for (version, guest) in [("p1", &P1), ("p3", &P3)] {
                let (other, tree) = random::on(guest, stack)(&FIXTURE, &script).expect("it runs");
                let other = as_p2(version, &other);
                let pairs = transcript.lines().zip(other.lines());
                let differ: Vec<_> = pairs
                    .filter(|(one, other)| one != other)
                    .map(|(one, other)| format!("0.2: {one}\n{version}:  {other}"))
                    .collect();
                assert!(
                    differ.is_empty() && transcript.lines().count() == other.lines().count(),
                    "{name} on {stack:?}, {} lines:\n{}",
                    differ.len(),
                    differ[..differ.len().min(40)].join("\n")
                );
                if let (Some(left), Some(tree)) = (&left, &tree) {
                    assert_eq!(scan::difference(left, tree), None, "{name} on {stack:?}");
                }
            }
        }
    }
}

/// Compares another version with 0.2 on random scripts.
fn random(version: &'static str, guest: &'static Interpreter) {
    let plain = |layers: &_, script: &str| {
        let (transcript, left) = random::on(&P2, Stack::Spread)(layers, script)?;
        Ok((transcript, left.context("the upper is on disk")?))
    };
    random::compare(30, true, plain, |layers, script| {
        let (transcript, left) = random::on(guest, Stack::Spread)(layers, script)?;
        Ok((as_p2(version, &transcript), left))
    });
}

#[test]
fn random_scripts_are_the_same_in_0_1() {
    random("p1", &P1);
}

#[test]
fn random_scripts_are_the_same_in_0_3() {
    random("p3", &P3);
}
