//! Where a guest may see something else than on a plain directory with wasmtime-wasi: read from
//! `guest-tests/expectations.toml`, which says how and why. A line that is listed and does not
//! differ is a failure too.

use crate::stacks::Stack;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use toml::{Table, Value};

/// How the transcript differs.
enum What {
    /// These lines, in this order: as wasmtime-wasi has them, and as we have.
    Lines(Vec<(String, String)>),
    /// These words, wherever they stand: as wasmtime-wasi has them, and as we have.
    Words(Vec<(String, String)>),
    /// So much that the whole transcript stands in a file.
    Whole(String),
}

/// One known difference.
pub(crate) struct Deviation {
    pub(crate) guest: String,
    /// On which stacks.
    on: Vec<String>,
    what: What,
}

/// All of them.
static DEVIATIONS: LazyLock<Vec<Deviation>> =
    LazyLock::new(|| load().expect("guest-tests/expectations.toml is valid"));

/// What a guest has to say on a stack, given what it says on a plain directory.
pub(crate) fn expected(guest: &str, stack: Stack, plain: &str) -> Result<String> {
    let mut text = plain.to_owned();
    for deviation in DEVIATIONS.iter() {
        if deviation.guest == guest && deviation.on.iter().any(|on| stack.is_one_of(on)) {
            text = deviation.what.apply(&text)?;
        }
    }
    Ok(text)
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
                for (stock, ours) in pairs {
                    ensure!(text.contains(stock), "nothing says {stock:?} any more");
                    text = text.replace(stock, ours);
                }
                Ok(text)
            }
            Self::Lines(pairs) => {
                let mut lines: Vec<&str> = plain.lines().collect();
                let mut from = 0;
                for (stock, ours) in pairs {
                    let at = lines[from..].iter().position(|line| line == stock);
                    let at =
                        from + at.with_context(|| format!("no line says {stock:?} any more"))?;
                    lines[at] = ours;
                    from = at + 1;
                }
                Ok(lines.join("\n"))
            }
        }
    }
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
            Stack::is_name(on),
            "{guest}: {on} is no stack and no group of them"
        );
    }
    let what = match (value.get("lines"), value.get("words"), text("whole")) {
        (Some(lines), None, None) => What::Lines(pairs(lines)?),
        (None, Some(words), None) => What::Words(pairs(words)?),
        (None, None, Some(path)) => What::Whole(std::fs::read_to_string(folder().join(path))?),
        _ => bail!("{guest}: one of `lines`, `words` and `whole`"),
    };
    Ok(Deviation { guest, on, what })
}

fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    let list = value?.as_array()?;
    list.iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn pairs(value: &Value) -> Result<Vec<(String, String)>> {
    let list = value.as_array().context("a list of pairs")?;
    list.iter()
        .map(|pair| match strings(Some(pair)).as_deref() {
            Some([stock, ours]) => Ok((stock.clone(), ours.clone())),
            _ => bail!("{pair} is no pair of texts"),
        })
        .collect()
}
