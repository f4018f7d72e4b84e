//! Plans: the layers of an overlay, and what is done on it, as text.
//!
//! ```text
//! layer                  the bottom one first; the entries of each
//! dir a
//! file a/b text          `-` is no text
//! link a/c ../d
//! layer
//! whiteout a/b
//! opaque d               a directory that lets nothing below show through
//! mount
//! open 1 0 rw a/c        a step of guests-script a line
//! remount                the mount ends, and the same layers are mounted again
//! rotate                 the upper becomes a layer, and there is a new upper
//! ```
//!
//! Empty lines, and what follows a `#` at the start of a line, mean nothing.

use crate::layers::Layer;
use guests_script::Step;
use std::fmt;

/// The variable that names a file with a plan to run instead of what a test would.
pub const REPLAY: &str = "OVERLAY_PLAN";

/// Layers, and what is done on an overlay of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The lower layers, the bottom one first.
    pub layers: Vec<Layer>,
    /// What is done, a [`Line`] each.
    pub lines: Vec<String>,
}

/// One thing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A call.
    Step(Step<'a>),
    /// What was held is let go, the mount ends, and the same layers are mounted again.
    Remount,
    /// As `Remount`, but the upper is the topmost lower layer from then on.
    Rotate,
}

impl<'a> Line<'a> {
    /// Reads a line; none if it is none of a plan.
    pub fn parse(line: &'a str) -> Option<Self> {
        match line {
            "remount" => Some(Self::Remount),
            "rotate" => Some(Self::Rotate),
            step => Step::parse(step).map(Self::Step),
        }
    }
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// What is wrong, and in which line.
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

    /// Leaves out what the plan does not need for `fails` to say so of it, which it does of the
    /// whole.
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

/// Leaves stretches out of one of a plan's lists, shorter ones each time.
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
            match fails(&fewer) {
                true => plan = fewer,
                false => at += length,
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
