//! wasmtime-wasi on the plain directory, as `wasmtime run --dir` has it.

use super::PRINTED;
use crate::trees::Trees;
use anyhow::Result;
use wasmtime::component::{Component, Linker as ComponentLinker, ResourceTable};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

struct State {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

fn builder(
    arguments: &[String],
    stdout: &MemoryOutputPipe,
    trees: &Trees,
) -> Result<WasiCtxBuilder> {
    let mut builder = WasiCtxBuilder::new();
    builder
        .args(arguments)
        .stdout(stdout.clone())
        .inherit_stderr()
        .allow_blocking_current_thread(true)
        .preopened_dir(trees.plain(), "/", FsPerms::ReadWrite)?;
    Ok(builder)
}

/// Runs a core module; returns what it printed.
pub(crate) fn p1(
    engine: &Engine,
    module: &Module,
    arguments: &[String],
    trees: &Trees,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(PRINTED);
    let mut linker: Linker<WasiP1Ctx> = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(engine, builder(arguments, &stdout, trees)?.build_p1());
    let instance = linker.instantiate(&mut store, module)?;
    instance
        .get_typed_func::<(), ()>(&mut store, "_start")?
        .call(&mut store, ())?;
    drop(store);
    Ok(stdout.contents().to_vec())
}

/// Runs a component; returns what it printed.
pub(crate) fn p2(
    engine: &Engine,
    component: &Component,
    arguments: &[String],
    trees: &Trees,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(PRINTED);
    let mut linker: ComponentLinker<State> = ComponentLinker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    let state = State {
        ctx: builder(arguments, &stdout, trees)?.build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(engine, state);
    let command = Command::instantiate(&mut store, component, &linker)?;
    command
        .wasi_cli_run()
        .call_run(&mut store)?
        .map_err(|()| anyhow::anyhow!("the guest failed"))?;
    drop(store);
    Ok(stdout.contents().to_vec())
}
