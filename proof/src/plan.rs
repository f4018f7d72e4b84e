//! Plans: the layers of an overlay, and the steps to make on it, as text.
//!
//! ```text
//! layer                  a lower layer, bottom first, followed by its entries
//! dir a
//! file a/b text          `-` for an empty file
//! link a/c ../d
//! layer
//! whiteout a/b
//! opaque d               an opaque directory
//! mount
//! open 1 0 rw a/c        a step of guests-script on each line
//! remount                closes the overlay, and mounts the same layers again
//! rotate                 makes the upper a lower layer, below a new upper
//! ```
//!
//! Empty lines and lines that start with `#` are ignored.

use crate::layers::Layer;
use guests_script::Step;
use std::fmt;

/// The environment variable that names a file with a plan, which the tests then run instead of their own.
pub const REPLAY: &str = "OVERLAY_PLAN";

/// Layers, and the steps to make on an overlay of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The lower layers, bottom first.
    pub layers: Vec<Layer>,
    /// The steps, each a [`Line`].
    pub lines: Vec<String>,
}

/// One step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A call.
    Step(Step<'a>),
    /// Drops all handles, closes the overlay, and mounts the same layers again.
    Remount,
    /// As `Remount`, with the upper as the topmost lower layer.
    Rotate,
}

impl<'a> Line<'a> {
    /// Parses a line; none if it is not valid.
    pub fn parse(line: &'a str) -> Option<Self> {
        match line {
            "remount" => Some(Self::Remount),
            "rotate" => Some(Self::Rotate),
            step => Step::parse(step).map(Self::Step),
        }
    }
}

impl Plan {
    /// Parses a plan.
    ///
    /// # Errors
    /// The first faulty line, and the reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        let mut is_mounted = false;
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: &str| format!("line {}: {what}: {line:?}", index + 1);
            if line.is_empty() || line.starts_with('#') {
            } else if is_mounted {
                Line::parse(line).ok_or_else(|| wrong("no step"))?;
                plan.lines.push(line.to_owned());
            } else if line == "mount" {
                is_mounted = true;
            } else if line == "layer" {
                plan.layers.push(Layer::default());
            } else {
                let layer = plan.layers.last_mut().ok_or_else(|| wrong("no layer"))?;
                layer.add(line).map_err(|what| wrong(&what))?;
            }
        }
        Ok(plan)
    }

    /// The plan in the file that `OVERLAY_PLAN` names, if it names one.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn to_replay() -> Option<Self> {
        let path = std::env::var_os(REPLAY)?;
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{REPLAY}={}: {error}", path.display()));
        match Self::parse(&text) {
            Ok(plan) => Some(plan),
            Err(error) => panic!("{REPLAY}={}: {error}", path.display()),
        }
    }

    /// Removes every part of the plan that `fails` does not need to return true. It must return true for
    /// the whole plan.
    #[must_use]
    pub fn shrink(mut self, mut fails: impl FnMut(&Self) -> bool) -> Self {
        loop {
            let before = self.size();
            self = shrink(self, |plan| &mut plan.lines, &mut fails);
            self = shrink(self, |plan| &mut plan.layers, &mut fails);
            for index in 0..self.layers.len() {
                self = shrink(self, |plan| plan.layers[index].entries_mut(), &mut fails);
            }
            if self.size() == before {
                return self;
            }
        }
    }

    fn size(&self) -> usize {
        let entries: usize = self
            .layers
            .iter()
            .map(|layer| layer.entries().len() + 1)
            .sum();
        entries + self.lines.len()
    }
}

/// Removes ranges of decreasing length from one of a plan's lists.
fn shrink<T>(
    mut plan: Plan,
    list: impl Fn(&mut Plan) -> &mut Vec<T>,
    fails: &mut impl FnMut(&Plan) -> bool,
) -> Plan {
    let mut length = list(&mut plan).len().div_ceil(2);
    while length > 0 {
        let mut at = 0;
        while at < list(&mut plan).len() {
            let mut fewer = plan.clone();
            let all = list(&mut fewer);
            all.drain(at..(at + length).min(all.len()));
            if fails(&fewer) {
                plan = fewer
            } else {
                at += length
            }
        }
        length = if length == 1 { 0 } else { length.div_ceil(2) };
    }
    plan
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in &self.layers {
            writeln!(f, "layer\n{layer}")?;
        }
        writeln!(f, "mount")?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
