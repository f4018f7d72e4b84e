//! wasmtime-wasi on host directories, as `wasmtime run --dir` has it.

use super::PRINTED;
use crate::trees::Trees;
use anyhow::Result;
use std::path::PathBuf;
use wasmtime::component::{Component, Linker as ComponentLinker, ResourceTable};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::bindings::sync::{Command, CommandPre};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Directories, and the guest's names for them.
pub(crate) type Preopens = Vec<(PathBuf, String)>;

pub(crate) struct State {
    pub(super) ctx: WasiCtx,
    pub(super) table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

/// The plain directory as `/`.
pub(crate) fn plain(trees: &Trees) -> Preopens {
    vec![(trees.plain(), "/".to_owned())]
}

pub(super) fn builder(
    arguments: &[String],
    stdout: &MemoryOutputPipe,
    preopens: &Preopens,
) -> Result<WasiCtxBuilder> {
    let mut builder = WasiCtxBuilder::new();
    builder
        .args(arguments)
        .stdout(stdout.clone())
        .inherit_stderr()
        .allow_blocking_current_thread(true);
    for (path, name) in preopens {
        builder.preopened_dir(path, name, FsPerms::ReadWrite)?;
    }
    Ok(builder)
}

/// Runs a core module; returns what it printed.
pub(crate) fn p1(
    engine: &Engine,
    module: &Module,
    arguments: &[String],
    preopens: &Preopens,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(PRINTED);
    let mut linker: Linker<WasiP1Ctx> = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(engine, builder(arguments, &stdout, preopens)?.build_p1());
    let instance = linker.instantiate(&mut store, module)?;
    instance
        .get_typed_func::<(), ()>(&mut store, "_start")?
        .call(&mut store, ())?;
    drop(store);
    Ok(stdout.contents().to_vec())
}

/// A component that can be instantiated.
pub(crate) struct Ready {
    command: CommandPre<State>,
    preopens: Preopens,
}

impl Ready {
    /// `component`, with these directories.
    pub(crate) fn new(component: &Component, preopens: Preopens) -> Result<Self> {
        let mut linker: ComponentLinker<State> = ComponentLinker::new(component.engine());
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let command = CommandPre::new(linker.instantiate_pre(component)?)?;
        Ok(Self { command, preopens })
    }

    /// What one instance has of the host.
    pub(crate) fn store(
        &self,
        arguments: &[String],
        stdout: &MemoryOutputPipe,
    ) -> Result<Store<State>> {
        let state = State {
            ctx: builder(arguments, stdout, &self.preopens)?.build(),
            table: ResourceTable::new(),
        };
        Ok(Store::new(self.command.engine(), state))
    }

    /// An instance.
    pub(crate) fn instantiate(&self, store: &mut Store<State>) -> Result<Command> {
        Ok(self.command.instantiate(store)?)
    }

    /// Runs it; returns what it printed.
    pub(crate) fn run(&self, arguments: &[String]) -> Result<Vec<u8>> {
        let stdout = MemoryOutputPipe::new(PRINTED);
        let mut store = self.store(arguments, &stdout)?;
        let command = self.instantiate(&mut store)?;
        command
            .wasi_cli_run()
            .call_run(&mut store)?
            .map_err(|()| anyhow::anyhow!("the guest failed"))?;
        drop(store);
        Ok(stdout.contents().to_vec())
    }
}
