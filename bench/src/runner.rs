//! Runs a guest on one side or the other.
//!
//! Everything but the filesystem is equal: one engine, one compiled program, a store and a mount
//! of its own for each run, the synchronous linkers, blocking on the calling thread as
//! `wasmtime run` does. What a fresh mount has to look up first is in the times.

use crate::sides::{plugin, stock};
use crate::trees::Trees;
use crate::work::Work;
use anyhow::{Context as _, Result};
use std::path::Path;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// Which filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// wasmtime-wasi on the plain directory.
    Stock,
    /// The plugin on four layers and an upper.
    Overlay,
    /// The plugin on the plain directory, as `--dir` means it.
    Live,
}

/// Which guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// A core module for WASI 0.1.
    P1,
    /// A component for WASI 0.2.
    P2,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Overlay => "overlay",
            Self::Live => "live",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Stock, Self::Overlay, Self::Live]
            .into_iter()
            .find(|side| side.name() == name)
    }
}

impl Version {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::P1, Self::P2];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P1 => "0.1",
            Self::P2 => "0.2",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    fn file(self) -> &'static str {
        match self {
            Self::P1 => "p1_bench.wasm",
            Self::P2 => "p2_bench.wasm",
        }
    }
}

/// A compiled guest.
pub(crate) struct Guest {
    engine: Engine,
    program: Program,
}

enum Program {
    Module(Module),
    Component(Component),
}

impl Guest {
    /// Compiles the guest of that version in `folder`.
    pub(crate) fn load(folder: &Path, version: Version) -> Result<Self> {
        let engine = Engine::default();
        let path = folder.join(version.file());
        let bytes = std::fs::read(&path).with_context(|| {
            format!(
                "cannot read {}: build the guests (scripts/build-guests.sh)",
                path.display()
            )
        })?;
        let program = match version {
            Version::P1 => Program::Module(Module::new(&engine, bytes)?),
            Version::P2 => Program::Component(Component::new(&engine, bytes)?),
        };
        Ok(Self { engine, program })
    }

    /// Lets the guest do `turns` turns of `work`; returns nanoseconds a unit, by its own clock.
    pub(crate) fn run(&self, side: Side, work: &Work, turns: u32, trees: &Trees) -> Result<f64> {
        let engine = &self.engine;
        let arguments = ["bench".to_owned(), work.name.to_owned(), turns.to_string()];
        let files = match side {
            Side::Stock => None,
            Side::Overlay => Some(plugin::overlay(trees)?),
            Side::Live => Some(plugin::live(trees)?),
        };
        let output = match (&self.program, files) {
            (Program::Module(module), None) => stock::p1(engine, module, &arguments, trees),
            (Program::Module(module), Some(files)) => {
                plugin::p1(engine, module, &arguments, &files)
            }
            (Program::Component(component), None) => {
                stock::p2(engine, component, &arguments, trees)
            }
            (Program::Component(component), Some(files)) => {
                plugin::p2(engine, component, &arguments, files)
            }
        };
        let output = output.with_context(|| format!("{} failed on {}", work.name, side.name()))?;
        let text = String::from_utf8(output).context("the guest printed no text")?;
        let nanoseconds: u64 = text
            .trim()
            .parse()
            .with_context(|| format!("the guest printed {text:?}, not a time"))?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds at most, in nanoseconds"
        )]
        let each = nanoseconds as f64 / f64::from(turns * work.units);
        Ok(each)
    }
}
