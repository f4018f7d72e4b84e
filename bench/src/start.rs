//! How long a component takes to start.

use crate::sides::stock::{Preopens, Ready};
use crate::sides::{composed, stock};
use crate::subject::{Side, Version};
use crate::trees::Trees;
use anyhow::{Result, ensure};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

/// `component`, with these directories.
pub(crate) fn ready(component: &Component, preopens: Preopens) -> Result<Ready> {
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
pub(crate) fn processes(side: Side, work: &str, turns: u32, trees: &Trees) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..turns {
        let status = Command::new(std::env::current_exe()?)
            .args(["start", side.name(), work])
            .arg(trees.root())
            .arg(trees.layers.to_string())
            .args(trees.sizes.arguments())
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "a process failed");
    }
    Ok(start.elapsed())
}

/// What such a process does.
pub(crate) fn process(side: Side, work: &str, trees: &Trees) -> Result<()> {
    let engine = Engine::default();
    let (name, preopens) = match side {
        Side::Composed | Side::Hollow => (side.name(), composed::preopens(trees)),
        _ => (Version::P2.name(), stock::whole(&trees.plain())),
    };
    let work = match side {
        // It has nothing to look at.
        Side::Hollow => "nothing",
        _ => work,
    };
    // SAFETY: this program wrote the file, in a folder that is its own.
    let component = unsafe { Component::deserialize_file(&engine, trees.compiled(name)) }?;
    ready(&component, preopens)?.run(&arguments(work))?;
    Ok(())
}
