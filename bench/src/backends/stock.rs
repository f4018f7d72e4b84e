//! Stock wasmtime-wasi on host directories, set up as by `wasmtime run --dir`.

use super::{STDOUT_CAPACITY, check_exit};
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

/// Host directories, each with the guest's name for it.
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

/// Preopens one directory as `/`.
pub(crate) fn as_root(directory: &Path) -> Preopens {
    vec![(directory.to_owned(), "/".to_owned())]
}

/// Times opening a directory, which is what `WasiCtxBuilder` does to preopen it.
pub(crate) fn time_opens(directory: &Path, iterations: u32) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..iterations {
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

/// Runs a core module; returns its standard output.
pub(crate) fn p1(module: &Module, arguments: &[String], preopens: &Preopens) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
    let mut linker: Linker<WasiP1Ctx> = Linker::new(module.engine());
    p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(
        module.engine(),
        builder(arguments, &stdout, preopens)?.build_p1(),
    );
    let instance = linker.instantiate(&mut store, module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    check_exit(start.call(&mut store, ()))?;
    drop(store);
    Ok(stdout.contents().to_vec())
}

/// A component, linked and ready to be instantiated.
pub(crate) struct Prepared {
    command: CommandPre<State>,
    preopens: Preopens,
}

impl Prepared {
    /// Links `component` with wasmtime-wasi.
    pub(crate) fn new(component: &Component, preopens: Preopens) -> Result<Self> {
        let mut linker: ComponentLinker<State> = ComponentLinker::new(component.engine());
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let command = CommandPre::new(linker.instantiate_pre(component)?)?;
        Ok(Self { command, preopens })
    }

    /// The store of one instance.
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

    /// Instantiates the component.
    pub(crate) fn instantiate(&self, store: &mut Store<State>) -> Result<Command> {
        Ok(self.command.instantiate(store)?)
    }

    /// Runs the component once; returns its standard output.
    pub(crate) fn run(&self, arguments: &[String]) -> Result<Vec<u8>> {
        let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
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
