//! Where a guest may see something else than on a plain directory with wasmtime-wasi: every line
//! of it, and why. A line that is listed and does not differ is a failure too.

use crate::stacks::Stack;
use anyhow::{Context as _, Result, ensure};

/// What differs.
pub(crate) enum What {
    /// These lines, in this order: as wasmtime-wasi has them, and as we have.
    Lines(&'static [(&'static str, &'static str)]),
    /// These words, wherever they stand: as wasmtime-wasi has them, and as we have.
    Words(&'static str, &'static str),
    /// So much that the whole transcript stands in a file.
    Whole(&'static str),
}

impl What {
    /// What the guest has to say, given what it says on a plain directory.
    pub(crate) fn apply(&self, plain: &str) -> Result<String> {
        match self {
            Self::Whole(text) => Ok((*text).to_owned()),
            Self::Words(stock, ours) => {
                ensure!(plain.contains(stock), "nothing says {stock:?} any more");
                Ok(plain.replace(stock, ours))
            }
            Self::Lines(pairs) => {
                let mut lines: Vec<&str> = plain.lines().collect();
                let mut from = 0;
                for (stock, ours) in *pairs {
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

/// One known difference.
pub(crate) struct Deviation {
    pub(crate) guest: &'static str,
    /// On which stacks.
    pub(crate) on: fn(Stack) -> bool,
    pub(crate) what: What,
    pub(crate) reason: &'static str,
}

/// All of them.
pub(crate) const DEVIATIONS: &[Deviation] = &[];
