//! Runs a guest on one side or the other.
//!
//! Everything but the filesystem is equal: one engine, one compiled program, a store and a mount
//! of its own for each run, the synchronous linkers where there are such, blocking on the calling
//! thread as `wasmtime run` does. What a fresh mount has to look up first is in the times.

use crate::sides::{asynchronous, composed, plugin, stock};
use crate::start;
use crate::trees::Trees;
use crate::work::{Timed, Work};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::time::Duration;
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
    /// The overlay in the component itself, on wasmtime-wasi with four layers and an upper.
    Composed,
}

/// Which guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// A core module for WASI 0.1.
    P1,
    /// A component for WASI 0.2.
    P2,
    /// A component for WASI 0.3.
    P3,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Overlay => "overlay",
            Self::Live => "live",
            Self::Composed => "composed",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Stock, Self::Overlay, Self::Live, Self::Composed]
            .into_iter()
            .find(|side| side.name() == name)
    }
}

impl Version {
    const ALL: [Self; 3] = [Self::P1, Self::P2, Self::P3];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P1 => "0.1",
            Self::P2 => "0.2",
            Self::P3 => "0.3",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    /// Whether a guest of that version can do it: 0.3 reads and writes by streams alone.
    pub(crate) fn knows(self, work: &Work) -> bool {
        self != Self::P3 || !matches!(work.name, "read-at" | "write-at")
    }

    fn file(self) -> &'static str {
        match self {
            Self::P1 => "p1_bench.wasm",
            Self::P2 => "p2_bench.wasm",
            Self::P3 => "p3_bench.wasm",
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
    Component {
        alone: Component,
        /// With its overlay; none if that side is not asked for.
        composed: Option<Component>,
    },
    /// For 0.3.
    Async(Component),
}

impl Guest {
    /// Compiles the guest of that version in `folder`, for stock and that side.
    pub(crate) fn load(folder: &Path, version: Version, side: Side) -> Result<Self> {
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
            Version::P3 => Program::Async(Component::new(&engine, &bytes)?),
            Version::P2 => Program::Component {
                alone: Component::new(&engine, &bytes)?,
                composed: match side {
                    Side::Composed => {
                        Some(Component::new(&engine, composed::with_overlay(&bytes)?)?)
                    }
                    Side::Stock | Side::Overlay | Side::Live => None,
                },
            },
        };
        Ok(Self { engine, program })
    }

    /// Does `turns` turns of `work`; returns nanoseconds a unit.
    pub(crate) fn run(&self, side: Side, work: &Work, turns: u32, trees: &Trees) -> Result<f64> {
        let took = match work.timed {
            Timed::Guest => self.by_its_own_clock(side, work, turns, trees),
            Timed::Instance => start::instances(&self.ready(side, trees)?, turns),
            Timed::Run(what) => start::runs(&self.ready(side, trees)?, what, turns),
            Timed::Process(what) => {
                start::processes(self.component(side)?, side, what, turns, trees)
            }
        };
        let took = took.with_context(|| format!("{} failed on {}", work.name, side.name()))?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds at most, in nanoseconds"
        )]
        let each = took.as_nanos() as f64 / f64::from(turns * work.units);
        Ok(each)
    }

    fn by_its_own_clock(
        &self,
        side: Side,
        work: &Work,
        turns: u32,
        trees: &Trees,
    ) -> Result<Duration> {
        let engine = &self.engine;
        let arguments = ["bench".to_owned(), work.name.to_owned(), turns.to_string()];
        let files = match side {
            Side::Stock | Side::Composed => None,
            Side::Overlay => Some(plugin::overlay(trees)?),
            Side::Live => Some(plugin::live(trees)?),
        };
        let output = match (&self.program, files) {
            (Program::Module(module), None) => {
                stock::p1(engine, module, &arguments, &stock::plain(trees))
            }
            (Program::Module(module), Some(files)) => {
                plugin::p1(engine, module, &arguments, &files)
            }
            (Program::Async(component), None) => {
                asynchronous::stock(component, &arguments, &stock::plain(trees))
            }
            (Program::Async(component), Some(files)) => {
                asynchronous::plugin(component, &arguments, files)
            }
            (Program::Component { .. }, None) => self.ready(side, trees)?.run(&arguments),
            (Program::Component { alone, .. }, Some(files)) => {
                plugin::p2(engine, alone, &arguments, files)
            }
        };
        let text = String::from_utf8(output?).context("the guest printed no text")?;
        let nanoseconds = text
            .trim()
            .parse()
            .with_context(|| format!("the guest printed {text:?}, not a time"))?;
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn ready(&self, side: Side, trees: &Trees) -> Result<stock::Ready> {
        start::ready(self.component(side)?, side, trees)
    }

    /// What stock runs on that side.
    fn component(&self, side: Side) -> Result<&Component> {
        match (&self.program, side) {
            (Program::Component { alone, .. }, Side::Stock) => Ok(alone),
            (Program::Component { composed, .. }, Side::Composed) => {
                composed.as_ref().context("it was not composed")
            }
            _ => bail!("this guest does not run there"),
        }
    }
}
