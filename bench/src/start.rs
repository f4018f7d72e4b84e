//! Timings of component starts: instantiation, a whole run, and a whole process.

use crate::backends::stock::Prepared;
use crate::backends::{composed, stock};
use crate::subject::{Backend, Version};
use crate::trees::Trees;
use anyhow::{Result, ensure};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

fn arguments(workload: &str) -> [String; 2] {
    ["bench".to_owned(), workload.to_owned()]
}

/// Times `iterations` instantiations, without making their stores.
pub(crate) fn time_instantiations(prepared: &Prepared, iterations: u32) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for _ in 0..iterations {
        let mut store = prepared.store(&arguments("nothing"), &MemoryOutputPipe::new(0))?;
        let start = Instant::now();
        let command = prepared.instantiate(&mut store)?;
        all += start.elapsed();
        drop((command, store));
    }
    Ok(all)
}

/// Times `iterations` runs of the component, each with its own store.
pub(crate) fn time_runs(prepared: &Prepared, workload: &str, iterations: u32) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..iterations {
        prepared.run(&arguments(workload))?;
    }
    Ok(start.elapsed())
}

/// Times `iterations` processes, one after the other, each of which runs the component once.
pub(crate) fn time_processes(
    backend: Backend,
    workload: &str,
    iterations: u32,
    trees: &Trees,
) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..iterations {
        let status = Command::new(std::env::current_exe()?)
            .args(["start", backend.name(), workload])
            .arg(trees.root())
            .arg(trees.layers.to_string())
            .args(trees.sizes.arguments())
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "a process that starts the guest failed");
    }
    Ok(start.elapsed())
}

/// Runs the component once; the body of a process of [`time_processes`].
pub(crate) fn run_process(backend: Backend, workload: &str, trees: &Trees) -> Result<()> {
    let engine = Engine::default();
    let (name, preopens) = match backend {
        Backend::Composed => (backend.name(), composed::preopens(trees)),
        _ => (Version::P2.name(), stock::as_root(&trees.plain())),
    };
    // SAFETY: the parent process wrote the file, in its own temporary folder.
    let component = unsafe { Component::deserialize_file(&engine, trees.compiled(name)) }?;
    Prepared::new(&component, preopens)?.run(&arguments(workload))?;
    Ok(())
}
