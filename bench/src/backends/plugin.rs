//! The plugin, on the lower layers and an upper directory, or on the plain directory.

use super::{STDOUT_CAPACITY, check_exit};
use crate::python;
use crate::trees::Trees;
use anyhow::{Context as _, Result};
use cap_std::{ambient_authority, fs::Dir};
use std::path::Path;
use std::time::{Duration, Instant};
use wasi_overlay::engine::OpenHow;
use wasi_overlay::p1::{self, OverlayP1Ctx};
use wasi_overlay::{
    FsPerms, Limits, Lower, LowerStack, Overlay, OverlayBuilder, OverlayCtx, OverlayCtxView,
    OverlayView, p2,
};
use wasmtime::component::{Component, Linker as ComponentLinker, ResourceTable};
use wasmtime::{Linker, Module, Store};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

pub(super) struct State {
    pub(super) wasi: WasiCtx,
    pub(super) files: OverlayCtx,
    pub(super) table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl OverlayView for State {
    fn overlay(&mut self) -> OverlayCtxView<'_> {
        OverlayCtxView {
            ctx: &mut self.files,
            table: &mut self.table,
        }
    }
}

/// The context of a new overlay as `/`.
pub(crate) fn overlay(trees: &Trees) -> Result<OverlayCtx> {
    context(&mount(trees)?)
}

/// As [`overlay`], with the layers in archives, which are indexed once.
pub(crate) fn overlay_of_archives(trees: &Trees) -> Result<OverlayCtx> {
    let archives = trees.archives()?.iter().cloned();
    let upper = trees.upper();
    let overlay = archives
        .fold(Overlay::builder(), OverlayBuilder::lower)
        .upper_dir(upper.display().to_string(), open(&upper)?)
        .build()?;
    context(&overlay)
}

fn context(overlay: &Overlay) -> Result<OverlayCtx> {
    let mut files = OverlayCtx::builder();
    files
        .overlay(overlay, "/", FsPerms::ReadWrite)?
        .allow_blocking_current_thread(true);
    Ok(files.build())
}

/// Mounts the layers and the upper.
pub(super) fn mount(trees: &Trees) -> Result<Overlay> {
    let mut builder = Overlay::builder();
    for lower in lowers(trees) {
        builder = builder.lower(lower?);
    }
    let upper = trees.upper();
    let upper = builder.upper_dir(upper.display().to_string(), open(&upper)?);
    Ok(upper.build()?)
}

/// Times dropping overlays with `files` files in an upper in memory.
pub(crate) fn time_drops(files: u32, iterations: u32) -> Result<Duration> {
    let mut took = Duration::ZERO;
    for _ in 0..iterations {
        let overlay = Overlay::builder().upper_memory(1 << 30).build()?;
        let root = overlay.root();
        for file in 0..files {
            let dir = file / 1000;
            if file % 1000 == 0 {
                root.create_directory_at(&format!("{dir}"))?;
            }
            let create = OpenHow {
                create: true,
                write: true,
                ..OpenHow::default()
            };
            drop(root.open_at(&format!("{dir}/{file}"), create)?);
        }
        drop(root);
        let start = Instant::now();
        drop(overlay);
        took += start.elapsed();
    }
    Ok(took)
}

pub(super) fn lowers(trees: &Trees) -> impl Iterator<Item = Result<Lower>> {
    (0..trees.layers).map(|index| {
        let path = trees.layer(index);
        Ok(Lower::dir(path.display().to_string(), open(&path)?)?)
    })
}

/// Times making and dropping overlays with an upper in memory, on one warm stack.
pub(crate) fn time_mounts(trees: &Trees, iterations: u32) -> Result<Duration> {
    let lowers = lowers(trees).collect::<Result<Vec<_>>>()?;
    let stack = LowerStack::new(lowers, &Limits::default())?;
    let new_overlay = || {
        Overlay::builder()
            .stack(stack.clone())
            .upper_memory(1 << 20)
            .build()
    };
    new_overlay()?.root().stat_at("a/b/c", true)?;
    let start = Instant::now();
    for _ in 0..iterations {
        drop(new_overlay()?);
    }
    Ok(start.elapsed())
}

/// The context of the plain directory as `/`.
pub(crate) fn live(trees: &Trees) -> Result<OverlayCtx> {
    let mut files = OverlayCtx::builder();
    files
        .dir(open(&trees.plain())?, "/", FsPerms::ReadWrite)?
        .allow_blocking_current_thread(true);
    Ok(files.build())
}

fn open(path: &Path) -> Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority())
        .with_context(|| format!("cannot open {}", path.display()))
}

pub(super) fn wasi(arguments: &[String], stdout: &MemoryOutputPipe) -> WasiCtxBuilder {
    let mut builder = WasiCtxBuilder::new();
    builder
        .args(arguments)
        .envs(&python::environment(arguments))
        .stdout(stdout.clone())
        .inherit_stderr();
    builder
}

/// Runs a core module; returns its standard output.
pub(crate) fn p1(module: &Module, arguments: &[String], files: &OverlayCtx) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
    let mut linker: Linker<OverlayP1Ctx> = Linker::new(module.engine());
    p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
    let ctx = OverlayP1Ctx::new(wasi(arguments, &stdout).build_p1(), files)?;
    let mut store = Store::new(module.engine(), ctx);
    let instance = linker.instantiate(&mut store, module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    check_exit(start.call(&mut store, ()))?;
    drop(store);
    Ok(stdout.contents().to_vec())
}

/// Runs a component; returns its standard output.
pub(crate) fn p2(
    component: &Component,
    arguments: &[String],
    files: OverlayCtx,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
    let mut linker: ComponentLinker<State> = ComponentLinker::new(component.engine());
    p2::add_to_linker_sync(&mut linker)?;
    let state = State {
        wasi: wasi(arguments, &stdout).build(),
        files,
        table: ResourceTable::new(),
    };
    let mut store = Store::new(component.engine(), state);
    let command = Command::instantiate(&mut store, component, &linker)?;
    command
        .wasi_cli_run()
        .call_run(&mut store)?
        .map_err(|()| anyhow::anyhow!("the guest failed"))?;
    drop(store);
    Ok(stdout.contents().to_vec())
}
