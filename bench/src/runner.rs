//! Timed runs of one guest on any backend.
//!
//! Only the filesystem differs between backends. They share the engine configuration and the compiled
//! program. Each run has its own store and its own mount, uses the synchronous linker where one
//! exists, and blocks the calling thread as `wasmtime run` does. The times include the first lookups
//! of a new mount, unless the workload warms up.

use crate::backends::mounted::Mounted;
use crate::backends::{async_plugin, composed, native, p3, plugin, stock};
use crate::python;
use crate::start;
use crate::subject::{Backend, Subject, Version};
use crate::trees::Trees;
use crate::workloads::{Timed, Workload};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// A compiled guest, for a subject and its baseline.
pub(crate) struct Guest {
    program: Program,
    /// The guest with the overlay component composed into it; `None` if no backend needs it.
    composed: Option<Component>,
    python: Option<Module>,
}

enum Program {
    Module(Module),
    Component(Component),
    /// A component for WASI 0.3.
    Async(Component),
}

/// Parameters of one timed run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) iterations: u32,
    /// Whether one iteration runs before the clock starts.
    pub(crate) warm: bool,
}

impl Guest {
    /// Loads the guest of a subject from the folder of guests. The compiled code is cached beside the trees.
    pub(crate) fn load(
        guests: &Path,
        subject: Subject,
        workload: Option<&Workload>,
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
            // SAFETY: this program wrote the file, in its own temporary folder.
            anyhow::Ok(unsafe { Component::deserialize_file(&engine, &file) }?)
        };
        let name = subject.version.name();
        let program = match subject.version {
            Version::P1 => Program::Module(module(&engine, trees, name, bytes)?),
            Version::P2 => Program::Component(component(name, &bytes)?),
            Version::P3 => Program::Async(component(name, &bytes)?),
        };
        let composed = match subject.backend {
            Backend::Composed => {
                let with_overlay = || composed::with_overlay(&bytes()?, trees);
                Some(component(subject.backend.name(), &with_overlay)?)
            }
            _ => None,
        };
        let python = match workload {
            Some(workload) if workload.timed == Timed::Python => {
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

    /// Runs a workload; returns nanoseconds per unit.
    pub(crate) fn run(&self, backend: Backend, run: Run<'_>, trees: &Trees) -> Result<f64> {
        let Run {
            workload,
            iterations,
            ..
        } = run;
        let mounted = Mounted::new(backend, trees)?;
        let preopens = match backend {
            Backend::Composed => composed::preopens(trees),
            _ => stock::as_root(mounted.as_ref().map_or(&trees.plain(), Mounted::path)),
        };
        let prepared = || stock::Prepared::new(self.component(backend)?, preopens.clone());
        let took = match workload.timed {
            Timed::Guest if backend == Backend::Native => native::run(run, trees),
            Timed::Guest => self.run_guest(backend, run, trees, &preopens),
            Timed::Instance => start::time_instantiations(&prepared()?, iterations),
            Timed::Run(what) => start::time_runs(&prepared()?, what, iterations),
            Timed::Process(what) => start::time_processes(backend, what, iterations, trees),
            Timed::Concurrent(guests) => match &self.program {
                Program::Component(component) => async_plugin::run_concurrently(
                    component,
                    &arguments(run, trees),
                    trees,
                    (guests, backend),
                ),
                Program::Module(_) | Program::Async(_) => {
                    bail!("concurrent runs need a component for WASI 0.2")
                }
            },
            Timed::Drop(files) if backend == Backend::Overlay => {
                plugin::time_drops(files, iterations)
            }
            Timed::Mount if backend == Backend::Overlay => plugin::time_mounts(trees, iterations),
            Timed::Mount | Timed::Drop(_) => stock::time_opens(&trees.plain(), iterations),
            Timed::Python => {
                let module = self.python.as_ref().context("CPython was not compiled")?;
                python::time(iterations, || match files(backend, trees)? {
                    Some(files) => plugin::p1(module, &python::arguments(), &files),
                    None => stock::p1(module, &python::arguments(), &preopens),
                })
            }
        };
        let took =
            took.with_context(|| format!("{} failed on {}", workload.name, backend.name()))?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds at most, in nanoseconds"
        )]
        let each = took.as_nanos() as f64 / f64::from(iterations * workload.units(&trees.sizes));
        Ok(each)
    }

    /// Runs a workload in the guest, which reports the time by its own clock.
    fn run_guest(
        &self,
        backend: Backend,
        run: Run<'_>,
        trees: &Trees,
        preopens: &stock::Preopens,
    ) -> Result<Duration> {
        let arguments = arguments(run, trees);
        if let Backend::Pool | Backend::Inline = backend {
            let files = async_plugin::overlay(trees, backend)?;
            return parse_time(match &self.program {
                Program::Module(module) => async_plugin::p1(module, &arguments, &files),
                Program::Component(component) => async_plugin::p2(component, &arguments, files),
                Program::Async(component) => p3::plugin(component, &arguments, files),
            }?);
        }
        parse_time(match (&self.program, files(backend, trees)?) {
            (Program::Module(module), None) => stock::p1(module, &arguments, preopens),
            (Program::Module(module), Some(files)) => plugin::p1(module, &arguments, &files),
            (Program::Component(_), None) => {
                stock::Prepared::new(self.component(backend)?, preopens.clone())?.run(&arguments)
            }
            (Program::Component(alone), Some(files)) => plugin::p2(alone, &arguments, files),
            (Program::Async(component), None) => p3::stock(component, &arguments, preopens),
            (Program::Async(component), Some(files)) => p3::plugin(component, &arguments, files),
        }?)
    }

    /// The component that wasmtime-wasi runs for a backend.
    fn component(&self, backend: Backend) -> Result<&Component> {
        match (&self.program, backend) {
            (_, Backend::Composed) => self.composed.as_ref().context("the guest was not composed"),
            (Program::Component(alone), _) => Ok(alone),
            _ => bail!("this guest is not a component for WASI 0.2"),
        }
    }
}

/// The command line of a guest.
fn arguments(run: Run<'_>, trees: &Trees) -> [String; 5] {
    [
        "bench".to_owned(),
        run.workload.guest_command.to_owned(),
        run.iterations.to_string(),
        if run.warm { "hot" } else { "cold" }.to_owned(),
        run.workload.expected_size(&trees.sizes).to_string(),
    ]
}

/// Parses the time that a guest printed.
fn parse_time(output: Vec<u8>) -> Result<Duration> {
    let text = String::from_utf8(output).context("the guest did not print UTF-8")?;
    let nanoseconds = text
        .trim()
        .parse()
        .with_context(|| format!("the guest printed {text:?}, not a time"))?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// The plugin's context; `None` if wasmtime-wasi serves the filesystem calls.
fn files(backend: Backend, trees: &Trees) -> Result<Option<wasi_overlay::OverlayCtx>> {
    Ok(match backend {
        Backend::Overlay => Some(plugin::overlay(trees)?),
        Backend::Archives => Some(plugin::overlay_of_archives(trees)?),
        Backend::Live => Some(plugin::live(trees)?),
        Backend::Stock | Backend::Composed | Backend::Kernel | Backend::Fuse => None,
        Backend::Native | Backend::Pool | Backend::Inline => {
            bail!("this backend has no plugin context")
        }
    })
}

/// Loads a module, which is compiled once.
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
    // SAFETY: this program wrote the file, in its own temporary folder.
    Ok(unsafe { Module::deserialize_file(engine, &file) }?)
}
