//! Where a guest may see something else than on a plain directory with wasmtime-wasi: read from
//! `guest-tests/expectations.toml`, which says how and why. A line that is listed and does not
//! differ is a failure too.

use crate::{composed, stacks};
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use toml::{Table, Value};

/// A filesystem that guests are run on.
pub(crate) trait Place: Copy + std::fmt::Debug {
    /// Whether a name is that of this one, or of a group that it is in.
    fn is_one_of(self, name: &str) -> bool;
}

/// How the transcript differs.
enum What {
    /// These lines, in this order: a line above, the line as wasmtime-wasi has it, and as we have.
    Lines(Vec<[String; 3]>),
    /// These words, wherever they stand: as wasmtime-wasi has them, and as we have.
    Words(Vec<[String; 2]>),
    /// So much that the whole transcript stands in a file.
    Whole(String),
}

/// One known difference.
pub(crate) struct Deviation {
    pub(crate) guest: String,
    /// On which stacks.
    on: Vec<String>,
    what: What,
    /// Whether the tree that is left is another one too.
    tree_differs: bool,
}

/// All of them.
static DEVIATIONS: LazyLock<Vec<Deviation>> =
    LazyLock::new(|| load().expect("guest-tests/expectations.toml is valid"));

/// What a guest has to say on a stack, given what it says on a plain directory.
pub(crate) fn expected(guest: &str, stack: impl Place, plain: &str) -> Result<String> {
    let mut text = plain.to_owned();
    for deviation in DEVIATIONS.iter() {
        if deviation.guest == guest && deviation.on.iter().any(|on| stack.is_one_of(on)) {
            text = deviation.what.apply(&text)?;
        }
    }
    Ok(text)
}

/// Whether a guest leaves another tree on a stack than on a plain directory.
pub(crate) fn tree_differs(guest: &str, stack: impl Place) -> bool {
    let here = |it: &&Deviation| it.guest == guest && it.on.iter().any(|on| stack.is_one_of(on));
    DEVIATIONS
        .iter()
        .filter(here)
        .any(|deviation| deviation.tree_differs)
}

/// The guests that are listed.
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

/// Where a line stands, from a place on.
fn find(lines: &[&str], from: usize, line: &str) -> Result<usize> {
    let at = lines[from..].iter().position(|other| *other == line);
    Ok(from + at.with_context(|| format!("no line says {line:?} any more"))?)
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
        _ => bail!("{guest}: one of `lines`, `words` and `whole`"),
    };
    let tree_differs = match text("tree") {
        None => false,
        Some("differs") => true,
        Some(other) => bail!("{guest}: a tree {other:?}, not \"differs\""),
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
