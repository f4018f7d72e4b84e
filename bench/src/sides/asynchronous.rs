//! Components for WASI 0.3, which knows asynchronous stores only: both sides lend their thread, as
//! `wasmtime run` does.

use super::{PRINTED, plugin, stock};
use anyhow::Result;
use wasi_overlay::{OverlayCtx, p3};
use wasmtime::Store;
use wasmtime::component::{Accessor, Component, Linker, ResourceTable};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p3::bindings::Command;

/// Runs a component on wasmtime-wasi; returns what it printed.
pub(crate) fn stock(
    component: &Component,
    arguments: &[String],
    preopens: &stock::Preopens,
) -> Result<Vec<u8>> {
    let mut linker = Linker::new(component.engine());
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    linked(component, &linker, arguments, preopens)
}

/// Runs a component on what is in the linker; returns what it printed.
pub(super) fn linked(
    component: &Component,
    linker: &Linker<stock::State>,
    arguments: &[String],
    preopens: &stock::Preopens,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(PRINTED);
    let state = stock::State {
        ctx: stock::builder(arguments, &stdout, preopens)?.build(),
        table: ResourceTable::new(),
    };
    run(component, linker, state)?;
    Ok(stdout.contents().to_vec())
}

/// Runs a component on the plugin; returns what it printed.
pub(crate) fn plugin(
    component: &Component,
    arguments: &[String],
    files: OverlayCtx,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(PRINTED);
    let mut linker: Linker<plugin::State> = Linker::new(component.engine());
    p3::add_all_to_linker(&mut linker)?;
    let state = plugin::State {
        wasi: plugin::wasi(arguments, &stdout).build(),
        files,
        table: ResourceTable::new(),
    };
    run(component, &linker, state)?;
    Ok(stdout.contents().to_vec())
}

fn run<T: Send>(component: &Component, linker: &Linker<T>, state: T) -> Result<()> {
    let mut store = Store::new(component.engine(), state);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let command = Command::instantiate_async(&mut store, component, linker).await?;
        let run = async |store: &Accessor<T>| command.wasi_cli_run().call_run(store).await;
        store.run_concurrent(run).await?
    })?;
    ended.map_err(|()| anyhow::anyhow!("the guest failed"))
}
