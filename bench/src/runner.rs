//! Runs a guest on one side or the other.
//!
//! Everything but the filesystem is equal: one engine, one compiled program, a store and a mount
//! of its own for each run, the synchronous linkers where there are such, blocking on the calling
//! thread as `wasmtime run` does. What a fresh mount has to look up first is in the times, unless
//! the guest warms up.

use crate::python;
use crate::share;
use crate::sides::mounted::Mounted;
use crate::sides::{asynchronous, composed, constant, native, plugin, program, stock};
use crate::start;
use crate::subject::{Side, Subject, Version};
use crate::trees::Trees;
use crate::work::{Timed, Work};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// A compiled guest, for one side and for what that is compared with.
pub(crate) struct Guest {
    program: Program,
    /// With its overlay, or with nothing in its place; none if neither side is asked for.
    composed: Option<Component>,
    python: Option<Module>,
}

enum Program {
    Module(Module),
    Component(Component),
    /// For 0.3.
    Async(Component),
}

/// How a work is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) work: &'a Work,
    pub(crate) turns: u32,
    /// Whether one turn is done before the clock starts.
    pub(crate) warm: bool,
}

impl Guest {
    /// The guest of a subject, from the folder of guests. What is compiled lies beside the trees.
    pub(crate) fn load(
        guests: &Path,
        subject: Subject,
        work: Option<&Work>,
        trees: &Trees,
    ) -> Result<Self> {
        let engine = Engine::default();
        let path = guests.join(subject.version.file());
        let bytes = || {
            std::fs::read(&path).with_context(|| {
                format!(
                    "cannot read {}: build the guests (scripts/build-guests.sh)",
                    path.display()
                )
            })
        };
        let component = |name: &str, bytes: &dyn Fn() -> Result<Vec<u8>>| {
            let file = trees.compiled(name);
            if !file.try_exists()? {
                std::fs::write(&file, engine.precompile_component(&bytes()?)?)?;
            }
            // SAFETY: this program wrote the file, in a folder that is its own.
            anyhow::Ok(unsafe { Component::deserialize_file(&engine, &file) }?)
        };
        let name = subject.version.name();
        let program = match subject.version {
            Version::P1 => Program::Module(module(&engine, trees, name, bytes)?),
            Version::P2 => Program::Component(component(name, &bytes)?),
            Version::P3 => Program::Async(component(name, &bytes)?),
        };
        let composed = match subject.side {
            Side::Composed => {
                let with_overlay = || composed::with_overlay(&bytes()?, trees);
                Some(component(subject.side.name(), &with_overlay)?)
            }
            Side::Hollow => {
                let with_nothing = || composed::with_nothing(&bytes()?);
                Some(component(subject.side.name(), &with_nothing)?)
            }
            _ => None,
        };
        let python = match work {
            Some(work) if work.timed == Timed::Python => {
                Some(module(&engine, trees, "python", python::bytes)?)
            }
            _ => None,
        };
        Ok(Self {
            program,
            composed,
            python,
        })
    }

    /// Does a work; returns nanoseconds a unit.
    pub(crate) fn run(&self, side: Side, run: Run<'_>, trees: &Trees) -> Result<f64> {
        let Run { work, turns, .. } = run;
        let mounted = Mounted::new(side, trees)?;
        let preopens = match side {
            Side::Composed | Side::Hollow => composed::preopens(trees),
            _ => stock::whole(mounted.as_ref().map_or(&trees.plain(), Mounted::path)),
        };
        let ready = || start::ready(self.component(side)?, preopens.clone());
        let took = match work.timed {
            Timed::Guest if side == Side::Native => native::run(run, trees),
            Timed::Guest if side == Side::Constant => self.on_constants(run, trees),
            Timed::Guest => self.by_its_own_clock(side, run, trees, &preopens),
            Timed::Instance => start::instances(&ready()?, turns),
            Timed::Run(what) => start::runs(&ready()?, what, turns),
            Timed::Process(what) => start::processes(side, what, turns, trees),
            Timed::Crowd(guests) => match &self.program {
                Program::Component(component) => {
                    program::crowd(component, &arguments(run, trees), trees, (guests, side))
                }
                Program::Module(_) | Program::Async(_) => bail!("it is for WASI 0.2"),
            },
            Timed::Drop(files) if side == Side::Overlay => plugin::drops(files, turns),
            Timed::Mount if side == Side::Overlay => plugin::mounts(trees, turns),
            Timed::Mount | Timed::Drop(_) => stock::opens(&trees.plain(), turns),
            Timed::Python if side == Side::Constant => {
                let module = self.python.as_ref().context("it was not compiled")?;
                let start = || stock::p1(module, &python::arguments(), &preopens);
                Ok(share::beside_wasi(|| python::time(turns, start))?)
            }
            Timed::Python => {
                let module = self.python.as_ref().context("it was not compiled")?;
                python::time(turns, || match files(side, trees)? {
                    Some(files) => plugin::p1(module, &python::arguments(), &files),
                    None => stock::p1(module, &python::arguments(), &preopens),
                })
            }
        };
        let took = took.with_context(|| format!("{} failed on {}", work.name, side.name()))?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds at most, in nanoseconds"
        )]
        let each = took.as_nanos() as f64 / f64::from(turns * work.units(&trees.sizes));
        Ok(each)
    }

    fn by_its_own_clock(
        &self,
        side: Side,
        run: Run<'_>,
        trees: &Trees,
        preopens: &stock::Preopens,
    ) -> Result<Duration> {
        let arguments = arguments(run, trees);
        if let Side::Pool | Side::Inline = side {
            let files = program::overlay(trees, side)?;
            return printed(match &self.program {
                Program::Module(module) => program::p1(module, &arguments, &files),
                Program::Component(component) => program::p2(component, &arguments, files),
                Program::Async(component) => asynchronous::plugin(component, &arguments, files),
            }?);
        }
        printed(match (&self.program, files(side, trees)?) {
            (Program::Module(module), None) => stock::p1(module, &arguments, preopens),
            (Program::Module(module), Some(files)) => plugin::p1(module, &arguments, &files),
            (Program::Component(_), None) => {
                start::ready(self.component(side)?, preopens.clone())?.run(&arguments)
            }
            (Program::Component(alone), Some(files)) => plugin::p2(alone, &arguments, files),
            (Program::Async(component), None) => {
                asynchronous::stock(component, &arguments, preopens)
            }
            (Program::Async(component), Some(files)) => {
                asynchronous::plugin(component, &arguments, files)
            }
        }?)
    }

    fn on_constants(&self, run: Run<'_>, trees: &Trees) -> Result<Duration> {
        let arguments = arguments(run, trees);
        let is_first_walk = run.work.does == "walk" && !run.warm;
        let asked = constant::Asked::of(trees, is_first_walk)?;
        let files = trees.sizes.files;
        printed(match &self.program {
            Program::Module(_) => bail!("constants are for components"),
            Program::Component(component) => constant::p2::run(component, &arguments, files, asked),
            Program::Async(component) => constant::p3::run(component, &arguments, files, asked),
        }?)
    }

    /// What stock runs on that side.
    fn component(&self, side: Side) -> Result<&Component> {
        match (&self.program, side) {
            (_, Side::Composed | Side::Hollow) => {
                self.composed.as_ref().context("it was not composed")
            }
            (Program::Component(alone), _) => Ok(alone),
            _ => bail!("this guest is no component of WASI 0.2"),
        }
    }
}

/// What a guest is told to do.
fn arguments(run: Run<'_>, trees: &Trees) -> [String; 5] {
    [
        "bench".to_owned(),
        run.work.does.to_owned(),
        run.turns.to_string(),
        if run.warm { "hot" } else { "cold" }.to_owned(),
        run.work.size(&trees.sizes).to_string(),
    ]
}

/// The time that a guest printed.
fn printed(output: Vec<u8>) -> Result<Duration> {
    let text = String::from_utf8(output).context("the guest printed no text")?;
    let nanoseconds = text
        .trim()
        .parse()
        .with_context(|| format!("the guest printed {text:?}, not a time"))?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// What the plugin shows; none where wasmtime-wasi shows it.
fn files(side: Side, trees: &Trees) -> Result<Option<wasi_overlay::OverlayCtx>> {
    Ok(match side {
        Side::Overlay => Some(plugin::overlay(trees)?),
        Side::Live => Some(plugin::live(trees)?),
        Side::Stock | Side::Composed | Side::Hollow | Side::Kernel | Side::Fuse => None,
        Side::Native | Side::Constant | Side::Pool | Side::Inline => bail!("there are no files"),
    })
}

/// A module, compiled once.
fn module(
    engine: &Engine,
    trees: &Trees,
    name: &str,
    bytes: impl Fn() -> Result<Vec<u8>>,
) -> Result<Module> {
    let file = trees.compiled(name);
    if !file.try_exists()? {
        std::fs::write(&file, engine.precompile_module(&bytes()?)?)?;
    }
    // SAFETY: this program wrote the file, in a folder that is its own.
    Ok(unsafe { Module::deserialize_file(engine, &file) }?)
}
