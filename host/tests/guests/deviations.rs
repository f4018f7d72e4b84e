//! The known deviations of guests' transcripts from those on a plain directory with wasmtime-wasi, with
//! their reasons, as `guest-tests/expectations.toml` lists them. A listed line that does not differ is a
//! failure too.

use crate::{composed, stacks};
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use toml::{Table, Value};

/// A filesystem on which guests run.
pub(crate) trait TestStack: Copy + std::fmt::Debug {
    /// Whether `name` is the name of this stack or of a group that contains it.
    fn is_one_of(self, name: &str) -> bool;
}

/// How a transcript differs.
enum What {
    /// These lines, in this order: a line above, wasmtime-wasi's line, and ours.
    Lines(Vec<[String; 3]>),
    /// These words, anywhere: wasmtime-wasi's, and ours.
    Words(Vec<[String; 2]>),
    /// The whole transcript is replaced by a file.
    Whole(String),
}

/// One known deviation.
pub(crate) struct Deviation {
    pub(crate) guest: String,
    /// The stacks or groups that deviate.
    on: Vec<String>,
    what: What,
    /// Whether the tree on disk differs too.
    tree_differs: bool,
}

/// All known deviations.
static DEVIATIONS: LazyLock<Vec<Deviation>> =
    LazyLock::new(|| load().expect("guest-tests/expectations.toml is valid"));

/// The expected transcript of a guest on a stack, given its transcript on a plain directory.
pub(crate) fn expected(guest: &str, stack: impl TestStack, plain: &str) -> Result<String> {
    let mut text = plain.to_owned();
    for deviation in DEVIATIONS.iter() {
        if deviation.guest == guest && deviation.on.iter().any(|on| stack.is_one_of(on)) {
            text = deviation.what.apply(&text)?;
        }
    }
    Ok(text)
}

/// Whether the tree that a guest leaves on a stack differs from the one on a plain directory.
pub(crate) fn tree_differs(guest: &str, stack: impl TestStack) -> bool {
    let here = |it: &&Deviation| it.guest == guest && it.on.iter().any(|on| stack.is_one_of(on));
    DEVIATIONS
        .iter()
        .filter(here)
        .any(|deviation| deviation.tree_differs)
}

/// The guests with deviations.
pub(crate) fn guests() -> impl Iterator<Item = &'static str> {
    DEVIATIONS.iter().map(|deviation| deviation.guest.as_str())
}

impl What {
    fn apply(&self, plain: &str) -> Result<String> {
        match self {
            Self::Whole(text) => Ok(text.clone()),
            Self::Words(pairs) => {
                let mut text = plain.to_owned();
                for [stock, ours] in pairs {
                    ensure!(text.contains(stock), "nothing says {stock:?} any more");
                    text = text.replace(stock, ours);
                }
                Ok(text)
            }
            Self::Lines(pairs) => {
                let mut lines: Vec<&str> = plain.lines().collect();
                let mut from = 0;
                for [above, stock, ours] in pairs {
                    from = find(&lines, from, above)?;
                    from = find(&lines, from, stock)?;
                    lines[from] = ours;
                }
                Ok(lines.join("\n"))
            }
        }
    }
}

/// Finds a line, starting at index `from`.
fn find(lines: &[&str], from: usize, line: &str) -> Result<usize> {
    let at = lines[from..].iter().position(|other| *other == line);
    Ok(from + at.with_context(|| format!("no line equals {line:?}"))?)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-tests")
}

fn load() -> Result<Vec<Deviation>> {
    let text = std::fs::read_to_string(folder().join("expectations.toml"))?;
    let table: Table = text.parse()?;
    let list = table.get("deviation").and_then(Value::as_array);
    list.context("there is no list of deviations")?
        .iter()
        .map(one)
        .collect()
}

fn one(value: &Value) -> Result<Deviation> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let guest = text("guest")
        .context("a deviation names no guest")?
        .to_owned();
    ensure!(
        text("reason").is_some_and(|reason| !reason.is_empty()),
        "{guest}: no reason"
    );
    let on: Vec<_> = strings(value.get("on")).context("`on` is a list of stacks")?;
    for on in &on {
        ensure!(
            stacks::is_name(on) || composed::is_name(on),
            "{guest}: {on} is no stack and no group of them"
        );
    }
    let what = match (value.get("lines"), value.get("words"), text("whole")) {
        (Some(lines), None, None) => What::Lines(groups(lines)?),
        (None, Some(words), None) => What::Words(groups(words)?),
        (None, None, Some(path)) => What::Whole(std::fs::read_to_string(folder().join(path))?),
        _ => bail!("{guest}: give one of `lines`, `words` and `whole`"),
    };
    let tree_differs = match text("tree") {
        None => false,
        Some("differs") => true,
        Some(other) => bail!("{guest}: tree is {other:?}; write \"differs\" or leave it out"),
    };
    Ok(Deviation {
        guest,
        on,
        what,
        tree_differs,
    })
}

fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    let list = value?.as_array()?;
    list.iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn groups<const N: usize>(value: &Value) -> Result<Vec<[String; N]>> {
    let list = value.as_array().context("a list of lists")?;
    list.iter()
        .map(|group| {
            let group = strings(Some(group)).context("a list of texts")?;
            group.try_into().ok().context("a list of another length")
        })
        .collect()
}
