//! wasmtime-wasi on host directories, as `wasmtime run --dir` has it.

use super::{PRINTED, ended};
use crate::python;
use anyhow::Result;
use cap_std::{ambient_authority, fs::Dir};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wasmtime::component::{Component, Linker as ComponentLinker, ResourceTable};
use wasmtime::{Linker, Module, Store};
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

/// A directory as `/`.
pub(crate) fn whole(directory: &Path) -> Preopens {
    vec![(directory.to_owned(), "/".to_owned())]
}

/// Opens a directory, as `WasiCtxBuilder` does to show it.
pub(crate) fn opens(directory: &Path, turns: u32) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..turns {
        drop(Dir::open_ambient_dir(directory, ambient_authority())?);
    }
    Ok(start.elapsed())
}

pub(super) fn builder(
    arguments: &[String],
    stdout: &MemoryOutputPipe,
    preopens: &Preopens,
) -> Result<WasiCtxBuilder> {
    let mut builder = WasiCtxBuilder::new();
    builder
        .args(arguments)
        .envs(&python::environment(arguments))
        .stdout(stdout.clone())
        .inherit_stderr()
        .allow_blocking_current_thread(true);
    for (path, name) in preopens {
        builder.preopened_dir(path, name, FsPerms::ReadWrite)?;
    }
    Ok(builder)
}

/// Runs a core module; returns what it printed.
pub(crate) fn p1(module: &Module, arguments: &[String], preopens: &Preopens) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(PRINTED);
    let mut linker: Linker<WasiP1Ctx> = Linker::new(module.engine());
    p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(
        module.engine(),
        builder(arguments, &stdout, preopens)?.build_p1(),
    );
    let instance = linker.instantiate(&mut store, module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    ended(start.call(&mut store, ()))?;
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
        Self::linked(&linker, component, preopens)
    }

    /// `component`, with what is in the linker.
    pub(super) fn linked(
        linker: &ComponentLinker<State>,
        component: &Component,
        preopens: Preopens,
    ) -> Result<Self> {
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
