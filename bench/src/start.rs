//! How long a component takes to start.

use crate::runner::Side;
use crate::sides::stock::Ready;
use crate::sides::{composed, stock};
use crate::trees::Trees;
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

/// `component` on the trees of that side.
pub(crate) fn ready(component: &Component, side: Side, trees: &Trees) -> Result<Ready> {
    let preopens = match side {
        Side::Composed => composed::preopens(trees),
        Side::Stock | Side::Overlay | Side::Live => stock::plain(trees),
    };
    Ready::new(component, preopens)
}

fn arguments(work: &str) -> [String; 2] {
    ["bench".to_owned(), work.to_owned()]
}

/// Makes `turns` instances, and measures nothing besides.
pub(crate) fn instances(ready: &Ready, turns: u32) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for _ in 0..turns {
        let mut store = ready.store(&arguments("nothing"), &MemoryOutputPipe::new(0))?;
        let start = Instant::now();
        let command = ready.instantiate(&mut store)?;
        all += start.elapsed();
        drop((command, store));
    }
    Ok(all)
}

/// Runs the component `turns` times, the host's own part included.
pub(crate) fn runs(ready: &Ready, work: &str, turns: u32) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..turns {
        ready.run(&arguments(work))?;
    }
    Ok(start.elapsed())
}

/// Runs it in `turns` processes, one after the other.
pub(crate) fn processes(
    component: &Component,
    side: Side,
    work: &str,
    turns: u32,
    trees: &Trees,
) -> Result<Duration> {
    let file = compiled(side, trees);
    if !file.try_exists()? {
        std::fs::write(&file, component.serialize()?)?;
    }
    let start = Instant::now();
    for _ in 0..turns {
        let status = Command::new(std::env::current_exe()?)
            .args(["start", side.name(), work])
            .arg(trees.root())
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "a process failed");
    }
    Ok(start.elapsed())
}

/// What such a process does.
pub(crate) fn process(side: Side, work: &str, trees: &Trees) -> Result<()> {
    let engine = Engine::default();
    let file = compiled(side, trees);
    // SAFETY: this program wrote the file, in a folder that is its own.
    let component = unsafe { Component::deserialize_file(&engine, &file) }?;
    ready(&component, side, trees)?.run(&arguments(work))?;
    Ok(())
}

/// Where the compiled component of that side lies.
fn compiled(side: Side, trees: &Trees) -> PathBuf {
    trees.root().join(format!("{}.cwasm", side.name()))
}
